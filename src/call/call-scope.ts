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
// SC1  A scope ends once: by `close` (its api returned or threw) or by `cancel`. Later calls of either change nothing.
// SC2  When a scope ends, every open call below it is cancelled, deepest last, before control returns.
// SC3  Only a scope whose deadline is earlier than its parent's is in the wheel; the others end with their parent.
// SC4  A closed scope holds no listener, no child and no timer.
// SC5  The waiting caller gets one answer: the callee's, or the reason of a cancellation, whichever comes first.

/** Receiver of the answer of a unary call. */
export interface ReplySink {
  output(value: unknown): void;
  failure(error: ServingError): void;
}

type CancelListener = (reason: ServingError) => void;

/** A queue, as the failure of a deadline names it. */
interface WaitingPlace {
  describe(): string;
}

/** Clock, wheel and turns of one thread. A test that moves time passes its own. */
export interface CallTime {
  readonly clock: Clock;
  readonly wheel: DeadlineWheel;
  /** Names the option that set a deadline; absent where that is unknown. */
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

/** Names of pending calls in the failure of a passed deadline, at most. */
const maxNamed = 8;

/** One call in flight in this process. Its fields are written by the scope alone. */
export class CallScope implements Expiring {
  readonly call: Call;
  readonly time: CallTime;
  /** Input of the call, for the link that carries it. */
  readonly input: CallInput;
  /** Reading of the caller's clock when it made the call. */
  readonly startedAt: number;
  readonly #parent: CallScope | undefined;
  #reader: CallScope | undefined;
  #runner: ApiRunner = noRunner;
  #running: RunningCall | undefined;
  #queue: WaitingPlace | undefined;
  #sentAt: number;
  #endedAt: number | undefined;
  #isBatched = false;
  #responseEnd: string | undefined;
  #cancelledAt: number | undefined;
  #wheelPlace = notInWheel;
  #reason: ServingError | undefined;
  #isClosed = false;
  #sink: ReplySink | undefined;
  // Calls below, linked through the calls themselves: joining and leaving the list allocates nothing.
  #firstChild: CallScope | undefined;
  #previousSibling: CallScope | undefined;
  #nextSibling: CallScope | undefined;
  #listeners: CancelListener[] | undefined;
  #endings: (() => void)[] | undefined;
  #controller: AbortController | undefined;
  #identity: Caller | undefined;

  /**
   * @param parent Caller's scope, see `parent`.
   * @param now Reading of the caller's clock, taken once a call.
   * @param input Default: none.
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

  /** Reason of the cancellation; `undefined` for a call that was not cancelled. */
  get reason(): ServingError | undefined {
    return this.#reason;
  }

  /** The call that made this one; absent for a call from outside, from another process, or detached. */
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

  /** Notes the runner of the api. A call that is sent to another replica gets another runner. */
  runBy(runner: ApiRunner): void {
    this.#runner = runner;
    this.#running = undefined;
  }

  /**
   * Time at which the call was last given to a link, in its caller's thread. Equal to `startedAt`, without another
   * reading of the clock, for a call that neither waited for a replica nor was sent again.
   */
  get sentAt(): number {
    return this.#sentAt;
  }

  /** Notes that the call is given to a link only now. */
  markSent(): void {
    this.#sentAt = this.time.clock.now();
  }

  /** Time at which the api ended, where this process knows it. The clock is read once for all readers. */
  get endedAt(): number | undefined {
    return this.#endedAt;
  }

  /** Notes that the api has ended. */
  markEnded(now: number): void {
    this.#endedAt = now;
  }

  /** True when the author's function runs for a batch, perhaps with rows of other calls. */
  get isBatched(): boolean {
    return this.#isBatched;
  }

  /** Notes that the author's function runs for a batch: it can't answer one request in its own way. */
  joinBatch(): void {
    this.#isBatched = true;
    this.#responseEnd = "the api joins calls into batches, so it answers several requests at once";
  }

  /** Reason for which the api can't change the response to its request; `undefined` while it can. */
  get responseEnd(): string | undefined {
    return this.#responseEnd;
  }

  /** Notes that the response to the request can't be changed from now on. */
  endResponse(reason: string): void {
    this.#responseEnd = reason;
  }

  /** Time of the cancellation; `undefined` for a call that was not cancelled. */
  get cancelledAt(): number | undefined {
    return this.#cancelledAt;
  }

  /** The call whose input is made of this one's answer, where that is known in this thread. */
  get reader(): CallScope | undefined {
    return this.#reader;
  }

  /** Notes the call that reads the answer. */
  readBy(reader: CallScope | undefined): void {
    this.#reader = reader;
  }

  /** Queue in which the call waits for a lane slot. */
  get queuedIn(): WaitingPlace | undefined {
    return this.#queue;
  }

  /** Notes the queue in which the call waits, for the failure of its deadline. */
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

  /** Created on first read: most apis never use it. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Sets the receiver of the answer. A call has at most one, set before it is sent. */
  awaitReply(sink: ReplySink): void {
    this.#sink = sink;
  }

  /** Passes on the callee's answer. After a cancellation the answer is dropped (SC5). */
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

  /** Calls `run` when the scope ends, in any way. */
  onEnd(run: () => void): void {
    if (this.#isClosed) run();
    else (this.#endings ??= []).push(run);
  }

  /** Ends the scope after its api has answered. Calls that are still open below are cancelled (SC2). */
  close(): void {
    if (this.#isClosed) return;
    this.#release();
    if (this.#firstChild === undefined) return;
    const { service, api } = this.call;
    this.#cancelChildren(fail("cancelled", { reason: `${service}.${api} ended without waiting for it` }));
  }

  /** Ends the scope early: its answer is no longer wanted. */
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

  /**
   * Names of the calls that this one waits for, or its own name: the calls that wait for no other, and their queues.
   */
  get pending(): readonly string[] {
    const names: string[] = [];
    this.#namePending(names);
    return names;
  }

  /** Called by the wheel when the deadline has passed. */
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

  /** Each cancelled child removes itself from the list. */
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
