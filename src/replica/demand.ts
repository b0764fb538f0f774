// What the calls of one priority ask of a lane, and whether that is more than it can give.
//
// D1  Calls that give up, or must be refused since they would be answered too late, are losses. A lane is overloaded when
//     beside a third of its latest answers something was lost, and that has gone on for a while: a crowd that leaves together
//     is one loss. It is not overloaded because many wait. A burst that its callers wait for,
//     or a crowd of callers that each call again when they are answered, loses nothing and is served in its order.
// D2  An overloaded lane serves those that come from now on, in their order, and keeps few of them waiting: one more is
//     refused at once. Those that waited before are served in what time is left, the newest first. So what is served is
//     answered soon, and whoever is not served knows it at once.
// D3  It keeps just so many waiting that it never runs out of work while it refuses: more when that has happened, one less
//     after a while without it.
// D4  It is over when nothing was lost or refused for a while, or when the lane was idle. While it lasts long, it is tried now
//     and then whether callers wait: more and more of them may, until something is lost or nothing is refused.
//
// To keep a standing queue short and to turn to the newest under overload are CoDel and adaptive LIFO of Facebook's
// "Fail at Scale" (ACM Queue 13-8, 2015). There the newest come first and the old are left to time out; where a refusal
// is cheap and at once, a short queue in order gives the same goodput, evener answers, and spares everybody the wait.

/** How much the latest answer makes up of the share of answers beside which something was lost. */
const newest = 1 / 8;
const overloadedShare = 0.3;
const forgottenShare = 0.01;
/** A call that leaves after less than so many answers has not left for its wait. */
const leastWaitAnswers = 2;
/** Losses that go on for less are of one moment: a client with many calls that went away, the end of somebody's test. */
const leastLossMs = 150;
/** Losses so close together are one. */
const sameMomentMs = 5;
/** Overload is over after so long, or so many answers, without a loss. */
const quietMs = 500;
const quietAnswers = 32;
/** Or after so long, or so many answers, without work. */
const leastIdleMs = 50;
const idleAnswers = 5;
/** How much more may wait after a lack of work, and how much less after so many answers without one. */
const wider = 1.5;
const tighter = 0.75;
const tightenAnswers = 16;
/** After so long, or so many answers, of overload the patience of callers is tried, step by step; then after twice as long. */
const firstTrialMs = 8_000;
const firstTrialAnswers = 800;
const longestPause = 64;
const trialStepMs = 250;
const trialStepAnswers = 25;

/** A call that was lost. */
export interface Loss {
  /** For how long it had waited, or would have. */
  readonly waitedMs: number;
  /** The one it came in. */
  readonly era: number;
  /** The pace of the lane. */
  readonly answerMs: number;
}

/** Whether the calls of one priority ask too much of a lane. Pure: it is told what happens, and when. */
export class Demand {
  readonly #leastRoom: number;
  #isOverloaded = false;
  #era = 0;
  #size = 0;
  #waiting = 0;
  #room: number;
  #share = 0;
  #hasLost = false;
  /** Of the losses that the share is made of: when the first and the last of them left. */
  #firstLossAt = Number.POSITIVE_INFINITY;
  #lastLossAt = Number.NEGATIVE_INFINITY;
  #troubleAt = Number.NEGATIVE_INFINITY;
  #calmAnswers = 0;
  #trialAt = 0;
  /** Until the next trial, in first ones. */
  #pause = 1;
  #isTrial = false;

  /** @param leastRoom Calls that may wait however great the overload is; of an api that joins calls, those of a batch. */
  constructor(leastRoom: number) {
    this.#leastRoom = leastRoom;
    this.#room = leastRoom;
  }

  get isOverloaded(): boolean {
    return this.#isOverloaded;
  }

  /** Counts changes between calm and overload. Calls of earlier eras wait apart (D2). */
  get era(): number {
    return this.#era;
  }

  /** Calls that wait. */
  get size(): number {
    return this.#size;
  }

  /** Calls whose turn is before that of one more. */
  get ahead(): number {
    return this.#isOverloaded ? this.#waiting : this.#size;
  }

  /** Calls that may wait while it is overloaded. */
  get room(): number {
    return this.#room;
  }

  get isFull(): boolean {
    return this.#isOverloaded && this.#waiting >= this.#room;
  }

  /** Whether something was lost of late. */
  get isStirred(): boolean {
    return this.#hasLost || this.#share > 0;
  }

  get losesTooMuch(): boolean {
    const lastedMs = this.#lastLossAt - this.#firstLossAt;
    return !this.#isOverloaded && this.#share >= overloadedShare && lastedMs >= leastLossMs;
  }

  /** A call begins to wait. @returns Its era, for `left`. */
  came(): number {
    this.#size++;
    this.#waiting++;
    return this.#era;
  }

  /** A call waits no more. */
  left(era: number): void {
    this.#size--;
    if (era === this.#era) this.#waiting--;
  }

  /** A call was refused for lack of room. */
  refused(now: number): void {
    this.#troubleAt = now;
  }

  /** A call was lost: nobody waited for it any more, or it could not have been answered in time. */
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

  /** A call of the lane was answered, of whatever priority. */
  answered(): void {
    this.#share += newest * ((this.#hasLost ? 1 : 0) - this.#share);
    if (this.#share < forgottenShare) this.#share = 0;
    this.#hasLost = false;
    if (!this.#isOverloaded || this.#isTrial || ++this.#calmAnswers < tightenAnswers) return;
    this.#calmAnswers = 0;
    this.#room = Math.max(this.#leastRoom, Math.floor(this.#room * tighter));
  }

  /**
   * A call found a free place. If the lane has refused some of late, it kept too few of them (D3).
   *
   * @param idleMs How long ago the last call has ended.
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

  /** Time has passed: overload may be over (D4). */
  look(now: number, answerMs: number): void {
    if (!this.#isOverloaded) return;
    if (now - this.#troubleAt >= Math.max(quietMs, quietAnswers * answerMs)) this.#change(false);
  }

  /** It is overloaded from now on. */
  begin(now: number, answerMs: number): void {
    if (this.#isOverloaded) return;
    this.#troubleAt = now;
    this.#planTrial(now, answerMs);
    this.#room = this.#leastRoom;
    this.#change(true);
  }

  /** What was lost so far has been acted upon elsewhere. */
  forgive(): void {
    this.#share = 0;
    this.#hasLost = false;
  }

  /** Where overload lasts long: lets more wait, step by step (D4). */
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
