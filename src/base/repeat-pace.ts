/** Pauses before another attempt at what has failed. Each is twice as long as the one before. */
export class GrowingPause {
  readonly #firstMs: number;
  readonly #maxMs: number;
  #nextMs: number;

  constructor(firstMs: number, maxMs: number) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#nextMs = firstMs;
  }

  /** Length of the next pause in milliseconds. */
  get nextMs(): number {
    return this.#nextMs;
  }

  /** Returns the length of the pause that begins now, in milliseconds, and doubles the next one. */
  begin(): number {
    const pauseMs = this.#nextMs;
    this.#nextMs = Math.min(pauseMs * 2, this.#maxMs);
    return pauseMs;
  }

  /** Makes the next pause the shortest again. */
  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}

/** Pauses before the same problem is reported again. */
const firstPauseMs = 60_000;
const maxPauseMs = 600_000;

/**
 * Decides when a lasting problem is reported: at once, after a minute, then more and more seldom, down to every ten
 * minutes.
 */
export class RepeatPace {
  #toldAt = Number.NEGATIVE_INFINITY;
  readonly #pause = new GrowingPause(firstPauseMs, maxPauseMs);

  /** True when the problem should be reported now; counts that as reported. @param now Reading of a monotonic clock. */
  isDue(now: number): boolean {
    if (this.#toldAt === Number.NEGATIVE_INFINITY) {
      this.#toldAt = now;
      return true;
    }
    if (now - this.#toldAt < this.#pause.nextMs) return false;
    this.#toldAt = now;
    this.#pause.begin();
    return true;
  }

  /** True when the problem was reported since it began. */
  get wasTold(): boolean {
    return this.#toldAt !== Number.NEGATIVE_INFINITY;
  }

  /** Ends the problem: the next one is reported at once. */
  reset(): void {
    this.#toldAt = Number.NEGATIVE_INFINITY;
    this.#pause.reset();
  }
}
