import { type Call, type Caller, CallInput, type Priority, RequestContext } from "../call/call.js";
import type { OnUnheard } from "../call/call-promise.js";
import { CallScope, type ReplySink } from "../call/call-scope.js";
import { CallerInput } from "../call/streams/caller-input.js";
import { streamProblem } from "../call/streams/item-reader.js";
import type { ItemSink } from "../call/streams/item-source.js";
import { fail } from "../failure/failures.js";
import { type Code, ServingError } from "../failure/serving-error.js";
import { messageOf, toServingError } from "../failure/to-serving-error.js";
import type { EdgeStats } from "../observe/call-stats.js";
import type { AnswerTaker, CallTarget } from "./call-target.js";
import { isRefusal } from "./callee-room.js";
import { pickLink } from "./directory.js";
import { PromisedAnswer } from "./promised-answer.js";
import { ReplyStream } from "./reply-stream.js";
import { holdCall, isLoss, mayRetry, RetriedStream } from "./retried-stream.js";

/** What differs from call to call. */
export interface CallStart {
  readonly input: unknown;
  readonly caller: Caller;
  /** Whose deadline and cancellation the call shares; absent from outside and for a detached call. */
  readonly parent: CallScope | undefined;
  /** The call whose input is being made where this one is. */
  readonly reader: CallScope | undefined;
  readonly request: RequestContext | undefined;
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly outside: boolean;
  readonly priority: Priority;
}

/**
 * Gives a call its scope and its deadline: the api's time from now, never later than the parent's.
 *
 * @throws {ServingError} why the call can't begin: its caller has ended, or the deadline is already past.
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
 * Sends a unary call, for whoever waits for its answer by a promise.
 *
 * @param onUnheard Absent where somebody always waits.
 */
export function dispatchCall(target: CallTarget, scope: CallScope, onUnheard?: OnUnheard): Promise<unknown> {
  const answer = new PromisedAnswer(scope, onUnheard);
  sendCall(target, scope, answer);
  return answer.promise();
}

/** Sends a unary call; the answer comes at once when the scope is cancelled, whatever the callee does. */
export function sendCall(target: CallTarget, scope: CallScope, taker: AnswerTaker): void {
  target.stats.inFlight++;
  target.links.retries.onCall();
  const call = new StartedCall(target, scope, taker);
  scope.awaitReply(call);
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
  #losses = 0;
  #isKeptBack = false;

  constructor(target: CallTarget, scope: CallScope, taker: AnswerTaker) {
    this.#target = target;
    this.#scope = scope;
    this.#taker = taker;
  }

  send(): void {
    const link = pickLink(this.#target.links);
    if (link !== undefined) link.send(this.#scope);
    else if (this.#keepInput()) this.#hold();
  }

  /** For a call for which its callee has no room. */
  keepBack(refusal: ServingError): void {
    this.#isKeptBack = true;
    this.#scope.replyFailure(refusal);
  }

  /** For a call that may be sent again long after it was made. */
  sendKept(): void {
    if (this.#keepInput()) this.send();
  }

  /** For a call whose input is a stream. */
  sendFed(): void {
    const refusal = openFeed(this.#scope);
    if (refusal === undefined) this.send();
    else this.#scope.replyFailure(refusal);
  }

  output(value: unknown): void {
    const { room } = this.#target;
    if (room.isLimited) room.answered(this.#scope.call.priority);
    recordCall(this.#target, this.#scope, "ok");
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

/** Opens a streaming call; nothing is sent before the first item is asked for, but its input is what it is now. */
export function dispatchStream(target: CallTarget, scope: CallScope, onUnheard?: OnUnheard): ReplyStream {
  const refusal = target.takesStream ? openFeed(scope) : keepInput(scope);
  const open = (sink: ItemSink) => {
    target.stats.inFlight++;
    target.links.retries.onCall();
    return new RetriedStream({ target, scope, refusal }, sink);
  };
  const onEnd = (outcome: Code | "ok") => recordCall(target, scope, outcome);
  return new ReplyStream(scope, { open, onEnd, onUnheard, itemSchema: target.itemSchema });
}

/** @returns Why the input can't be sent, if it can't. */
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

/** The listener goes with the scope, so that a long-lived signal does not collect them. */
function followSignal(scope: CallScope, signal: AbortSignal): void {
  const abort = () => scope.cancel(fail("cancelled", { reason: "the caller's signal was aborted" }));
  if (signal.aborted) {
    abort();
    return;
  }
  signal.addEventListener("abort", abort, { once: true });
  scope.onEnd(() => signal.removeEventListener("abort", abort));
}

/** Opens the input of a call whose input is a stream. @returns Why it can't be one: `invalid_input`, `stream_used_twice`. */
function openFeed(scope: CallScope): ServingError | undefined {
  const { value } = scope.input;
  const problem = streamProblem(value) ?? tryFeed(scope, value as AsyncIterable<unknown>);
  if (problem === undefined) return undefined;
  const { service, api } = scope.call;
  if (typeof problem !== "string") return toServingError(problem, service, api);
  return fail("invalid_input", { issues: [{ path: "", message: problem }] }, { service, api });
}

/** What an author gives may refuse to be read: a stream that somebody else reads already, say. */
function tryFeed(scope: CallScope, items: AsyncIterable<unknown>): ServingError | string | undefined {
  try {
    scope.input.useStream(new CallerInput(scope, items));
    return undefined;
  } catch (error) {
    if (error instanceof ServingError && error.id === "stream_used_twice") return error;
    return `the stream can't be read: ${messageOf(error)}`;
  }
}
