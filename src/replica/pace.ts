import type { CallScope } from "../call/call-scope.js";
import type { LoopTurns } from "../call/loop-turns.js";

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

/** How much of the average the newest call makes up. */
const averageWeight = 0.1;

/** What a call is taken to last while none has ended. */
const unknownRunMs = 1_000;

/** The average of late: that of the first call is its own. */
const averageRun = (averageMs: number | undefined, runMs: number): number =>
  averageMs === undefined ? runMs : averageMs + averageWeight * (runMs - averageMs);

/**
 * Milliseconds after which a caller that was refused may try again, at least 1.
 *
 * @param averageMs What a call takes; `undefined` while none has ended.
 * @param running   Calls that run: what they have lasted already says more than an average of others.
 * @param turns     How often all that run must be over before its turn comes.
 */
export function expectWait(averageMs: number | undefined, running: readonly CallScope[], turns: number): number {
  let runMs = averageMs ?? unknownRunMs;
  if (running.length > 0) {
    let newest = 0;
    for (const { startedAt } of running) newest = Math.max(newest, startedAt);
    const [{ time }] = running as [CallScope];
    runMs = Math.max(runMs, time.clock.now() - newest);
  }
  return Math.max(1, Math.ceil(runMs * turns));
}

/** Runs that failed, after which an api counts as warm all the same. */
const maxFailed = 8;

/**
 * The first runs of an api, until one has come to its end: a model may be compiled in them, which keeps the event loop from turning
 * for longer than any run after it. The thread says so to its supervisor before that begins.
 */
export class WarmUp {
  readonly #turns: LoopTurns;
  #running = 0;
  #failuresLeft = maxFailed;

  constructor(turns: LoopTurns) {
    this.#turns = turns;
  }

  /** Asked first, since that is all that a call costs once it is. */
  get isOver(): boolean {
    return this.#failuresLeft === 0;
  }

  /** A run is about to begin. */
  begin(): void {
    if (!this.isOver && ++this.#running === 1) this.#turns.countFirstRuns(1);
  }

  /** A run has ended without a result. */
  failed(): void {
    if (this.isOver) return;
    this.#failuresLeft--;
    if (--this.#running === 0 || this.isOver) this.#turns.countFirstRuns(-1);
  }

  /** A run has given a result. */
  completed(): void {
    this.close();
  }

  /** It is over: also where its replica has ended, with a run that may never end. */
  close(): void {
    if (this.isOver) return;
    this.#failuresLeft = 0;
    if (this.#running > 0) this.#turns.countFirstRuns(-1);
  }
}
