import type { BatchSettings } from "../../options/settings.js";

/** Reason why a batch left; a label of `ekiben_batches_total`. */
export type LeaveReason = "full" | "idle" | "gathered" | "window" | "target" | "deadline";

/** Rows that wait when a batch could leave. Instants are readings of one clock, in milliseconds. */
interface WaitingRows {
  readonly now: number;
  readonly rows: number;
  /** Arrival of the first of them. */
  readonly since: number;
  /** Returns the earliest deadline among them; `Infinity` for none. Called only when a batch might wait. */
  readonly deadline: () => number;
}

/** Decision that a batch leaves now, or the time to ask again if no row arrives before. */
type LeaveDecision = { readonly leave: LeaveReason } | { readonly waitUntil: number };

/** Timers have a resolution of 1 ms; shorter waits are skipped. */
const timerResolutionMs = 1;
/** Longest wait for more rows, as a share of the fixed cost that joining them can save. */
const maxWaitShare = 0.5;
/** Longest wait of a trial, as a share of that longest wait. */
const trialWaitShare = 0.25;
/** Weight of the newest observation in the running averages of arrivals. */
const newestWeight = 0.3;
/** Batches from one trial to the next; twice as many after each trial that would not have paid. */
const minTrialGap = 16;
const maxTrialGap = 256;
/** Milliseconds, or ten expected batch times, for which measured costs are recent enough to refuse rows by them. */
const staleAfterMs = 1000;

/** Wait of one batch, from the first moment at which it could have left. */
interface Wait {
  readonly at: number;
  readonly rows: number;
  /** Further rows to wait for; `Infinity` in a trial, which counts how many arrive. */
  readonly wanted: number;
  readonly until: number;
}

/**
 * Decides when a batch leaves, and how many rows it has. Pure: events and their times are arguments.
 *
 * Callers that were answered together call again together. So this estimates how many rows arrive soon after a batch
 * could leave, as a share of the rows of the last batch, and how long they take to arrive. Waiting `ms` for `more` rows
 * saves the fixed cost of a batch for each of them and delays them all, so it pays while `more * fixedMs > (rows +
 * more) * ms`. When no rows arrive, or a batch costs nothing but its rows, waiting never pays, and every batch leaves
 * at once.
 *
 * Arrivals during a run are not seen in time, since a model may block the event loop. So arrivals are measured only
 * while a batch waits, and now and then a batch waits only to measure them: a trial.
 */
export class BatchWindow {
  readonly cost = new BatchCost();
  readonly #settings: BatchSettings;
  /** Rows that arrive after a batch could first leave, for each row of the last batch. */
  #expectedShare = 0;
  #arrivalMs = 0;
  #trialGap = minTrialGap;
  #batchesUntilTrial = minTrialGap;
  #wait: Wait | undefined;
  /** Most rows seen in this wait, and the arrival of the last of them. */
  #seenRows = 0;
  #seenAt = 0;
  #endedAt = Number.NEGATIVE_INFINITY;
  #lastBatchRows = 0;

  constructor(settings: BatchSettings) {
    this.#settings = settings;
  }

  /**
   * Rows that a batch may have now: at most `maxRows`, and no more than finish within the target latency. At least 1.
   */
  get mostRows(): number {
    const { maxRows, targetLatencyMs } = this.#settings;
    const { fixedMs, rowMs, isKnown } = this.cost;
    if (!isKnown || rowMs === 0 || targetLatencyMs === Number.POSITIVE_INFINITY) return maxRows;
    return Math.max(1, Math.min(maxRows, Math.floor((targetLatencyMs - fixedMs) / rowMs)));
  }

  /** Decides whether a batch leaves. Call it when one could leave, when rows have arrived, and at `waitUntil`. */
  decide({ now, rows, since, deadline }: WaitingRows): LeaveDecision {
    const { windowMs, targetLatencyMs } = this.#settings;
    const wait = windowMs === undefined ? this.#followWait(now, rows) : undefined;
    if (rows >= this.mostRows) return { leave: "full" };
    if (wait !== undefined && wait.until <= wait.at) return { leave: "idle" };
    if (wait !== undefined && rows - wait.rows >= wait.wanted) return { leave: "gathered" };
    const costMs = this.cost.expect(rows);
    const window = wait === undefined ? since + (windowMs ?? 0) : wait.until;
    const target = since + targetLatencyMs - costMs;
    const until = Math.min(window, target, deadline() - costMs - timerResolutionMs);
    if (until > now) return { waitUntil: until };
    return { leave: until === window ? "window" : until === target ? "target" : "deadline" };
  }

  /** Notes that a batch has left, and learns from the rows that arrived while it waited. */
  left(): void {
    const wait = this.#wait;
    this.#wait = undefined;
    if (wait === undefined || wait.until <= wait.at) return;
    const more = this.#seenRows - wait.rows;
    const isTrial = wait.wanted === Number.POSITIVE_INFINITY;
    const weight = isTrial && more > this.#expectedArrivals ? 1 : newestWeight;
    if (this.#lastBatchRows > 0) this.#expectedShare += weight * (more / this.#lastBatchRows - this.#expectedShare);
    if (more > 0) this.#arrivalMs += weight * (this.#seenAt - wait.at - this.#arrivalMs);
    if (isTrial) this.#trialGap = this.#pays(wait.rows) ? minTrialGap : Math.min(maxTrialGap, 2 * this.#trialGap);
  }

  /** Notes a batch that has run. */
  ended(now: number, rows: number, ms: number): void {
    this.cost.observe(rows, ms);
    this.#endedAt = now;
    this.#lastBatchRows = rows;
  }

  /**
   * Estimates the time of a batch with `rows` rows, for refusing rows by it. 0 while nothing is known, and when the
   * last batch was long ago: only another run can show that costs have fallen.
   */
  expectRecent(now: number, rows: number): number {
    const expected = this.cost.expect(rows);
    return now - this.#endedAt <= Math.max(staleAfterMs, 10 * expected) ? expected : 0;
  }

  #followWait(now: number, rows: number): Wait {
    if (this.#wait === undefined) {
      this.#wait = this.#planWait(now, rows);
      this.#seenRows = rows;
      this.#seenAt = now;
    } else if (rows > this.#seenRows) {
      this.#seenRows = rows;
      this.#seenAt = now;
    }
    return this.#wait;
  }

  #planWait(at: number, rows: number): Wait {
    const longestMs = this.cost.mostFixedMs * maxWaitShare;
    const noWait = { at, rows, wanted: 0, until: at };
    if (longestMs < timerResolutionMs) return noWait;
    const pays = this.#pays(rows);
    const isTrial = --this.#batchesUntilTrial <= 0;
    if (isTrial) this.#batchesUntilTrial = this.#trialGap;
    if (!pays && !isTrial) return noWait;
    const wanted = isTrial ? Number.POSITIVE_INFINITY : this.#expectedArrivals;
    const waitMs = pays
      ? 2 * this.#arrivalMs + timerResolutionMs
      : Math.max(timerResolutionMs, longestMs * trialWaitShare);
    return { at, rows, wanted, until: at + Math.min(longestMs, waitMs) };
  }

  /** Rows expected to arrive after the batch could first leave. */
  get #expectedArrivals(): number {
    return Math.round(this.#expectedShare * this.#lastBatchRows);
  }

  #pays(rows: number): boolean {
    const more = this.#expectedArrivals;
    return more >= 1 && more * this.cost.fixedMs > (rows + more) * this.#arrivalMs;
  }
}

/** Weight that older observations keep at each further batch: about the last twenty count. */
const memory = 0.95;
/** Batches before the line is trusted. The first one is not counted at all: code is compiled and memory grows in it. */
const trustedAfter = 3;
/** Standard deviation of the sizes, as a share of their mean, from which the slope can be measured. */
const leastSpread = 0.1;

/**
 * Learns the cost of batches as a line through size and time: `fixedMs + rows * rowMs`.
 *
 * Least squares over the batches so far, newer ones weighted more. While all batches have one size, the slope can't be
 * measured. It keeps its last value then; at first all of the time is attributed to rows.
 */
export class BatchCost {
  #seen = 0;
  #weight = 0;
  #meanRows = 0;
  #meanMs = 0;
  #variance = 0;
  #covariance = 0;
  #rowMs: number | undefined;

  /** Notes that a batch of `rows` rows took `ms` milliseconds. */
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

  /** True when enough batches were seen to act on the line. */
  get isKnown(): boolean {
    return this.#seen > trustedAfter;
  }

  /** Milliseconds that each row adds, from 0 to the whole time divided by the rows. */
  get rowMs(): number {
    const most = this.#meanRows === 0 ? 0 : this.#meanMs / this.#meanRows;
    return Math.min(most, Math.max(0, this.#rowMs ?? most));
  }

  /** Milliseconds that a batch takes regardless of its rows. Joining batches saves them. */
  get fixedMs(): number {
    return this.isKnown ? this.#meanMs - this.rowMs * this.#meanRows : 0;
  }

  /** Upper bound of `fixedMs`: the whole time of a batch while all batches had one size. */
  get mostFixedMs(): number {
    return this.isKnown && this.#rowMs === undefined ? this.#meanMs : this.fixedMs;
  }

  /** Estimates the milliseconds of a batch with `rows` rows; 0 while unknown. */
  expect(rows: number): number {
    return this.isKnown ? this.fixedMs + this.rowMs * rows : 0;
  }
}
