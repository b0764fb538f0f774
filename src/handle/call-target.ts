import type { Priority, RequestContext } from "../call/call.js";
import type { CallScope, CallTime } from "../call/call-scope.js";
import type { PassableStream } from "../call/streams/item-source.js";
import type { TaskOperation } from "../call/task-state.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import type { ServingError } from "../failure/serving-error.js";
import type { EdgeStats } from "../observe/call-stats.js";
import type { CalleeRoom } from "./callee-room.js";
import type { ServiceLinks } from "./directory.js";

/** Api as a handle reaches it. Made once, used by each call. */
export interface CallTarget {
  readonly service: string;
  readonly api: string;
  /** Time limit in milliseconds: the shorter of the api's and the edge's. */
  readonly timeoutMs: number;
  /** True when a call may run twice, so that a call on a lost replica may be sent to another one. */
  readonly idempotent: boolean;
  /** True when the input is a stream, whose items are sent as they are read. */
  readonly takesStream: boolean;
  /** Schema of a stream's items. */
  readonly itemSchema: unknown;
  /** Returns the key of a call, which selects its replica. Absent where any replica does. */
  readonly keyOf?: ((scope: CallScope) => string | undefined) | undefined;
  /** Milliseconds that a call waits for a ready replica. */
  readonly waitForReplicaMs: number;
  readonly links: ServiceLinks;
  /** Refuses calls for which the callee has no room. */
  readonly room: CalleeRoom;
  readonly stats: EdgeStats;
  readonly time: CallTime;
}

/** A service as one caller reaches it. */
export interface CalledService {
  readonly service: string;
  readonly apis: ReadonlyMap<string, ApiDescriptor>;
  /** @param operation Operation of a task, or `"call"` for calling it. Default: the api itself, with its own limits. */
  readonly targetOf: (api: ApiDescriptor, operation?: TaskOperation | "call") => CallTarget;
}

/** A call that the HTTP server starts. */
export interface HttpCall {
  readonly input: unknown;
  /** Time limit that the client asked for; it can only shorten the api's own. */
  readonly timeoutMs: number | undefined;
  /** Default `"interactive"`. */
  readonly priority: Priority | undefined;
  /** HTTP route: the `api` of the caller `"http"` in metrics and in `currentCall().caller`. */
  readonly route: string;
  readonly request: RequestContext;
}

/** Receives the answer of a unary call, once. After a cancellation that is at once, maybe before the call is sent. */
export interface AnswerTaker {
  /** Must read or copy the value before it returns: inline it is the author's own object. */
  output(value: unknown): void;
  failure(error: ServingError): void;
}

/** A streaming call. It starts when the first item is asked for. */
export interface PendingStream {
  readonly scope: CallScope;
  readonly items: PassableStream;
}

/** Calls the entry service from outside, through an ordinary handle. */
export interface EntryCaller {
  /** @returns The scope of the call. @throws {ServingError} the reason for which it can't begin. */
  call(api: string, call: HttpCall, taker: AnswerTaker): CallScope;
  open(api: string, call: HttpCall): PendingStream;
}
