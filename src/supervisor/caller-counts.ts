import type { Caller } from "../placement/placement.js";

/** Calls in flight by service, as one thread or process counts those that it makes. */
export type CallsInFlight = Readonly<Record<string, number>>;

/**
 * What callers have in flight, service by service: a replica that computes can't say what waits for it, and what lies in its socket
 * it does not know.
 */
export class CallerCounts {
  readonly #readOwn: () => CallsInFlight;
  readonly #last = new Map<Caller, CallsInFlight>();

  /** @param readOwn Reads the counts of the thread that asks, which sends itself no pulse. */
  constructor(readOwn: () => CallsInFlight = () => ({})) {
    this.#readOwn = readOwn;
  }

  /** Takes what a caller said last. */
  note(caller: Caller, calls: CallsInFlight): void {
    this.#last.set(caller, calls);
  }

  /** It makes no calls any more, or will say so anew. */
  forget(caller: Caller): void {
    this.#last.delete(caller);
  }

  /** Calls in flight to a service. */
  of(service: string): number {
    let sum = this.#readOwn()[service] ?? 0;
    for (const calls of this.#last.values()) sum += calls[service] ?? 0;
    return sum;
  }
}
