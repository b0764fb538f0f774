import type { Priority, RequestContext } from "../call/call.js";
import type { CallScope, CallTime } from "../call/call-scope.js";
import type { PassableStream } from "../call/streams/item-source.js";
import type { TaskOperation } from "../call/task-state.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import type { ServingError } from "../failure/serving-error.js";
import type { EdgeStats } from "../observe/call-stats.js";
import type { CalleeRoom } from "./callee-room.js";
import type { ServiceLinks } from "./directory.js";

/** One api as a handle reaches it: made once, used by each call. */
export interface CallTarget {
  readonly service: string;
  readonly api: string;
  /** The shorter of the api's and the edge's. */
  readonly timeoutMs: number;
  /** Whether a call may run twice, so that one on a lost replica may be sent to another. */
  readonly idempotent: boolean;
  /** Whether the input is a stream, whose items are sent as they are read. */
  readonly takesStream: boolean;
  /** Of a stream: what its items are checked against. */
  readonly itemSchema: unknown;
  /** How long a call waits for a replica where none is ready. */
  readonly waitForReplicaMs: number;
  readonly links: ServiceLinks;
  /** Keeps calls back that the callee would refuse. */
  readonly room: CalleeRoom;
  readonly stats: EdgeStats;
  readonly time: CallTime;
}

/** A service as one caller reaches it: a route for each api. */
export interface CalledService {
  readonly service: string;
  readonly apis: ReadonlyMap<string, ApiDescriptor>;
  /** @param operation Of a task, or `"call"` for calling it; absent: the api itself, with its own bounds. */
  readonly targetOf: (api: ApiDescriptor, operation?: TaskOperation | "call") => CallTarget;
}

/** What the edge says about one call it starts. */
export interface HttpCall {
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
  call(api: string, call: HttpCall, taker: AnswerTaker): CallScope;
  open(api: string, call: HttpCall): PendingStream;
}
