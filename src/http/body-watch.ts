import type { Clock, Timer } from "../base/clock.js";

/** A body that is being received. */
export interface WatchedBody {
  /** Wall-clock milliseconds; may move while it is watched. */
  readonly deadline: number;
  /** Neighbours in the list of the `BodyWatch`, which alone changes them. */
  previous: WatchedBody | undefined;
  next: WatchedBody | undefined;
  /** Called once the deadline has passed; the body is watched no longer then. */
  expire(): void;
}

/**
 * Notices bodies that do not arrive in time.
 *
 * Nearly every body is there before anyone could look at a clock: watching one costs four pointers and no timer, and a
 * passed deadline is noticed at most `granularityMs` late.
 */
export class BodyWatch {
  readonly clock: Clock;
  readonly #granularityMs: number;
  #first: WatchedBody | undefined;
  #timer: Timer | undefined;

  constructor(clock: Clock, granularityMs: number) {
    this.clock = clock;
    this.#granularityMs = granularityMs;
  }

  add(body: WatchedBody): void {
    const next = this.#first;
    body.next = next;
    if (next !== undefined) next.previous = body;
    this.#first = body;
    // Left running when the list empties: taking it back for each request would cost more than one idle look.
    if (this.#timer === undefined) this.#arm();
  }

  remove(body: WatchedBody): void {
    const { previous, next } = body;
    if (previous !== undefined) previous.next = next;
    else if (this.#first === body) this.#first = next;
    if (next !== undefined) next.previous = previous;
    body.previous = undefined;
    body.next = undefined;
  }

  #arm(): void {
    this.#timer = this.clock.setTimer(() => this.#look(), this.#granularityMs);
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.clock.now();
    for (let body = this.#first; body !== undefined; ) {
      const { next } = body;
      if (body.deadline <= now) {
        this.remove(body);
        body.expire();
      }
      body = next;
    }
    if (this.#first !== undefined) this.#arm();
  }
}
