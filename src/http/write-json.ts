/** Values of which any answer is written within some milliseconds. */
const shortCount = 5_000;
/** Milliseconds after which others have a turn. */
const turnMs = 8;

/**
 * What `JSON.stringify` writes of a value that `encodeJson` made; of a long one in pieces, between which others have a turn,
 * and as a promise.
 */
export function writeJson(value: unknown): string | Promise<string> {
  if (typeof value !== "object" || countDown(value, shortCount) >= 0) return JSON.stringify(value);
  return new JsonWriter().write(value);
}

class JsonWriter {
  readonly #pieces: string[] = [];
  #began = performance.now();

  async write(value: unknown): Promise<string> {
    await this.#writeAny(value);
    return this.#pieces.join("");
  }

  async #writeAny(value: unknown): Promise<void> {
    if (typeof value !== "object" || value === null || countDown(value, shortCount) >= 0)
      this.#pieces.push(JSON.stringify(value));
    else if (Array.isArray(value)) await this.#writeList(value);
    else await this.#writeFields(value as Record<string, unknown>);
  }

  /** Items that are short are written together, as many as make a piece. */
  async #writeList(list: readonly unknown[]): Promise<void> {
    const pieces = this.#pieces;
    let sign = "[";
    for (let from = 0; from < list.length; ) {
      pieces.push(sign);
      sign = ",";
      const to = endOfRun(list, from);
      if (to > from) pieces.push(JSON.stringify(list.slice(from, to)).slice(1, -1));
      else await this.#writeAny(list[from]);
      from = Math.max(to, from + 1);
      if (performance.now() - this.#began > turnMs) await this.#breathe();
    }
    pieces.push("]");
  }

  async #writeFields(fields: Record<string, unknown>): Promise<void> {
    const pieces = this.#pieces;
    let sign = "{";
    for (const key of Object.keys(fields)) {
      const value = fields[key];
      if (value === undefined) continue;
      pieces.push(sign, JSON.stringify(key), ":");
      sign = ",";
      await this.#writeAny(value);
      if (performance.now() - this.#began > turnMs) await this.#breathe();
    }
    pieces.push(sign === "{" ? "{}" : "}");
  }

  async #breathe(): Promise<void> {
    await new Promise((resolve) => void setImmediate(resolve));
    this.#began = performance.now();
  }
}

/** Behind the last item that can be written together with the one at `from`; `from` where that one is too long itself. */
function endOfRun(list: readonly unknown[], from: number): number {
  let left = shortCount;
  let at = from;
  while (at < list.length) {
    left = countDown(list[at], left);
    if (left < 0) break;
    at++;
  }
  return at;
}

/** @returns What is left of `left` when every value in `value` takes one; below 0 when there are more. */
function countDown(value: unknown, left: number): number {
  let rest = left - 1;
  if (typeof value !== "object" || value === null) {
    // A long text takes as long as many short values.
    return typeof value === "string" ? rest - (value.length >> 6) : rest;
  }
  if (Array.isArray(value)) {
    if (value.length > rest) return -1;
    for (let i = 0; i < value.length && rest >= 0; i++) {
      rest = typeof value[i] === "number" ? rest - 1 : countDown(value[i], rest);
    }
    return rest;
  }
  for (const key in value) {
    rest = countDown((value as Record<string, unknown>)[key], rest);
    if (rest < 0) return rest;
  }
  return rest;
}
