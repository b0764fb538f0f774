import type { NamedAddress } from "./link-policy.js";

// Keeps the addresses of a service as its names were resolved last.
//
// NR1  A name that can't be resolved, or resolves to nothing, keeps its former addresses for `keepMs`.
// NR2  Names are resolved every `everyMs`. After a lost or failed connection that comes sooner, but never sooner than
//      `leastMs` after the last time.
// NR3  A service has at most `maxAddresses` addresses; those of earlier names come first.

export const keepMs = 300_000;
export const leastMs = 500;
export const maxAddresses = 256;

/** Result of one name: its addresses, or the problem. */
export type Resolution = readonly NamedAddress[] | string;

interface Kept {
  readonly addresses: readonly NamedAddress[];
  readonly since: number;
}

export class NameBook {
  readonly #everyMs: number;
  readonly #kept = new Map<string, Kept>();
  #resolvedAt = Number.NEGATIVE_INFINITY;
  #isHurried = false;
  /** Problem of a name that could not be resolved the last time. */
  problem: string | undefined;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** Time at which the names are to be resolved next. */
  get nextAt(): number {
    return this.#resolvedAt + (this.#isHurried ? Math.min(leastMs, this.#everyMs) : this.#everyMs);
  }

  /** Asks for a resolution sooner than usual: a connection has failed or ended. */
  hurry(): void {
    this.#isHurried = true;
  }

  /** Notes that a resolution begins. */
  begin(now: number): void {
    this.#resolvedAt = now;
    this.#isHurried = false;
  }

  /** Notes the results of all names. @returns All addresses that count now, each once. */
  note(now: number, results: ReadonlyMap<string, Resolution>): NamedAddress[] {
    this.problem = undefined;
    for (const [name, result] of results) {
      if (typeof result !== "string" && result.length > 0) this.#kept.set(name, { addresses: result, since: now });
      else this.#noteProblem(now, name, typeof result === "string" ? result : `${name} resolves to no address`);
    }
    const all = [...this.#kept.values()].flatMap(({ addresses }) => addresses);
    return [...new Map(all.map((address) => [address.key, address])).values()].slice(0, maxAddresses);
  }

  #noteProblem(now: number, name: string, problem: string): void {
    this.problem ??= problem;
    const kept = this.#kept.get(name);
    if (kept !== undefined && now - kept.since >= keepMs) this.#kept.delete(name);
  }
}
