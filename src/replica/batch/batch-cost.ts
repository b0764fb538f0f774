/** How much of what was learnt is kept at each further batch: about the last twenty count. */
const memory = 0.95;
/** Batches before the line is trusted. The first is not counted at all: in it, code is compiled and memory grows. */
const trustedAfter = 3;
/** Sizes must differ by this share of their mean before they tell anything about the slope. */
const leastSpread = 0.1;

/**
 * What a batch costs, learnt from batches: a line through size and time, `fixedMs + rows * rowMs`.
 *
 * Least squares over what was seen, newer batches counting more. While all batches have one size the slope can't be seen;
 * it is kept as it was, and at first all of the time is taken to go by rows.
 */
export class BatchCost {
  #seen = 0;
  #weight = 0;
  #meanRows = 0;
  #meanMs = 0;
  #variance = 0;
  #covariance = 0;
  #rowMs: number | undefined;

  /** A batch of so many rows took so long. */
  observe(rows: number, ms: number): void {
    if (++this.#seen === 1) return;
    this.#weight = this.#weight * memory + 1;
    const share = 1 / this.#weight;
    const rowsOff = rows - this.#meanRows;
    const msOff = ms - this.#meanMs;
    this.#meanRows += share * rowsOff;
    this.#meanMs += share * msOff;
    this.#variance = (1 - share) * (this.#variance + share * rowsOff * rowsOff);
    this.#covariance = (1 - share) * (this.#covariance + share * rowsOff * msOff);
    if (Math.sqrt(this.#variance) > leastSpread * this.#meanRows) this.#rowMs = this.#covariance / this.#variance;
  }

  /** Whether enough batches were seen to act on it. */
  get isKnown(): boolean {
    return this.#seen > trustedAfter;
  }

  /** What each row adds, from 0 to all there is. */
  get rowMs(): number {
    const most = this.#meanRows === 0 ? 0 : this.#meanMs / this.#meanRows;
    return Math.min(most, Math.max(0, this.#rowMs ?? most));
  }

  /** What a batch takes however many rows it has: what joining saves. */
  get fixedMs(): number {
    return this.isKnown ? this.#meanMs - this.rowMs * this.#meanRows : 0;
  }

  /** The most that `fixedMs` may turn out to be: while all batches had one size, all of their time. */
  get mostFixedMs(): number {
    return this.isKnown && this.#rowMs === undefined ? this.#meanMs : this.fixedMs;
  }

  /** What a batch of so many rows is expected to take; 0 while that is not known. */
  expect(rows: number): number {
    return this.isKnown ? this.fixedMs + this.rowMs * rows : 0;
  }
}
