import { type Clock, systemClock } from "../base/clock.js";
import { type Logger, silentLogger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { Call, Caller, Priority, TraceContext } from "./call.js";
import { copyValue } from "./copy-value.js";
import { DeadlineWheel, notInWheel } from "./deadline-wheel.js";
import { LoopTurns } from "./loop-turns.js";
import { deadlinePassed, type NameLimit, noteEnd } from "./passed-deadline.js";
import type { InputStream } from "./streams/item-source.js";
import { type Progress, readProgress } from "./task-state.js";

// One call in flight in this process: its cancellation, and the calls made below it.
//
// C1  A scope ends once: by `close` (its api returned or threw) or by `cancel`. What comes later changes nothing.
// C2  When a scope ends, every call still open below it is cancelled, deepest last, before control returns.
// C3  Only a scope whose deadline is earlier than its parent's is in the wheel; the others end with their parent.
// C4  A closed scope holds no listener, no child and no timer.
// C5  Whoever waits for the answer gets one: the callee's, or the reason of a cancellation, whichever comes first.

/** What a running api may see of its call; `currentCall()` returns it. */
export interface CurrentCall {
  /** Aborted when the deadline passes, the caller goes away, or the api that made this call has ended. */
  readonly signal: AbortSignal;
  /** Milliseconds since 1970 after which nobody wants the answer, by the time of day as it is set now; `Infinity` for none. */
  readonly deadline: number;
  /** What is left until then, never below 0. */
  readonly remainingMs: number;
  readonly trace: TraceContext;
  readonly caller: Caller;
  /** That of the call, and of those made below it unless they say otherwise. */
  readonly priority: Priority;
  /** Id of the request, also in the access log and in error bodies. */
  readonly requestId: string;
  /** Headers of the HTTP request at the edge, lower case; empty when the call did not begin with one. */
  readonly headers: Readonly<Record<string, string>>;
  /** Adds service, api and request id to every line. */
  readonly log: Logger;
  /**
   * Says how far a task is; seen in its status. Where no task is running it is checked and goes nowhere.
   *
   * @param fraction 0 to 1.
   * @param note     What is being done, up to 1000 characters.
   * @throws {ServingError} `invalid_progress`.
   */
  progress(fraction: number, note?: string): void;
}

/** Who waits for the answer of a unary call. */
export interface ReplySink {
  output(value: unknown): void;
  failure(error: ServingError): void;
}

type CancelListener = (reason: ServingError) => void;

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

export class CallScope implements CurrentCall {
  readonly call: Call;
  readonly time: CallTime;
  /** Set by the replica that runs the call; the base of `log`. */
  logger: Logger = silentLogger;
  /** Set by whoever runs a task; hears of its progress. */
  onProgress: ((progress: Progress) => void) | undefined;
  /** Where the link that carries the call keeps it. */
  slot = -1;
  wheelPlace = notInWheel;
  /** The caller's reading of the clock when it made the call. */
  readonly startedAt: number;
  /**
   * When it was last given to a link, in its caller's thread: `startedAt`, but for a call that had to wait for a replica or is
   * sent again. Whoever lets it wait sets it, so that no other call pays for a reading of the clock.
   */
  sentAt: number;
  /** Where it stands among those that hold a place in its lane; the lane's own. */
  place = -1;
  /** Where it waits for a place, while it does. */
  queuedIn: { describe(): string } | undefined;
  /** Where it waited for its place, and for how long; absent when it did not. */
  waited: { readonly place: { readonly priority: Priority; readonly era: number }; readonly ms: number } | undefined;
  /** How its api gets on with an input that is a stream. */
  input: { readonly isStarved: boolean; readonly received: number } | undefined;
  /** The call whose input is made of this one's answer, where that is known in this thread. */
  reader: CallScope | undefined;
  /** When the api ended, where that is known in this process; the clock is then read once for all who ask. */
  endedAt: number | undefined;
  /** When it was cancelled. */
  cancelledAt: number | undefined;
  /** Whether nobody else holds the input: it came from outside, or was kept. */
  ownsInput: boolean;
  /** Where the items come from, of a call whose input is a stream; `call.input` is then nothing. */
  stream: InputStream | undefined;
  readonly #parent: CallScope | undefined;
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
  #log: Logger | undefined;
  #identity: Caller | undefined;

  /**
   * @param call   Data of the call.
   * @param parent See `parent`.
   * @param now    The caller's reading of the clock, taken once a call.
   */
  constructor(call: Call, parent: CallScope | undefined, time: CallTime, now: number) {
    this.call = call;
    this.time = time;
    this.ownsInput = call.outside;
    this.stream = undefined;
    this.queuedIn = undefined;
    this.waited = undefined;
    this.input = undefined;
    this.reader = undefined;
    this.#parent = parent;
    this.startedAt = now;
    this.sentAt = now;
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

  /** For whoever shows it. Inside, `expiresAt`: that one does not move. */
  get deadline(): number {
    return this.time.clock.wallTimeOf(this.call.deadline);
  }

  get expiresAt(): number {
    return this.call.deadline;
  }

  get remainingMs(): number {
    return Math.max(0, this.call.deadline - this.time.clock.now());
  }

  get caller(): Caller {
    return this.call.caller;
  }

  get priority(): Priority {
    return this.call.priority;
  }

  /** This call as the caller of those below it. */
  get identity(): Caller {
    this.#identity ??= { service: this.call.service, api: this.call.api };
    return this.#identity;
  }

  get trace(): TraceContext {
    return this.call.request.trace;
  }

  get requestId(): string {
    return this.call.request.id;
  }

  get headers(): Readonly<Record<string, string>> {
    return this.call.request.headers;
  }

  get log(): Logger {
    this.#log ??= this.logger.child({ service: this.call.service, api: this.call.api, requestId: this.requestId });
    return this.#log;
  }

  progress(fraction: number, note?: string): void {
    const progress = readProgress(fraction, note);
    if (!this.#isClosed) this.onProgress?.(progress);
  }

  /** Made when first read: most apis never look at it. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /**
   * Keeps the input as it is now, for a call that is not sent at once: its caller may change the value at any time. Copies once.
   *
   * @throws {ServingError} `not_transferable`
   */
  keepInput(): void {
    if (this.ownsInput || this.stream !== undefined) return;
    this.call.input = copyValue(this.call.input, "input");
    this.ownsInput = true;
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
    this.cancelledAt = this.time.clock.now();
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
    if (this.wheelPlace !== notInWheel) this.time.wheel.remove(this);
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
    return this.queuedIn === undefined ? name : `${name} (${this.queuedIn.describe()})`;
  }

  #namePending(names: string[]): void {
    if (names.length >= maxNamed) return;
    if (this.#firstChild === undefined) names.push(this.#nameStanding());
    for (let child = this.#firstChild; child !== undefined; child = child.#nextSibling) child.#namePending(names);
  }
}
