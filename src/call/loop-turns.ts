import type { Clock } from "../base/clock.js";

// Rules for the work between two turns of one thread's event loop.
//
// TN1  After runs that were long in sum, nothing more begins before the loop has read all that arrived meanwhile:
//      answers have left; cancels, deadlines and questions of the supervisor are known.
// TN2  Among the waiting takers, the one that has used the least time of the loop begins first.
// TN3  While something waits that could begin, a turn is under way.

/** Owner of waiting work: the lane of an api, or its batches. */
export interface TurnTaker {
  /** True when waiting work could begin. */
  readonly canBegin: boolean;
  /** Milliseconds of the loop that it has used, as far as they count; written by `LoopTurns` alone. */
  usedMs: number;
  /** Begins one piece of waiting work, or drops it where it is no longer wanted. Never throws. */
  begin(): void;
}

/**
 * Milliseconds of runs, in sum, that are followed by a turn.
 *
 * A turn costs about 5 us, less than 1 % of the work between two turns. Work that waits for the loop alone waits at
 * most this time and one run.
 */
export const longMs = 1;
/**
 * Shorter runs need not be counted: few of them fit between two turns, and the shortest calls cost little more than
 * counting.
 */
export const shortMs = 0.02;
/**
 * Turns are ended on purpose from this time on, so that short runs alone do not add up over turns that came by
 * themselves.
 */
const countedMs = 0.25;
/**
 * Turns before the next run after a long one. In the first one the arrived data is read; in the second one its
 * consequences happen, such as the close of a socket; a run that did not begin at the start of a turn has one left of
 * its own.
 */
const turnsBetween = 3;

/** Share of the longest run that each shorter run keeps. */
const longestKept = 0.99;

/** Decides, for one thread, which work begins at once and which waits until the event loop has turned. */
export class LoopTurns {
  /** Milliseconds of runs since the loop last turned. */
  spentMs = 0;
  /** Longest recent run. */
  longestMs = 0;
  /** Called before the first of the apis' first runs begins, and when none is left. */
  onFirstRuns: ((isRunning: boolean) => void) | undefined;
  #firstRuns = 0;
  readonly #clock: Clock;
  readonly #takers = new Set<TurnTaker>();
  #isArmed = false;
  /** True while `begin` runs: all time that it causes is charged to its taker. */
  #isBeginning = false;
  #turnsLeft = 0;
  /** Time used by the taker that began last. A taker that begins to wait counts as having used no less. */
  #usedMs = 0;
  /** Largest time used by any taker. Of the time used while nothing waited only the last run counts: no old debts. */
  #mostMs = 0;
  readonly #onTurn = (): void => this.#turn();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when runs have used so much time that nothing more may begin in this turn. */
  get isLong(): boolean {
    return this.spentMs >= longMs;
  }

  /** True when a new request has to wait, for the loop or for others. */
  get isTaken(): boolean {
    return this.isLong || this.#takers.size > 0;
  }

  /**
   * Counts a run that has ended, or its part that kept the event loop from turning.
   *
   * @param before `spentMs` at its begin: runs inside it are parts of it.
   * @param taker Owner of the run: one that began without waiting counts where others wait next.
   */
  count(before: number, runMs: number, taker?: TurnTaker): void {
    this.spentMs = before + runMs;
    if (taker !== undefined && !this.#isBeginning && runMs >= longMs) this.#charge(taker, runMs);
    this.longestMs = Math.max(runMs, this.longestMs * longestKept);
    if (this.spentMs >= countedMs) this.#arm();
  }

  /** Counts apis that are in the first of their runs. */
  countFirstRuns(change: 1 | -1): void {
    this.#firstRuns += change;
    if (this.#firstRuns === (change === 1 ? 1 : 0)) this.onFirstRuns?.(change === 1);
  }

  /** Lets the taker begin in a later turn (TN3). One call is enough until none of its work waits. */
  await(taker: TurnTaker): void {
    if (!this.#takers.has(taker)) {
      this.#takers.add(taker);
      taker.usedMs = Math.max(taker.usedMs, this.#usedMs);
    }
    this.#arm();
  }

  /** Resolves when something may begin: at once where nothing prevents it. */
  async passed(): Promise<void> {
    if (!this.isTaken) return;
    await new Promise<void>((resolve) => {
      const taker = {
        canBegin: true,
        usedMs: 0,
        begin: () => {
          taker.canBegin = false;
          resolve();
        },
      };
      this.await(taker);
    });
  }

  /** All takers were equal until now where none was waiting. */
  #charge(taker: TurnTaker, ms: number): void {
    if (this.#takers.size === 0) this.#usedMs = this.#mostMs;
    taker.usedMs = Math.max(taker.usedMs, this.#usedMs) + ms;
    this.#mostMs = Math.max(this.#mostMs, taker.usedMs);
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#turnsLeft = turnsBetween;
    setImmediate(this.#onTurn);
  }

  #turn(): void {
    if (this.isLong && --this.#turnsLeft > 0) {
      setImmediate(this.#onTurn);
      return;
    }
    this.#isArmed = false;
    this.spentMs = 0;
    for (let taker = this.#next(); taker !== undefined && !this.isLong; taker = this.#next()) this.#begin(taker);
    if (this.#takers.size > 0 || this.spentMs >= countedMs) this.#arm();
  }

  /** Every run inside counts, with all that it causes at once. */
  #begin(taker: TurnTaker): void {
    const before = this.spentMs;
    const from = this.#clock.now();
    this.#usedMs = taker.usedMs;
    this.#isBeginning = true;
    taker.begin();
    this.#isBeginning = false;
    const tookMs = this.#clock.now() - from;
    this.spentMs = before + tookMs;
    this.#charge(taker, tookMs);
  }

  /** Returns the taker that has used the least (TN2). Takers whose work can't begin any more are dropped. */
  #next(): TurnTaker | undefined {
    let next: TurnTaker | undefined;
    for (const taker of this.#takers) {
      if (!taker.canBegin) this.#takers.delete(taker);
      else if (next === undefined || taker.usedMs < next.usedMs) next = taker;
    }
    return next;
  }
}
