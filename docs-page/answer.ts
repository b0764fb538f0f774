import { isJsonType } from "./documented-api.js";
import { type Child, el } from "./element.js";
import { parseJson, printJson, splitTokens, type TokenKind } from "./print-json.js";
import { isObject } from "./schema.js";

const shownHeaders = ["x-request-id", "content-type", "content-disposition", "retry-after", "server-timing"];

/** The part of the page that shows one answer: a status line and what follows it. */
export class Answer {
  readonly status = el("p", { class: "status", role: "status" }, el("b", { class: "plain" }, "Waiting …"));
  readonly more = el("div", {});
  readonly #startedAt = performance.now();
  /** Status of the response; `""` before it has come. */
  #word = "";

  constructor(place: HTMLElement) {
    place.hidden = false;
    place.replaceChildren(this.status, this.more);
  }

  /** Milliseconds since the request was sent. */
  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  begin(response: Response): void {
    this.#word = `${response.status} ${response.statusText}`.trim();
    const headers = shownHeaders.filter((name) => response.headers.has(name));
    const lines = headers.map((name) => el("div", {}, `${name}: ${response.headers.get(name)}`));
    this.more.append(el("div", { class: "headers" }, lines));
    this.tell(response.ok ? "" : "bad", `${formatTime(this.elapsedMs)} to headers`);
  }

  /** Writes the status line: the status of the response and facts about it. */
  tell(kind: string, ...facts: readonly (string | undefined)[]): void {
    this.#write(this.#word, kind, facts);
  }

  async showBody(response: Response, type: string): Promise<void> {
    const blob = await response.blob();
    this.tell("", formatTime(this.elapsedMs), formatSize(blob.size));
    this.more.append(await drawBody(blob, type, response.headers.get("content-disposition")));
  }

  async showRefusal(response: Response): Promise<void> {
    const text = await response.text();
    this.tell("bad", formatTime(this.elapsedMs));
    const failure = toFailure(parseJson(text)?.value);
    this.more.append(failure ? drawFailure(failure) : el("div", { class: "body" }, drawText(text)));
  }

  showError(error: Error): void {
    const after = formatTime(this.elapsedMs);
    if (error.name === "AbortError") {
      this.#write(this.#word || "Stopped", "plain", [this.#word ? "stopped" : "", `after ${after}`]);
      return;
    }
    this.#write(this.#word || "No answer", "bad", [after]);
    const problem = this.#word
      ? "The connection was cut off before the answer was complete."
      : `The server could not be reached: ${error.message}`;
    this.more.append(drawFailure({ error: problem }));
  }

  #write(word: string, kind: string, facts: readonly (string | undefined)[]): void {
    const shown = facts.filter((fact) => fact !== undefined).map((fact) => el("span", {}, fact));
    this.status.replaceChildren(el("b", { class: kind }, word), ...shown);
  }
}

export const formatTime = (ms: number): string =>
  ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;

function formatSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Characters from which JSON is shown without colours. */
const maxColoured = 60_000;
const classes: Readonly<Record<TokenKind, string>> = { key: "k", string: "s", literal: "l", number: "n" };

function colour(text: string): Child {
  if (text.length > maxColoured) return text;
  return splitTokens(text).map((token) =>
    token.kind === undefined ? token.text : el("span", { class: classes[token.kind] }, token.text),
  );
}

/** Draws a text, printed and coloured when it is JSON. */
export function drawText(text: string, isCompact = false): HTMLElement {
  const parsed = parseJson(text);
  return el("pre", {}, parsed === undefined ? text : colour(printJson(parsed.value, "", isCompact)));
}

/** The body of a failed request, or a text of the page's own about one that had no answer. */
export interface Failure {
  readonly error: string;
  readonly code?: string;
  readonly id?: string;
  readonly service?: string;
  readonly api?: string;
  readonly details?: unknown;
  readonly incident?: string;
  readonly requestId?: string;
}

export const toFailure = (value: unknown): Failure | undefined =>
  isObject(value) && typeof value["error"] === "string" ? (value as unknown as Failure) : undefined;

export function drawFailure({ error, code, id, service, api, details, incident, requestId }: Failure): HTMLElement {
  const origin = [service, api].filter(Boolean).join(".");
  const trace = [
    origin ? `in ${origin}` : "",
    incident ? `incident ${incident}` : "",
    requestId ? `request ${requestId}` : "",
  ].filter((words) => words !== "");
  const hasDetails = isObject(details) && Object.keys(details).length > 0;
  return el(
    "div",
    { class: "failure", role: "alert" },
    code ? el("p", { class: "code" }, code + (id && id !== code ? ` · ${id}` : "")) : undefined,
    el("p", { class: "message" }, error),
    trace.length > 0 ? el("p", { class: "trace" }, trace.join(" · ")) : undefined,
    hasDetails ? el("pre", {}, colour(printJson(details))) : undefined,
  );
}

async function drawBody(blob: Blob, type: string, disposition: string | null): Promise<HTMLElement> {
  const label = "Body of the answer";
  const box = el("div", { class: "body", tabindex: "0", role: "region", "aria-label": label });
  if (blob.size === 0) box.append(el("p", { class: "download quiet" }, "No body."));
  else if (type.startsWith("image/")) {
    box.append(el("img", { src: await readDataUrl(blob), alt: "The image that was answered" }));
  } else if (isJsonType(type)) box.append(drawText(await blob.text()));
  else if (type.startsWith("text/")) box.append(el("pre", {}, await blob.text()));
  else {
    const fallback = type.includes("npy") ? "answer.npy" : "answer";
    const name = /filename="([^"]*)"/.exec(disposition ?? "")?.[1] ?? fallback;
    const link = el("a", { href: URL.createObjectURL(blob), download: name }, `Download ${name}`);
    box.append(el("p", { class: "download" }, link, ` (${formatSize(blob.size)})`));
  }
  return box;
}

function readDataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
