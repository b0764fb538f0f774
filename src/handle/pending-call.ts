import type { Priority } from "../call/call.js";
import type { CallScope } from "../call/call-scope.js";
import type { RequestContext } from "../call/request-context.js";
import type { PassableStream } from "../call/streams/item-flow.js";
import type { ServingError } from "../failure/serving-error.js";

/** What the edge says about one call it starts. */
export interface EdgeCall {
  readonly input: unknown;
  /** Asked for by the client; can only shorten the api's own. */
  readonly timeoutMs: number | undefined;
  /** Default `"interactive"`. */
  readonly priority: Priority | undefined;
  /** HTTP route, the `api` of the caller `"http"` in metrics and in `currentCall().caller`. */
  readonly route: string;
  readonly request: RequestContext;
}

/** Who waits for the answer of a unary call: told once, at once when the call's scope is cancelled, maybe before it is made. */
export interface AnswerTaker {
  /** Reads the value before it returns, or copies it: where nothing lies between, it is the author's own. */
  output(value: unknown): void;
  failure(error: ServingError): void;
}

/** A streaming call; it starts when the first item is asked for. */
export interface PendingStream {
  readonly scope: CallScope;
  readonly items: PassableStream;
}

/** Calls the entry service from outside, through an ordinary handle. */
export interface EntryCaller {
  /** @returns The scope of the call. @throws {ServingError} why it can't begin. */
  call(api: string, call: EdgeCall, taker: AnswerTaker): CallScope;
  open(api: string, call: EdgeCall): PendingStream;
}
