import type { Priority } from "../call/call.js";
import { Demand } from "./demand.js";
import { Pace } from "./pace.js";

/** A call that arrives and can't run at once. */
export interface Arrival {
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
