import type { Priority } from "../call/call.js";
import type { CallScope } from "../call/call-scope.js";
import type { RequestContext } from "../call/request-context.js";

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

/** A unary call under way. Cancelling its scope rejects `reply` at once. */
export interface PendingReply {
  readonly scope: CallScope;
  readonly reply: Promise<unknown>;
}

/** A streaming call; it starts when the first item is asked for. */
export interface PendingStream {
  readonly scope: CallScope;
  readonly items: AsyncIterableIterator<unknown>;
}

/** Calls the entry service from outside, through an ordinary handle. */
export interface EntryCaller {
  call(api: string, call: EdgeCall): PendingReply;
  open(api: string, call: EdgeCall): PendingStream;
}
