import { type Call, type Caller, CallInput, type Priority, RequestContext } from "../call/call.js";
import { CallPromise, type OnUnheard } from "../call/call-promise.js";
import { CallScope, type ReplySink } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import { CallerInput } from "../call/streams/caller-input.js";
import { streamProblem } from "../call/streams/item-reader.js";
import type { ItemSink } from "../call/streams/item-source.js";
import { fail } from "../failure/failures.js";
import { type Code, ServingError } from "../failure/serving-error.js";
import { messageOf, toServingError } from "../failure/to-serving-error.js";
import type { EdgeStats } from "../observe/call-stats.js";
import type { AnswerTaker, CallTarget } from "./call-target.js";
import { type CallTrace, traceCall } from "./call-trace.js";
import { isRefusal } from "./callee-room.js";
import { pickLink, pickLinkFor } from "./directory.js";
import { ReplyStream } from "./reply-stream.js";
import { holdCall, isLoss, mayRetry, RetriedStream } from "./retry.js";

/** Arguments of one call. */
export interface CallStart {
  readonly input: unknown;
  readonly caller: Caller;
  /** Scope whose deadline and cancellation the call shares; absent for a call from outside and a detached one. */
  readonly parent: CallScope | undefined;
  /** Call whose input stream is being produced where this call is made. */
  readonly reader: CallScope | undefined;
  readonly request: RequestContext | undefined;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly outside: boolean;
  readonly priority: Priority;
}

/**
 * Opens the scope of a call, with its deadline: the api's time from now, never later than the parent's.
 *
 * @throws {ServingError} the reason for which the call can't begin: its caller has ended, or the deadline has passed.
 */
export function openScope(target: CallTarget, start: CallStart): CallScope {
  const { parent } = start;
  const { service, api, time } = target;
  const now = time.clock.now();
  const asked = start.timeoutMs === undefined ? target.timeoutMs : Math.min(start.timeoutMs, target.timeoutMs);
  const deadline = parent === undefined ? now + asked : Math.min(now + asked, parent.expiresAt);
  if (parent?.isEnded) throw parent.reason ?? fail("cancelled", { reason: "its caller has already ended" });
  const request = start.request ?? parent?.call.request ?? new RequestContext();
  const { input, caller, outside, priority } = start;
  const call: Call = { service, api, deadline, caller, request, outside, priority };
  const scope = new CallScope(call, parent, time, now, new CallInput(input, outside));
  if (start.reader !== undefined) scope.readBy(start.reader);
  if (deadline <= now) scope.expire();
  if (start.signal !== undefined) followSignal(scope, start.signal);
  if (scope.reason === undefined) return scope;
  throw scope.reason;
}

/**
 * Sends a unary call. @returns The promise of its answer.
 *
 * @param onUnheard Called for a failure that is never read; absent when the promise is always awaited.
 */
export function dispatchCall(target: CallTarget, scope: CallScope, onUnheard?: OnUnheard): Promise<unknown> {
  const answer = new PromisedAnswer(scope, onUnheard);
  sendCall(target, scope, answer);
  return answer.promise();
}

/** Sends a unary call. A cancelled scope answers at once, whatever the callee does. */
export function sendCall(target: CallTarget, scope: CallScope, taker: AnswerTaker): void {
  target.stats.inFlight++;
  target.links.retries.onCall();
  const trace = traceCall(scope);
  const call = new StartedCall(target, scope, taker, trace);
  scope.awaitReply(call);
  if (trace === undefined) startCall(target, call, scope);
  else trace.send(() => startCall(target, call, scope));
}

function startCall(target: CallTarget, call: StartedCall, scope: CallScope): void {
  const refusal = target.room.isLimited ? target.room.refuse(scope.call.priority) : undefined;
  if (refusal !== undefined) call.keepBack(refusal);
  else if (target.takesStream) call.sendFed();
  else if (target.idempotent) call.sendKept();
  else call.send();
}

class StartedCall implements ReplySink {
  readonly #target: CallTarget;
  readonly #scope: CallScope;
  readonly #taker: AnswerTaker;
  readonly #trace: CallTrace | undefined;
  #losses = 0;
  #isKeptBack = false;

  constructor(target: CallTarget, scope: CallScope, taker: AnswerTaker, trace: CallTrace | undefined) {
    this.#target = target;
    this.#scope = scope;
    this.#taker = taker;
    this.#trace = trace;
  }

  send(): void {
    const link = pickFor(this.#target, this.#scope);
    if (link !== undefined) link.send(this.#scope);
    else if (this.#keepInput()) this.#hold();
  }

  /** Refuses a call for which its callee has no room. */
  keepBack(refusal: ServingError): void {
    this.#isKeptBack = true;
    this.#scope.replyFailure(refusal);
  }

  /** Sends a call that may be sent again long after it was made: its input is kept as it is now. */
  sendKept(): void {
    if (this.#keepInput()) this.send();
  }

  /** Sends a call whose input is a stream. */
  sendFed(): void {
    const refusal = openFeed(this.#scope);
    if (refusal === undefined) this.send();
    else this.#scope.replyFailure(refusal);
  }

  output(value: unknown): void {
    const { room } = this.#target;
    if (room.isLimited) room.answered(this.#scope.call.priority);
    recordCall(this.#target, this.#scope, "ok");
    this.#trace?.end("ok");
    this.#taker.output(value);
  }

  failure(error: ServingError): void {
    if (isLoss(error)) this.#losses++;
    if (!this.#scope.isEnded && !this.#scope.input.isTaken && mayRetry(error, this.#target, this.#losses)) {
      this.#scope.awaitReply(this);
      this.#scope.markSent();
      this.send();
      return;
    }
    if (!this.#isKeptBack) this.#tellRoom(error);
    recordCall(this.#target, this.#scope, error.code);
    this.#trace?.end(error.code, error);
    this.#taker.failure(error);
  }

  #tellRoom(error: ServingError): void {
    const { room, service, api } = this.#target;
    const { call, reason } = this.#scope;
    if (reason !== undefined) return;
    if (isRefusal(error) && error.service === service && error.api === api) room.refused(call.priority, error);
    else room.answered(call.priority);
  }

  #hold(): void {
    holdCall(this.#target, this.#scope, {
      resume: () => this.send(),
      refuse: (error) => this.#scope.replyFailure(error),
    });
  }

  /** @returns False when the input can't be kept, which fails the call. */
  #keepInput(): boolean {
    const refusal = keepInput(this.#scope);
    if (refusal !== undefined) this.#scope.replyFailure(refusal);
    return refusal === undefined;
  }
}

/** Picks the link of a call: by its key, if calls of the edge have one. */
function pickFor({ links, keyOf }: CallTarget, scope: CallScope): ReplicaLink | undefined {
  const key = keyOf?.(scope);
  return key === undefined ? pickLink(links) : pickLinkFor(links, key);
}

/** Opens a streaming call. It is sent when the first item is asked for, with the input as it is now. */
export function dispatchStream(target: CallTarget, scope: CallScope, onUnheard?: OnUnheard): ReplyStream {
  const refusal = target.takesStream ? openFeed(scope) : keepInput(scope);
  let trace: CallTrace | undefined;
  const open = (sink: ItemSink) => {
    target.stats.inFlight++;
    target.links.retries.onCall();
    trace = traceCall(scope);
    const create = () => new RetriedStream({ target, scope, pickLink: () => pickFor(target, scope), refusal }, sink);
    return trace === undefined ? create() : trace.send(create);
  };
  const onEnd = (outcome: Code | "ok", error: unknown) => {
    recordCall(target, scope, outcome);
    trace?.end(outcome, error);
  };
  const onFirst = () => target.stats.recordFirstItem(target.time.clock.now() - scope.startedAt);
  return new ReplyStream(scope, { open, onFirst, onEnd, onUnheard, itemSchema: target.itemSchema });
}

/** @returns Failure of an input that can't be sent. */
function keepInput(scope: CallScope): ServingError | undefined {
  try {
    scope.input.keep();
    return undefined;
  } catch (error) {
    return toServingError(error, scope.call.service, scope.call.api);
  }
}

function recordCall(target: CallTarget, scope: CallScope, outcome: Parameters<EdgeStats["record"]>[0]): void {
  scope.close();
  target.stats.inFlight--;
  target.stats.record(outcome, (scope.endedAt ?? target.time.clock.now()) - scope.startedAt);
}

/**
 * Cancels the call with its signal. The listener is removed with the scope, so that a long-lived signal does not
 * collect them.
 */
function followSignal(scope: CallScope, signal: AbortSignal): void {
  const abort = () => scope.cancel(fail("cancelled", { reason: "the caller's signal was aborted" }));
  if (signal.aborted) {
    abort();
    return;
  }
  signal.addEventListener("abort", abort, { once: true });
  scope.onEnd(() => signal.removeEventListener("abort", abort));
}

/**
 * Opens an input that is a stream.
 *
 * @returns Failure of an input that can't be read: `invalid_input`, `stream_used_twice`.
 */
function openFeed(scope: CallScope): ServingError | undefined {
  const { value } = scope.input;
  const problem = streamProblem(value) ?? tryFeed(scope, value as AsyncIterable<unknown>);
  if (problem === undefined) return undefined;
  const { service, api } = scope.call;
  if (typeof problem !== "string") return toServingError(problem, service, api);
  return fail("invalid_input", { issues: [{ path: "", message: problem }] }, { service, api });
}

/** Opens the items. @returns The problem of items that can't be read, as of a stream that is read elsewhere. */
function tryFeed(scope: CallScope, items: AsyncIterable<unknown>): ServingError | string | undefined {
  try {
    scope.input.useStream(new CallerInput(scope, items));
    return undefined;
  } catch (error) {
    if (error instanceof ServingError && error.id === "stream_used_twice") return error;
    return `the stream can't be read: ${messageOf(error)}`;
  }
}

/**
 * Promise of a call's answer. An output that arrives before the promise is asked for becomes an ordinary resolved
 * promise.
 */
class PromisedAnswer implements AnswerTaker {
  readonly #scope: CallScope;
  readonly #onUnheard: OnUnheard | undefined;
  #isDone = false;
  #value: unknown;
  #promise: CallPromise<unknown> | undefined;
  #resolve: ((value: unknown) => void) | undefined;
  #reject: ((error: ServingError) => void) | undefined;

  constructor(scope: CallScope, onUnheard: OnUnheard | undefined) {
    this.#scope = scope;
    this.#onUnheard = onUnheard;
  }

  /** Returns the promise. Called once, after the call was sent. */
  promise(): Promise<unknown> {
    return this.#isDone ? Promise.resolve(this.#value) : this.#open();
  }

  output(value: unknown): void {
    if (this.#resolve !== undefined) {
      this.#resolve(value);
      return;
    }
    this.#isDone = true;
    this.#value = value;
  }

  failure(error: ServingError): void {
    const promise = this.#open();
    if (!promise.isHeard) this.#onUnheard?.(error, promise, this.#scope);
    // An incident is a bug in code: its stack shows the callers too.
    if (error.incident === undefined) this.#reject?.(error);
    else this.#resolve?.(rejectFromHere(error, this.#scope.call.caller));
  }

  #open(): CallPromise<unknown> {
    this.#promise ??= new CallPromise<unknown>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    return this.#promise;
  }
}

/** Longest stack. It grows with each hop, and is cut beyond this. */
const maxStackLength = 16_384;

/**
 * Rejects with `error`, after adding the caller and its frames to the stack.
 *
 * V8 knows which functions await a promise, but only once that promise is joined to the one returned here, which takes
 * two turns of the microtask queue. So the stack of the callers costs nothing until a call fails. A function that
 * returns the promise without awaiting it has no frame; its service and api are named anyway.
 */
async function rejectFromHere(error: ServingError, { service, api }: Caller): Promise<never> {
  const stack = error.stack ?? "";
  // A failure without frames must stay cheap: see `FailureRow.hasNoStack`.
  if (!stack.includes("\n    at ")) throw error;
  await undefined;
  await undefined;
  await undefined;
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, rejectFromHere);
  const frames = (here.stack ?? "")
    .split("\n")
    .filter((line) => /^ +at /.test(line) && !line.includes("node:internal/"));
  const head = `    -- called by ${api === "" ? service : `${service}.${api}`} --`;
  error.stack = [stack, head, ...frames].join("\n").slice(0, maxStackLength);
  throw error;
}
