import type { Priority } from "../call/call.js";
import type { CallScope } from "../call/call-scope.js";
import type { LoopTurns } from "../call/loop-turns.js";
import { Demand } from "./demand.js";

/** A call that arrives and can't run at once. */
interface Arrival {
  readonly priority: Priority;
  readonly now: number;
  /** Instant after which its answer is useless; `Infinity` for never. */
  readonly expiresAt: number;
}

/** Priority and era of a call that waited. */
interface WaitingCall {
  readonly priority: Priority;
  readonly era: number;
}

/** Refusal of a call. */
export interface Refusal {
  /** `"overloaded"`: more calls arrive than are answered. `"late"`: the call could not have been answered in time. */
  readonly why: "overloaded" | "late";
  /** Milliseconds that the call would have waited at the recent rate of answers; `undefined` while unknown. */
  readonly waitMs: number | undefined;
}

/**
 * Decides whether calls may wait in one lane, by its pace and by the fate of those that wait. Pure: events are
 * arguments.
 *
 * Background calls are refused first: when interactive calls are lost, background calls are limited before interactive
 * ones.
 */
export class Admission {
  readonly pace = new Pace();
  readonly interactive: Demand;
  readonly background: Demand;
  #answeredAt = 0;

  /** True while calls wait, did so recently, or overload lasts. Otherwise answers carry no information. */
  isBusy = false;
  readonly #together: number;

  /** @param together Calls that may begin together, for an api that batches. */
  constructor(together = 1) {
    this.#together = together;
    const leastRoom = Math.max(2, together);
    this.interactive = new Demand(leastRoom);
    this.background = new Demand(leastRoom);
  }

  /** Calls that wait. */
  get size(): number {
    return this.interactive.size + this.background.size;
  }

  get isOverloaded(): boolean {
    return this.interactive.isOverloaded || this.background.isOverloaded;
  }

  of(priority: Priority): Demand {
    return priority === "background" ? this.background : this.interactive;
  }

  /** Decides about a call that can't run at once. @returns The refusal; `undefined` when the call may wait. */
  refuse({ priority, now, expiresAt }: Arrival): Refusal | undefined {
    this.#look(now);
    const demand = this.of(priority);
    const waitMs = this.expectWait(priority);
    if (demand.isFull) {
      demand.refused(now);
      return { why: "overloaded", waitMs };
    }
    if (waitMs === undefined || now + waitMs + (this.pace.runMs ?? 0) <= expiresAt) return undefined;
    demand.lost(now, { waitedMs: waitMs, era: demand.era, answerMs: this.#answerMs });
    return { why: "late", waitMs };
  }

  /** Estimates how many milliseconds one more call would wait; `undefined` while too little is known. */
  expectWait(priority: Priority): number | undefined {
    const { answerMs } = this.pace;
    const ahead = priority === "background" && !this.isOverloaded ? this.size : this.of(priority).ahead;
    return answerMs === undefined || ahead < this.#together ? undefined : ahead * answerMs;
  }

  /** Counts a call that begins to wait. @returns Its era, for `left`. */
  came(priority: Priority, now: number): number {
    if (this.size === 0) this.pace.queueBegins(now);
    this.isBusy = true;
    return this.of(priority).came();
  }

  /** Counts a call that no longer waits: it has a slot, or gave up. */
  left(priority: Priority, era: number): void {
    this.of(priority).left(era);
  }

  /**
   * Notes a lost call: its caller left while it waited, or while it ran after a long wait.
   *
   * @param at Time at which its caller left, however long its code ran on.
   */
  lost({ priority, era }: WaitingCall, at: number, waitedMs: number): void {
    this.of(priority).lost(at, { waitedMs, era, answerMs: this.#answerMs });
    this.isBusy = true;
  }

  /** Notes calls that ended and whose slots are not given on yet. @param count Calls that ended at once. */
  answered(now: number, count = 1): void {
    const { interactive, background, pace } = this;
    if (!this.isBusy) return;
    const isAwaited = this.size > 0;
    this.#answeredAt = now;
    pace.answered(now, count, isAwaited);
    const answerMs = this.#answerMs;
    interactive.answered();
    background.answered();
    if (interactive.losesTooMuch) {
      const isFirst = background.size > 0 && !background.isOverloaded;
      background.begin(now, answerMs);
      if (isFirst) interactive.forgive();
      else interactive.begin(now, answerMs);
    }
    if (background.losesTooMuch) background.begin(now, answerMs);
    interactive.tryPatience(now, answerMs);
    background.tryPatience(now, answerMs);
    this.#look(now);
    this.isBusy = isAwaited || this.isOverloaded || interactive.isStirred || background.isStirred;
  }

  /** Notes a call that found a free slot: overload may be over, or too few calls may wait. */
  foundRoom(now: number): void {
    const idleMs = now - this.#answeredAt;
    this.interactive.foundRoom(now, idleMs, this.#answerMs);
    this.background.foundRoom(now, idleMs, this.#answerMs);
  }

  /** Ends overload if its time has come. */
  #look(now: number): void {
    this.interactive.look(now, this.#answerMs);
    if (!this.interactive.isOverloaded) this.background.look(now, this.#answerMs);
  }

  get #answerMs(): number {
    return this.pace.answerMs ?? this.pace.runMs ?? 0;
  }
}

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
