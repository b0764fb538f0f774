import { averageRun } from "./run-average.js";

/** So much counts as known: fewer answers say too little to refuse anybody by. */
const leastAnswers = 8;
/** Answers of so long ago count a third; of slow apis, those of this many answers ago. */
const memoryMs = 1_000;
const memoryAnswers = 32;
/** One call that takes long says little of the next: it counts for no more than this many average ones. */
const mostRuns = 4;
/** A pace of which nothing was heard for so long, or for ten answers, is forgotten. */
const staleMs = 1_000;
const staleAnswers = 10;

/**
 * How fast the calls of a lane are answered while others wait: the time from one answer to the next. So it needs not know
 * how many places there are, nor how many of them the machine has room for.
 *
 * Pure: it is told what happens, and when. Instants are readings of one clock, in milliseconds.
 */
export class Pace {
  #runMs: number | undefined;
  #timeMs = 0;
  #answers = 0;
  /** The last answer after which somebody waited. */
  #since: number | undefined;
  #heardAt = Number.NEGATIVE_INFINITY;

  /** What a call runs on average; `undefined` while none has ended. */
  get runMs(): number | undefined {
    return this.#runMs;
  }

  /** From one answer to the next; `undefined` while too little is known. */
  get answerMs(): number | undefined {
    return this.#answers < leastAnswers ? undefined : this.#timeMs / this.#answers;
  }

  /** A call begins to wait where none did. */
  queueBegins(now: number): void {
    this.#since = undefined;
    if (now - this.#heardAt <= Math.max(staleMs, staleAnswers * (this.answerMs ?? 0))) return;
    this.#timeMs = 0;
    this.#answers = 0;
  }

  /** @param runMs What a call, or calls that ran together, took. */
  ran(runMs: number): void {
    const known = this.#runMs;
    this.#runMs = averageRun(known, known === undefined ? runMs : Math.min(runMs, 2 * mostRuns * known + 1));
  }

  /**
   * Calls have ended.
   *
   * @param count     How many at once.
   * @param isAwaited Whether others wait for their places.
   */
  answered(now: number, count: number, isAwaited: boolean): void {
    if (this.#since !== undefined) {
      this.#observe(now - this.#since, count);
      this.#heardAt = now;
    }
    this.#since = isAwaited ? now : undefined;
  }

  #observe(ms: number, count: number): void {
    const took = Math.min(ms, mostRuns * Math.max(1, this.#runMs ?? ms));
    const memory = Math.max(memoryMs, memoryAnswers * (this.answerMs ?? took));
    const rest = Math.exp(-took / memory);
    this.#timeMs = this.#timeMs * rest + took;
    this.#answers = this.#answers * rest + count;
  }
}
