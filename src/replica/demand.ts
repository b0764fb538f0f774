// Demand of the calls of one priority on a lane, and the decision whether it exceeds the capacity of the lane.
//
// LD1  A loss is a call that gives up, or that must be refused because it would be answered too late. A lane is
//      overloaded when there was a loss beside a third of its latest answers, for at least `leastLossMs`. Calls that
//      leave together are one loss. A long queue alone is no overload: a burst whose callers wait for it, or a crowd of
//      callers that each call again when they are answered, loses nothing and is served in order.
// LD2  An overloaded lane serves new calls in order and lets few of them wait; one more is refused at once. Calls that
//      waited before are served in the remaining time, the newest first. So served calls are answered soon, and callers
//      that are not served know it at once.
// LD3  The number of calls that may wait is just large enough that the lane never runs out of work while it refuses
//      calls. It grows when that has happened, and shrinks after a while without it.
// LD4  Overload is over when nothing was lost or refused for a while, or when the lane was idle. During a long overload
//      the patience of callers is tried now and then: more and more calls may wait, until one is lost or none is
//      refused.
//
// A short standing queue, and newest first under overload, are CoDel and adaptive LIFO of Facebook's "Fail at Scale"
// (ACM Queue 13-8, 2015). There the newest calls come first and old ones time out. Here a refusal is cheap and
// immediate, so a short queue in order gives the same goodput and more even latencies, and spares callers the wait.

/** Weight of the newest answer in the share of answers beside which there was a loss. */
const newestWeight = 1 / 8;
const overloadedShare = 0.3;
const forgottenShare = 0.01;
/** Waits shorter than this many answers are no loss: the call did not leave because of its wait. */
const leastWaitAnswers = 2;
/**
 * Losses within fewer milliseconds have one cause, such as a client with many calls that went away, or the end of a
 * load test.
 */
const leastLossMs = 150;
/** Losses within this many milliseconds count as one. */
const sameMomentMs = 5;
/** Overload is over after this many milliseconds, or the time of this many answers, without a loss. */
const quietMs = 500;
const quietAnswers = 32;
/** Overload is also over after this many milliseconds, or the time of this many answers, without work. */
const leastIdleMs = 50;
const idleAnswers = 5;
/**
 * Factors of the number of calls that may wait: after a lack of work, and after `tightenAnswers` answers without one.
 */
const wider = 1.5;
const tighter = 0.75;
const tightenAnswers = 16;
/**
 * Overload lasts this long, or the time of this many answers, before the patience of callers is tried; the next trial
 * comes after twice as long.
 */
const firstTrialMs = 8_000;
const firstTrialAnswers = 800;
const longestPause = 64;
const trialStepMs = 250;
const trialStepAnswers = 25;

/** One lost call. */
interface Loss {
  /** Milliseconds that it had waited, or would have waited. */
  readonly waitedMs: number;
  /** Era in which it arrived. */
  readonly era: number;
  /** Milliseconds from one answer of the lane to the next. */
  readonly answerMs: number;
}

/** Decides whether the calls of one priority overload a lane. Pure: events and their times are arguments. */
export class Demand {
  readonly #leastRoom: number;
  #isOverloaded = false;
  #era = 0;
  #size = 0;
  #waiting = 0;
  #room: number;
  #share = 0;
  #hasLost = false;
  /** Times of the first and the last loss in the share. */
  #firstLossAt = Number.POSITIVE_INFINITY;
  #lastLossAt = Number.NEGATIVE_INFINITY;
  #troubleAt = Number.NEGATIVE_INFINITY;
  #calmAnswers = 0;
  #trialAt = 0;
  /** Pause before the next trial, as a multiple of the first pause. */
  #pause = 1;
  #isTrial = false;

  /** @param leastRoom Calls that may wait under any overload; for an api that batches, the calls of one batch. */
  constructor(leastRoom: number) {
    this.#leastRoom = leastRoom;
    this.#room = leastRoom;
  }

  get isOverloaded(): boolean {
    return this.#isOverloaded;
  }

  /** Number of changes between calm and overload so far. Calls of earlier eras wait apart (LD2). */
  get era(): number {
    return this.#era;
  }

  /** Calls that wait. */
  get size(): number {
    return this.#size;
  }

  /** Calls that would be served before one more call. */
  get ahead(): number {
    return this.#isOverloaded ? this.#waiting : this.#size;
  }

  /** Calls that may wait during overload. */
  get room(): number {
    return this.#room;
  }

  get isFull(): boolean {
    return this.#isOverloaded && this.#waiting >= this.#room;
  }

  /** True when there was a loss recently. */
  get isStirred(): boolean {
    return this.#hasLost || this.#share > 0;
  }

  get losesTooMuch(): boolean {
    const lastedMs = this.#lastLossAt - this.#firstLossAt;
    return !this.#isOverloaded && this.#share >= overloadedShare && lastedMs >= leastLossMs;
  }

  /** Counts a call that begins to wait. @returns Its era, for `left`. */
  came(): number {
    this.#size++;
    this.#waiting++;
    return this.#era;
  }

  /** Counts a call that no longer waits. */
  left(era: number): void {
    this.#size--;
    if (era === this.#era) this.#waiting--;
  }

  /** Notes a call that was refused for lack of room. */
  refused(now: number): void {
    this.#troubleAt = now;
  }

  /** Notes a loss: a call whose caller gave up, or that could not have been answered in time. */
  lost(at: number, { waitedMs, era, answerMs }: Loss): void {
    if (era !== this.#era || waitedMs < leastWaitAnswers * answerMs) return;
    if (!this.#isOverloaded) {
      if (!this.isStirred) this.#firstLossAt = at;
      else if (Math.abs(at - this.#lastLossAt) < sameMomentMs) return;
      this.#lastLossAt = at;
      this.#hasLost = true;
      return;
    }
    this.#hasLost = true;
    this.#troubleAt = at;
    this.#tighten(at, answerMs);
  }

  /** Notes an answer of the lane, of any priority. */
  answered(): void {
    this.#share += newestWeight * ((this.#hasLost ? 1 : 0) - this.#share);
    if (this.#share < forgottenShare) this.#share = 0;
    this.#hasLost = false;
    if (!this.#isOverloaded || this.#isTrial || ++this.#calmAnswers < tightenAnswers) return;
    this.#calmAnswers = 0;
    this.#room = Math.max(this.#leastRoom, Math.floor(this.#room * tighter));
  }

  /**
   * Notes a call that found a free slot. If the lane refused calls recently, it let too few of them wait (LD3).
   *
   * @param idleMs Milliseconds since the last call ended.
   */
  foundRoom(now: number, idleMs: number, answerMs: number): void {
    if (!this.#isOverloaded) return;
    if (idleMs >= Math.max(leastIdleMs, idleAnswers * answerMs)) {
      this.#change(false);
    } else if (now - this.#troubleAt <= quietAnswers * answerMs) {
      this.#calmAnswers = 0;
      this.#room = Math.ceil(wider * this.#room);
    }
  }

  /** Ends overload if enough time has passed (LD4). */
  look(now: number, answerMs: number): void {
    if (!this.#isOverloaded) return;
    if (now - this.#troubleAt >= Math.max(quietMs, quietAnswers * answerMs)) this.#change(false);
  }

  /** Begins overload. */
  begin(now: number, answerMs: number): void {
    if (this.#isOverloaded) return;
    this.#troubleAt = now;
    this.#planTrial(now, answerMs);
    this.#room = this.#leastRoom;
    this.#change(true);
  }

  /** Forgets the losses so far, since the other priority has been limited for them. */
  forgive(): void {
    this.#share = 0;
    this.#hasLost = false;
  }

  /** Lets more calls wait, step by step, during a long overload (LD4). */
  tryPatience(now: number, answerMs: number): void {
    if (!this.#isOverloaded || now < this.#trialAt) return;
    this.#isTrial = true;
    this.#trialAt = now + Math.max(trialStepMs, trialStepAnswers * answerMs);
    this.#room *= 2;
  }

  #change(isOverloaded: boolean): void {
    this.#isOverloaded = isOverloaded;
    this.#era++;
    this.#waiting = 0;
    this.#calmAnswers = 0;
    this.#isTrial = false;
    if (!isOverloaded) this.#pause = 1;
    this.forgive();
  }

  #tighten(now: number, answerMs: number): void {
    this.#calmAnswers = 0;
    this.#room = Math.max(this.#leastRoom, this.#isTrial ? 0 : Math.floor(this.#room / 2));
    if (!this.#isTrial) return;
    this.#isTrial = false;
    this.#pause = Math.min(longestPause, 2 * this.#pause);
    this.#planTrial(now, answerMs);
  }

  #planTrial(now: number, answerMs: number): void {
    this.#trialAt = now + this.#pause * Math.max(firstTrialMs, firstTrialAnswers * answerMs);
  }
}
