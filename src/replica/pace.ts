import type { CallScope } from "../call/call-scope.js";
import type { LoopTurns } from "../call/loop-turns.js";

/** Answers, at least, before the pace counts as known. Fewer say too little to refuse a call by. */
const leastAnswers = 8;
/**
 * Age at which an answer counts a third (1/e): in milliseconds, and for slow apis in answers. The longer one counts.
 */
const memoryMs = 1_000;
const memoryAnswers = 32;
/** Most average calls that one long call counts for, since it says little about the next one. */
const mostRuns = 4;
/** Milliseconds, or answers, without news after which the pace is forgotten. */
const staleMs = 1_000;
const staleAnswers = 10;

/**
 * Measures how fast a lane answers while calls wait: the time from one answer to the next. So it need not know how many
 * slots there are, nor how many of them the machine can serve at once.
 *
 * Pure: events are arguments. Instants are readings of one clock, in milliseconds.
 */
export class Pace {
  #runMs: number | undefined;
  #timeMs = 0;
  #answers = 0;
  /** Time of the last answer after which a call waited. */
  #since: number | undefined;
  #heardAt = Number.NEGATIVE_INFINITY;

  /** Average run time of a call in milliseconds; `undefined` while none has ended. */
  get runMs(): number | undefined {
    return this.#runMs;
  }

  /** Milliseconds from one answer to the next; `undefined` while too little is known. */
  get answerMs(): number | undefined {
    return this.#answers < leastAnswers ? undefined : this.#timeMs / this.#answers;
  }

  /** Notes that a call begins to wait in an empty queue. */
  queueBegins(now: number): void {
    this.#since = undefined;
    if (now - this.#heardAt <= Math.max(staleMs, staleAnswers * (this.answerMs ?? 0))) return;
    this.#timeMs = 0;
    this.#answers = 0;
  }

  /** @param runMs Run time of a call, or of calls that ran together. */
  ran(runMs: number): void {
    const known = this.#runMs;
    this.#runMs = averageRun(known, known === undefined ? runMs : Math.min(runMs, 2 * mostRuns * known + 1));
  }

  /**
   * Notes that calls have ended.
   *
   * @param count     Calls that ended at once.
   * @param isAwaited True when other calls wait for their slots.
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

/** Weight of the newest call in the average. */
const averageWeight = 0.1;

/** Assumed run time of a call while none has ended. */
const unknownRunMs = 1_000;

/** Returns the moving average of run times; for the first call it is its own time. */
const averageRun = (averageMs: number | undefined, runMs: number): number =>
  averageMs === undefined ? runMs : averageMs + averageWeight * (runMs - averageMs);

/**
 * Returns the milliseconds after which a refused caller may try again, at least 1.
 *
 * @param averageMs Average run time of a call; `undefined` while none has ended.
 * @param running   Calls that run. If they have lasted longer than the average, their time counts instead.
 * @param turns     Full rounds of running calls before its turn comes.
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

/** Failed runs after which an api counts as warm anyway. */
const maxFailed = 8;

/**
 * Tracks the first runs of an api, until one has returned a result. A model may be compiled in them, which blocks the
 * event loop for longer than any later run. The thread reports that to its supervisor before such a run begins.
 */
export class WarmUp {
  readonly #turns: LoopTurns;
  #running = 0;
  #failuresLeft = maxFailed;

  constructor(turns: LoopTurns) {
    this.#turns = turns;
  }

  /** True when an api is warm. Callers check it first, so that a call costs nothing more then. */
  get isOver(): boolean {
    return this.#failuresLeft === 0;
  }

  /** Counts a run that is about to begin. */
  begin(): void {
    if (!this.isOver && ++this.#running === 1) this.#turns.countFirstRuns(1);
  }

  /** Counts a run that ended without a result. */
  failed(): void {
    if (this.isOver) return;
    this.#failuresLeft--;
    if (--this.#running === 0 || this.isOver) this.#turns.countFirstRuns(-1);
  }

  /** Notes that a run has returned a result. */
  completed(): void {
    this.close();
  }

  /** Ends the tracking; also called when the replica has ended, with a run that may never end. */
  close(): void {
    if (this.isOver) return;
    this.#failuresLeft = 0;
    if (this.#running > 0) this.#turns.countFirstRuns(-1);
  }
}
