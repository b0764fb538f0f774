/** Pauses before the same problem is told again. */
const firstPauseMs = 60_000;
const maxPauseMs = 600_000;

/** Says when a problem that lasts is told: at once, after a minute, and ever more seldom, down to every ten minutes. */
export class RepeatPace {
  #toldAt = Number.NEGATIVE_INFINITY;
  #pauseMs = firstPauseMs;

  /** Whether it is to be told now, which is then noted. @param now A reading of a clock that only goes on. */
  isDue(now: number): boolean {
    if (this.#toldAt === Number.NEGATIVE_INFINITY) {
      this.#toldAt = now;
      return true;
    }
    if (now - this.#toldAt < this.#pauseMs) return false;
    this.#toldAt = now;
    this.#pauseMs = Math.min(this.#pauseMs * 2, maxPauseMs);
    return true;
  }

  /** Whether it was told since it began. */
  get wasTold(): boolean {
    return this.#toldAt !== Number.NEGATIVE_INFINITY;
  }

  /** The problem is over: the next one is told at once. */
  reset(): void {
    this.#toldAt = Number.NEGATIVE_INFINITY;
    this.#pauseMs = firstPauseMs;
  }
}
