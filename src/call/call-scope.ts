import { type Clock, systemClock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { type Call, type Caller, type CallInput, noInput, type Priority } from "./call.js";
import { DeadlineWheel, type Expiring, notInWheel } from "./deadline-wheel.js";
import { LoopTurns } from "./loop-turns.js";
import { deadlinePassed, type NameLimit, noteEnd } from "./passed-deadline.js";
import { type ApiRunner, type CurrentCall, noRunner, RunningCall } from "./running-call.js";

// One call in flight in this process: its cancellation, and the calls made below it.
//
// C1  A scope ends once: by `close` (its api returned or threw) or by `cancel`. What comes later changes nothing.
// C2  When a scope ends, every call still open below it is cancelled, deepest last, before control returns.
// C3  Only a scope whose deadline is earlier than its parent's is in the wheel; the others end with their parent.
// C4  A closed scope holds no listener, no child and no timer.
// C5  Whoever waits for the answer gets one: the callee's, or the reason of a cancellation, whichever comes first.

/** Who waits for the answer of a unary call. */
export interface ReplySink {
  output(value: unknown): void;
  failure(error: ServingError): void;
}

type CancelListener = (reason: ServingError) => void;

/** A queue as the failure of a deadline names it. */
interface WaitingPlace {
  describe(): string;
}

/** Default clock, wheel and turns of the thread; a test that moves time gives its own. */
export interface CallTime {
  readonly clock: Clock;
  readonly wheel: DeadlineWheel;
  /** Absent where it is not known who set the deadlines. */
  readonly nameLimit: NameLimit | undefined;
  readonly turns: LoopTurns;
}

export const createCallTime = (clock: Clock): CallTime => ({
  clock,
  wheel: new DeadlineWheel(clock),
  nameLimit: undefined,
  turns: new LoopTurns(clock),
});
export const systemTime: CallTime = createCallTime(systemClock);

/** How many pending calls a passed deadline names. */
const maxNamed = 8;

/** One call in flight in this process. Every field is written by the scope alone. */
export class CallScope implements Expiring {
  readonly call: Call;
  readonly time: CallTime;
  /** Input of the call, for the link that carries it. */
  readonly input: CallInput;
  /** The caller's reading of the clock when it made the call. */
  readonly startedAt: number;
  readonly #parent: CallScope | undefined;
  #reader: CallScope | undefined;
  #runner: ApiRunner = noRunner;
  #running: RunningCall | undefined;
  #queue: WaitingPlace | undefined;
  #sentAt: number;
  #endedAt: number | undefined;
  #cancelledAt: number | undefined;
  #wheelPlace = notInWheel;
  #reason: ServingError | undefined;
  #isClosed = false;
  #sink: ReplySink | undefined;
  // Calls below, as a list through the calls themselves: entering and leaving it allocates nothing.
  #firstChild: CallScope | undefined;
  #previousSibling: CallScope | undefined;
  #nextSibling: CallScope | undefined;
  #listeners: CancelListener[] | undefined;
  #endings: (() => void)[] | undefined;
  #controller: AbortController | undefined;
  #identity: Caller | undefined;

  /**
   * @param parent See `parent`.
   * @param now    The caller's reading of the clock, taken once a call.
   * @param input  Default: none.
   */
  constructor(call: Call, parent: CallScope | undefined, time: CallTime, now: number, input: CallInput = noInput) {
    this.call = call;
    this.time = time;
    this.input = input;
    this.#parent = parent;
    this.startedAt = now;
    this.#sentAt = now;
    if (parent !== undefined) this.#joinSiblings(parent);
    const { deadline } = call;
    if (deadline !== Number.POSITIVE_INFINITY && deadline !== parent?.call.deadline) time.wheel.add(this);
  }

  /** Why the call was cancelled; `undefined` while it was not. */
  get reason(): ServingError | undefined {
    return this.#reason;
  }

  /** The call under which it was made; absent for one from outside, from another process, or detached. */
  get parent(): CallScope | undefined {
    return this.#parent;
  }

  get isEnded(): boolean {
    return this.#isClosed;
  }

  /** The deadline, as a reading of the clock. */
  get expiresAt(): number {
    return this.call.deadline;
  }

  get priority(): Priority {
    return this.call.priority;
  }

  /** This call as the caller of those below it. */
  get identity(): Caller {
    this.#identity ??= { service: this.call.service, api: this.call.api };
    return this.#identity;
  }

  get requestId(): string {
    return this.call.request.id;
  }

  /** Log of the replica that runs the call; silent while none does. */
  get logger(): Logger {
    return this.#runner.log;
  }

  /** The call as its api sees it. */
  get running(): CurrentCall {
    this.#running ??= new RunningCall(this, this.#runner);
    return this.#running;
  }

  /** Notes who runs the api. A call that is sent to another replica gets another runner. */
  runBy(runner: ApiRunner): void {
    this.#runner = runner;
    this.#running = undefined;
  }

  /**
   * When the call was last given to a link, in its caller's thread. It is `startedAt`, without another reading of the clock,
   * for a call that neither waited for a replica nor was sent again.
   */
  get sentAt(): number {
    return this.#sentAt;
  }

  /** Notes that the call is given to a link only now. */
  markSent(): void {
    this.#sentAt = this.time.clock.now();
  }

  /** When the api ended, where that is known in this process: one reading of the clock for all who ask. */
  get endedAt(): number | undefined {
    return this.#endedAt;
  }

  /** Notes that the api has ended. */
  markEnded(now: number): void {
    this.#endedAt = now;
  }

  /** When the call was cancelled; `undefined` while it was not. */
  get cancelledAt(): number | undefined {
    return this.#cancelledAt;
  }

  /** The call whose input is made of this one's answer, where that is known in this thread. */
  get reader(): CallScope | undefined {
    return this.#reader;
  }

  /** Notes which call reads the answer. */
  readBy(reader: CallScope | undefined): void {
    this.#reader = reader;
  }

  /** Queue in which the call waits for a lane slot. */
  get queuedIn(): WaitingPlace | undefined {
    return this.#queue;
  }

  /** Notes where the call waits, for the failure of its deadline. */
  joinQueue(queue: WaitingPlace): void {
    this.#queue = queue;
  }

  leaveQueue(): void {
    this.#queue = undefined;
  }

  get wheelPlace(): number {
    return this.#wheelPlace;
  }

  setWheelPlace(place: number): void {
    this.#wheelPlace = place;
  }

  /** Made when first read: most apis never look at it. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Names who waits for the answer; at most one, before the call is sent. */
  awaitReply(sink: ReplySink): void {
    this.#sink = sink;
  }

  /** The callee's answer; nobody hears it after a cancellation (C5). */
  reply(value: unknown): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.output(value);
  }

  replyFailure(error: ServingError): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.failure(error);
  }

  /** Calls `listener` once if the call is cancelled. */
  onCancel(listener: CancelListener): void {
    if (this.#reason !== undefined) listener(this.#reason);
    else if (!this.#isClosed) (this.#listeners ??= []).push(listener);
  }

  offCancel(listener: CancelListener): void {
    const at = this.#listeners?.indexOf(listener) ?? -1;
    if (at >= 0) this.#listeners?.splice(at, 1);
  }

  /** Calls `run` when the scope ends, however that happens. */
  onEnd(run: () => void): void {
    if (this.#isClosed) run();
    else (this.#endings ??= []).push(run);
  }

  /** The api has answered: whatever it left open below is cancelled (C2). */
  close(): void {
    if (this.#isClosed) return;
    this.#release();
    if (this.#firstChild === undefined) return;
    const { service, api } = this.call;
    this.#cancelChildren(fail("cancelled", { reason: `${service}.${api} ended without waiting for it` }));
  }

  /** Nobody waits for the answer any more. */
  cancel(reason: ServingError): void {
    if (this.#isClosed) return;
    this.#reason = reason;
    this.#cancelledAt = this.time.clock.now();
    const listeners = this.#listeners;
    this.#release();
    this.replyFailure(reason);
    this.#controller?.abort(reason);
    if (listeners !== undefined) for (const listener of listeners) listener(reason);
    this.#cancelChildren(reason);
  }

  /** The calls that it waits for, or itself: the names of those that wait for no other, and where they stand. */
  get pending(): readonly string[] {
    const names: string[] = [];
    this.#namePending(names);
    return names;
  }

  /** The deadline passed. */
  expire(): void {
    this.cancel(deadlinePassed(this, { waitingFor: this.pending }));
  }

  #release(): void {
    this.#isClosed = true;
    this.#listeners = undefined;
    if (this.#endings !== undefined) for (const run of this.#endings) run();
    this.#endings = undefined;
    if (this.#wheelPlace !== notInWheel) this.time.wheel.remove(this);
    if (this.#parent !== undefined) this.#leaveSiblings(this.#parent);
  }

  #joinSiblings(parent: CallScope): void {
    const next = parent.#firstChild;
    this.#nextSibling = next;
    if (next !== undefined) next.#previousSibling = this;
    parent.#firstChild = this;
  }

  #leaveSiblings(parent: CallScope): void {
    const previous = this.#previousSibling;
    const next = this.#nextSibling;
    if (previous !== undefined) previous.#nextSibling = next;
    else if (parent.#firstChild === this) parent.#firstChild = next;
    if (next !== undefined) next.#previousSibling = previous;
    this.#previousSibling = undefined;
    this.#nextSibling = undefined;
  }

  /** Each cancelled child leaves the list by itself. */
  #cancelChildren(reason: ServingError): void {
    if (this.#firstChild === undefined) return;
    noteEnd(reason, this);
    for (let child = this.#firstChild; child !== undefined; child = this.#firstChild) child.cancel(reason);
  }

  #nameStanding(): string {
    const name = `${this.call.service}.${this.call.api}`;
    return this.#queue === undefined ? name : `${name} (${this.#queue.describe()})`;
  }

  #namePending(names: string[]): void {
    if (names.length >= maxNamed) return;
    if (this.#firstChild === undefined) names.push(this.#nameStanding());
    for (let child = this.#firstChild; child !== undefined; child = child.#nextSibling) child.#namePending(names);
  }
}
