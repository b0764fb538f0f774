import type { Clock } from "../base/clock.js";

// What may run between two turns of one thread's event loop.
//
// T1  After runs that together were long, nothing more begins before the loop has read all that came meanwhile: answers have
//     left, cancels, deadlines and questions of the supervisor are known.
// T2  Of those who wait, the one that has had the least of the loop begins first.
// T3  While something waits that could begin, a turn is under way.

/** Where something waits for its turn: the lane of an api, or its batches. */
export interface TurnTaker {
  /** Whether something waits that could begin. */
  readonly canBegin: boolean;
  /** Milliseconds of the loop it has had, as far as they count; kept by `LoopTurns` alone. */
  usedMs: number;
  /** Begins one thing that waits, or drops it where nobody wants it any more. Never throws. */
  begin(): void;
}

/**
 * Runs that lasted so long together are followed by a turn, in milliseconds.
 *
 * Turns cost some 5 us, so less than 1 % of what they come between; and what waits for nothing but the loop waits no longer
 * than for this and one run.
 */
export const longMs = 1;
/** Shorter runs need not be counted: few of them come between two turns, and the shortest calls cost little more than counting. */
export const shortMs = 0.02;
/** From here on the turn is ended on purpose, so that what is short alone does not add up over turns that came by themselves. */
const countedMs = 0.25;
/**
 * Turns that come before the next run after a long one: in the first what arrived is read, in the second what follows from it
 * has happened, as the close of a socket does, and a run that did not begin at the start of a turn has one left of its own.
 */
const turnsBetween = 3;

/** How much of it is left of the longest run with each one that is shorter. */
const longestKept = 0.99;

/** Decides, for one thread, what begins at once and what waits until the event loop has turned. */
export class LoopTurns {
  /** What runs have taken since the loop last turned. */
  spentMs = 0;
  /** The longest run of late. */
  longestMs = 0;
  /** Hears when first runs of apis begin, and when none is left: before the first one begins. */
  onFirstRuns: ((isRunning: boolean) => void) | undefined;
  #firstRuns = 0;
  readonly #clock: Clock;
  readonly #takers = new Set<TurnTaker>();
  #isArmed = false;
  /** Whoever begins here is charged for all that it brings about. */
  #isBeginning = false;
  #turnsLeft = 0;
  /** How much whoever began last had had: one that begins to wait counts as having had no less. */
  #usedMs = 0;
  /** The most that anybody has had. Of what was had while nobody waited only the last run counts: there are no debts from before. */
  #mostMs = 0;
  readonly #onTurn = (): void => this.#turn();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether runs have taken so much that nothing more may begin in this turn. */
  get isLong(): boolean {
    return this.spentMs >= longMs;
  }

  /** Whether one that asks now has to wait, for the loop or for others. */
  get isTaken(): boolean {
    return this.isLong || this.#takers.size > 0;
  }

  /**
   * Counts a run that has ended, or the part of it that kept the event loop from turning.
   *
   * @param before `spentMs` as it was when it began: runs inside of it are parts of it.
   * @param taker  Whose run it is: one that began without waiting counts where others wait next.
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

  /** Lets something begin in a later turn (T3); once is enough until nothing of it waits. */
  await(taker: TurnTaker): void {
    if (!this.#takers.has(taker)) {
      this.#takers.add(taker);
      taker.usedMs = Math.max(taker.usedMs, this.#usedMs);
    }
    this.#arm();
  }

  /** Resolves when something may begin: at once where nothing keeps it from that. */
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

  /** Where nobody waits, all were alike until now. */
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

  /** Here every run counts, and what it brings about at once. */
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

  /** The one that has had the least (T2); those of whom nothing can begin any more are dropped. */
  #next(): TurnTaker | undefined {
    let next: TurnTaker | undefined;
    for (const taker of this.#takers) {
      if (!taker.canBegin) this.#takers.delete(taker);
      else if (next === undefined || taker.usedMs < next.usedMs) next = taker;
    }
    return next;
  }
}
