// How often calls to one service may be sent again.
//
// B1  Over any time, retries are at most a fifth of the calls, plus 10 a second, plus the reserve: when everything fails,
//     retries add a fifth to the load and never multiply it.
// B2  The reserve is full at the start and holds 256 retries at most, so a time without failures saves up for one lost
//     replica and no more.
//
// This is the budget of Finagle (https://twitter.github.io/finagle/docs/com/twitter/finagle/service/RetryBudget$.html) as one
// bucket: its deposits expire after a time, those of this one when the bucket is full.

// Counted in fifths of a retry, which keeps every number whole: what a call deposits.
const retryCost = 5;
const fullReserve = 256 * retryCost;
/** 10 retries a second. */
const msPerDeposit = 1000 / (10 * retryCost);

/** What the calls to one service may spend on retries. */
export class RetryBudget {
  #deposits = fullReserve;
  /** Until when time has been paid out. It begins with a full reserve, so all time before the first retry has been. */
  #refilledAt = 0;

  /** Notes a call that is not a retry: a fifth of a retry more. */
  onCall(): void {
    if (this.#deposits < fullReserve) this.#deposits++;
  }

  /**
   * Takes a retry from the budget.
   *
   * @param now Milliseconds of any clock; where it was set back, time counts from there on.
   * @returns Whether there was one left; `false` changes nothing.
   */
  tryRetry(now: number): boolean {
    this.#refill(now);
    if (this.#deposits < retryCost) return false;
    this.#deposits -= retryCost;
    return true;
  }

  /** Pays out whole deposits, and leaves the time that makes up no whole one for later. */
  #refill(now: number): void {
    const elapsedMs = Math.max(0, now - this.#refilledAt);
    this.#deposits = Math.min(fullReserve, this.#deposits + Math.floor(elapsedMs / msPerDeposit));
    this.#refilledAt = now - (elapsedMs % msPerDeposit);
  }
}
