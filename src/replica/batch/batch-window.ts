import type { BatchSettings } from "../../options/settings.js";

/** Why a batch left when it did; a label of `ekiben_batches_total`. */
export type LeaveReason = "full" | "idle" | "gathered" | "window" | "target" | "deadline";

/** What waits when a batch could leave. Instants are readings of one clock, in milliseconds. */
interface WaitingRows {
  readonly now: number;
  readonly rows: number;
  /** When the first of them came. */
  readonly since: number;
  /** The earliest deadline among them; `Infinity` for none. Read only when a batch might wait. */
  readonly deadline: () => number;
}

/** Whether a batch leaves now, or when to ask again if nobody comes before. */
type LeaveDecision = { readonly leave: LeaveReason } | { readonly waitUntil: number };

/** Timers are no finer: a shorter wait is none. */
const leastWaitMs = 1;
/** A batch never waits longer for company than this share of the fixed cost that company can save. */
const longestShare = 0.5;
/** A batch that waits only to see who comes does not wait longer than this share of that. */
const probeShare = 0.25;
/** How much of what was learnt about company its newest sight makes up. */
const newest = 0.3;
/** Every how many batches one waits only to see who comes; twice as many each time that would not have paid. */
const leastProbeGap = 16;
const mostProbeGap = 256;
/** For so long, or ten times the expected time of a batch, costs are known well enough to refuse rows by them. */
const staleAfterMs = 1000;

/** The wait of one batch, from the first moment at which it could have left. */
interface Wait {
  readonly at: number;
  readonly rows: number;
  /** How many more rows to wait for; `Infinity` to see how many there are. */
  readonly wanted: number;
  readonly until: number;
}

/**
 * Decides when a batch leaves, and how many rows it has. Pure: it is told what happens, and when.
 *
 * Calls come in company: those of a crowd of callers that were answered together call again together. So it learns what
 * share of the rows of the last batch comes again after the next could first leave, and how long it takes until they are
 * there. To wait for `more` rows for `ms` saves the fixed cost of a batch for each of them and delays them all, so it
 * pays while `more * fixedMs > (rows + more) * ms`. Where nobody comes, or batches cost nothing but their rows, it never
 * does, and everything leaves at once.
 *
 * What comes while a batch runs is not seen in time, since a model may block the event loop. So company is learnt from
 * waits alone, and now and then a batch waits only to see.
 */
export class BatchWindow {
  readonly cost = new BatchCost();
  readonly #settings: BatchSettings;
  /** Rows that come after the first chance to leave, for each row of the last batch, and the milliseconds until they are there. */
  #company = 0;
  #companyMs = 0;
  #probeGap = leastProbeGap;
  #untilProbe = leastProbeGap;
  #wait: Wait | undefined;
  /** The most rows seen in this wait, and when the last of them came. */
  #seenRows = 0;
  #seenAt = 0;
  #endedAt = Number.NEGATIVE_INFINITY;
  #lastRows = 0;

  constructor(settings: BatchSettings) {
    this.#settings = settings;
  }

  /** Rows a batch may have now: `maxRows`, and no more than finish within the target. At least 1. */
  get mostRows(): number {
    const { maxRows, targetLatencyMs } = this.#settings;
    const { fixedMs, rowMs, isKnown } = this.cost;
    if (!isKnown || rowMs === 0 || targetLatencyMs === Number.POSITIVE_INFINITY) return maxRows;
    return Math.max(1, Math.min(maxRows, Math.floor((targetLatencyMs - fixedMs) / rowMs)));
  }

  /** Whether a batch that could leave does. To be asked when one could, when rows have come, and at `waitUntil`. */
  decide({ now, rows, since, deadline }: WaitingRows): LeaveDecision {
    const { windowMs, targetLatencyMs } = this.#settings;
    const wait = windowMs === undefined ? this.#followWait(now, rows) : undefined;
    if (rows >= this.mostRows) return { leave: "full" };
    if (wait !== undefined && wait.until <= wait.at) return { leave: "idle" };
    if (wait !== undefined && rows - wait.rows >= wait.wanted) return { leave: "gathered" };
    const costMs = this.cost.expect(rows);
    const window = wait === undefined ? since + (windowMs ?? 0) : wait.until;
    const target = since + targetLatencyMs - costMs;
    const until = Math.min(window, target, deadline() - costMs - leastWaitMs);
    if (until > now) return { waitUntil: until };
    return { leave: until === window ? "window" : until === target ? "target" : "deadline" };
  }

  /** A batch has left: what came while it waited is learnt. */
  left(): void {
    const wait = this.#wait;
    this.#wait = undefined;
    if (wait === undefined || wait.until <= wait.at) return;
    const more = this.#seenRows - wait.rows;
    const isProbe = wait.wanted === Number.POSITIVE_INFINITY;
    const weight = isProbe && more > this.#more ? 1 : newest;
    if (this.#lastRows > 0) this.#company += weight * (more / this.#lastRows - this.#company);
    if (more > 0) this.#companyMs += weight * (this.#seenAt - wait.at - this.#companyMs);
    if (isProbe) this.#probeGap = this.#pays(wait.rows) ? leastProbeGap : Math.min(mostProbeGap, 2 * this.#probeGap);
  }

  /** A batch has run. */
  ended(now: number, rows: number, ms: number): void {
    this.cost.observe(rows, ms);
    this.#endedAt = now;
    this.#lastRows = rows;
  }

  /**
   * What a batch of so many rows takes, as far as rows may be refused for it. 0 while nothing is known, and when the last
   * batch was long ago: that costs have fallen is seen only by running one.
   */
  expectSurely(now: number, rows: number): number {
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
    const longest = this.cost.mostFixedMs * longestShare;
    const none = { at, rows, wanted: 0, until: at };
    if (longest < leastWaitMs) return none;
    const pays = this.#pays(rows);
    const isProbe = --this.#untilProbe <= 0;
    if (isProbe) this.#untilProbe = this.#probeGap;
    if (!pays && !isProbe) return none;
    const wanted = isProbe ? Number.POSITIVE_INFINITY : this.#more;
    const patience = pays ? 2 * this.#companyMs + leastWaitMs : Math.max(leastWaitMs, longest * probeShare);
    return { at, rows, wanted, until: at + Math.min(longest, patience) };
  }

  /** Rows expected to come after the first chance. */
  get #more(): number {
    return Math.round(this.#company * this.#lastRows);
  }

  #pays(rows: number): boolean {
    const more = this.#more;
    return more >= 1 && more * this.cost.fixedMs > (rows + more) * this.#companyMs;
  }
}

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
