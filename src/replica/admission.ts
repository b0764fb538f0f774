import type { Priority } from "../call/call.js";
import { Demand } from "./demand.js";
import { Pace } from "./pace.js";

/** A call that comes where it can't run at once. */
export interface Arrival {
  readonly priority: Priority;
  readonly now: number;
  /** When nobody wants its answer any more; `Infinity` for never. */
  readonly expiresAt: number;
}

/** Where a call waited. */
interface WaitingCall {
  readonly priority: Priority;
  readonly era: number;
}

/** Why a call is not let in. */
export interface Refusal {
  /** More calls come than are answered; or this one could not have been answered in time. */
  readonly why: "overloaded" | "late";
  /** How long it would have waited, at the pace of late; `undefined` while that is not known. */
  readonly waitMs: number | undefined;
}

/**
 * Whether calls may wait in one lane, by its pace and by what becomes of those that wait. Pure: it is told what happens.
 *
 * Background calls are the first to be refused: where interactive ones are lost, they are limited before those are.
 */
export class Admission {
  readonly pace = new Pace();
  readonly interactive: Demand;
  readonly background: Demand;
  #answeredAt = 0;

  /** Whether something waits, or did of late, or is overloaded; else answers say nothing. */
  isBusy = false;
  readonly #together: number;

  /** @param together Calls that may begin together, of an api that joins them. */
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

  /** Why a call that can't run at once must not wait; `undefined` when it may. */
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

  /** How long one more call would wait; `undefined` while too little is known. */
  expectWait(priority: Priority): number | undefined {
    const { answerMs } = this.pace;
    const ahead = priority === "background" && !this.isOverloaded ? this.size : this.of(priority).ahead;
    return answerMs === undefined || ahead < this.#together ? undefined : ahead * answerMs;
  }

  /** A call begins to wait. @returns Its era, for `left`. */
  came(priority: Priority, now: number): number {
    if (this.size === 0) this.pace.queueBegins(now);
    this.isBusy = true;
    return this.of(priority).came();
  }

  /** A call that waited has its place, or waits no more. */
  left(priority: Priority, era: number): void {
    this.of(priority).left(era);
  }

  /**
   * A call was lost: while it waited, or while it ran after it had waited for so long.
   *
   * @param at When its caller left, however long its code then went on.
   */
  lost({ priority, era }: WaitingCall, at: number, waitedMs: number): void {
    this.of(priority).lost(at, { waitedMs, era, answerMs: this.#answerMs });
    this.isBusy = true;
  }

  /** Calls have ended, and their places are not given on yet. @param count How many at once. */
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

  /** A call found a free place: overload may be over, or too few may wait. */
  foundRoom(now: number): void {
    const idleMs = now - this.#answeredAt;
    this.interactive.foundRoom(now, idleMs, this.#answerMs);
    this.background.foundRoom(now, idleMs, this.#answerMs);
  }

  /** Overload may be over. */
  #look(now: number): void {
    this.interactive.look(now, this.#answerMs);
    if (!this.interactive.isOverloaded) this.background.look(now, this.#answerMs);
  }

  get #answerMs(): number {
    return this.pace.answerMs ?? this.pace.runMs ?? 0;
  }
}
