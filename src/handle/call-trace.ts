import { type TracingChannel, tracingChannel } from "node:diagnostics_channel";
import type { Caller } from "../call/call.js";
import type { CallScope } from "../call/call-scope.js";
import type { Code } from "../failure/serving-error.js";

/**
 * Message of the tracing channel `ekiben:call`: one object for each call, which gets its outcome when the call has
 * ended.
 */
export interface CallEvent {
  readonly service: string;
  readonly api: string;
  readonly caller: Caller;
  /** Id of the request that the call belongs to. */
  readonly requestId: string;
  /** W3C `traceparent` of the request. */
  readonly traceparent: string;
  /** `"ok"`, or the code of the failure; absent until the call has ended. */
  outcome?: Code | "ok";
  /** Failure of the call, when it failed. */
  error?: unknown;
}

/**
 * Tracing channel around every call that this thread makes, in the form of `tracingChannel().tracePromise()` of Node:
 * `start` and `end` around the sending, `error` for a failure, `asyncStart` and `asyncEnd` when the answer is there.
 */
const channel: TracingChannel<CallEvent, CallEvent> = tracingChannel("ekiben:call");

/** Starts to trace a call. @returns `undefined` without subscribers, where tracing costs only this check. */
export const traceCall = (scope: CallScope): CallTrace | undefined =>
  channel.hasSubscribers ? new CallTrace(scope) : undefined;

/** One traced call. */
export class CallTrace {
  readonly #event: CallEvent;
  #isSending = false;
  #hasEnded = false;

  constructor({ call }: CallScope) {
    const { service, api, caller, request } = call;
    const { traceparent } = request.trace;
    this.#event = { service, api, caller, requestId: request.id, traceparent };
  }

  /** Publishes `start` and `end` around `send`, which runs in the stores that are bound to `start`. */
  send<T>(send: () => T): T {
    this.#isSending = true;
    try {
      return channel.start.runStores(this.#event, send);
    } finally {
      this.#isSending = false;
      channel.end.publish(this.#event);
      if (this.#hasEnded) this.#publishAnswer();
    }
  }

  /** Publishes how the call has ended. An answer that comes while the call is being sent is published after `end`. */
  end(outcome: Code | "ok", error?: unknown): void {
    this.#event.outcome = outcome;
    if (outcome !== "ok") this.#event.error = error;
    this.#hasEnded = true;
    if (!this.#isSending) this.#publishAnswer();
  }

  #publishAnswer(): void {
    if (this.#event.outcome !== "ok") channel.error.publish(this.#event);
    channel.asyncStart.publish(this.#event);
    channel.asyncEnd.publish(this.#event);
  }
}
