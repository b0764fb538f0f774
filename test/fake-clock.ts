import type { Clock, Timer } from "../src/base/clock.js";

interface Pending {
  readonly at: number;
  readonly run: () => void;
}

/** Clock that moves only on request. Timers fire in order, each at its own time. */
export class FakeClock implements Clock {
  #now: number;
  readonly #timers = new Set<Pending>();

  constructor(now = 1_000_000) {
    this.#now = now;
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  wallTimeOf(instant: number): number {
    return instant;
  }

  setTimer(run: () => void, delayMs: number): Timer {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.add(timer);
    return { clear: () => this.#timers.delete(timer), keepAlive: () => {} };
  }

  /** Moves time on and fires the timers that become due. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#nextUntil(end); next !== undefined; next = this.#nextUntil(end)) {
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }

  #nextUntil(end: number): Pending | undefined {
    const due = [...this.#timers].filter((timer) => timer.at <= end);
    return due.sort((a, b) => a.at - b.at)[0];
  }
}
