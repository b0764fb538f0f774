import type { Clock } from "../base/clock.js";
import { type Logger, silentLogger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import type { Call, Caller, Priority, TraceContext } from "./call.js";
import type { CallContext } from "./call-context.js";
import { type CallResponse, RunningResponse } from "./call-response.js";
import { type Progress, readProgress } from "./task-state.js";

/** A call as the api that runs it sees it; `currentCall()` returns it. */
export interface CurrentCall {
  /** Aborted when the deadline passes, the caller goes away, or the api that made this call has ended. */
  readonly signal: AbortSignal;
  /**
   * Milliseconds since 1970, by the clock as it is set now, after which the answer is of no use; `Infinity` for none.
   */
  readonly deadline: number;
  /** Milliseconds left until the deadline, never below 0. */
  readonly remainingMs: number;
  readonly trace: TraceContext;
  readonly caller: Caller;
  /** Priority of the call, and of the calls made below it unless they say otherwise. */
  readonly priority: Priority;
  /** Id of the request, also in the access log and in error bodies. */
  readonly requestId: string;
  /** Headers of the HTTP request, lower case; empty when the call did not begin with one. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Value that `context` of the app file gave for the request, frozen: who is asking. The same in every call below, in
   * streams and in tasks. It is `undefined` where no single request is behind the call: in a task that runs by its
   * schedule, in an api with `batch` or with `cache`, in a program or a test that gives none, in a server without it.
   */
  readonly context: CallContext | undefined;
  /** Response to the HTTP request: status, headers, cookies, redirects. */
  readonly response: CallResponse;
  /**
   * Returns `context` of a call that must have one.
   *
   * @throws {ServingError} `context_missing`, over HTTP 401, when it is `undefined` or `null`.
   */
  requireContext(): NonNullable<CallContext>;
  /** Adds service, api and request id to every line. */
  readonly log: Logger;
  /**
   * Reports the progress of a task; its status shows it. Outside a task the values are checked and dropped.
   *
   * @param fraction 0 to 1.
   * @param note     Description of the current step, up to 1000 characters.
   * @throws {ServingError} `invalid_progress`.
   */
  progress(fraction: number, note?: string): void;
}

/** Side of a call that runs its api: all calls of a replica share one, each attempt of a task has its own. */
export interface ApiRunner {
  /** Log of the replica. */
  readonly log: Logger;
  /** Receives the progress of a task. */
  readonly onProgress?: (progress: Progress) => void;
}

/** Runner of a call whose api runs in another thread or process, or not yet. */
export const noRunner: ApiRunner = { log: silentLogger };

/** Fields of a call's scope that a running api sees. */
interface Scope {
  readonly call: Call;
  readonly time: { readonly clock: Clock };
  readonly isEnded: boolean;
  readonly isBatched: boolean;
  readonly responseEnd: string | undefined;
  readonly signal: AbortSignal;
}

/** The call of a running api, made when the api first asks for it. */
export class RunningCall implements CurrentCall {
  readonly #scope: Scope;
  readonly #runner: ApiRunner;
  #log: Logger | undefined;
  #response: CallResponse | undefined;

  constructor(scope: Scope, runner: ApiRunner) {
    this.#scope = scope;
    this.#runner = runner;
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  get deadline(): number {
    return this.#scope.time.clock.wallTimeOf(this.#scope.call.deadline);
  }

  get remainingMs(): number {
    return Math.max(0, this.#scope.call.deadline - this.#scope.time.clock.now());
  }

  get trace(): TraceContext {
    return this.#scope.call.request.trace;
  }

  get caller(): Caller {
    return this.#scope.call.caller;
  }

  get priority(): Priority {
    return this.#scope.call.priority;
  }

  get requestId(): string {
    return this.#scope.call.request.id;
  }

  get headers(): Readonly<Record<string, string>> {
    return this.#scope.call.request.headers;
  }

  get context(): CallContext | undefined {
    return (this.#scope.isBatched ? undefined : this.#scope.call.request.appContext) as CallContext | undefined;
  }

  requireContext(): NonNullable<CallContext> {
    const { context } = this;
    if (context !== undefined && context !== null) return context as NonNullable<CallContext>;
    const { service, api } = this.#scope.call;
    throw fail("context_missing", { name: `${service}.${api}`, reason: whyAbsent(this.#scope) }, { service, api });
  }

  get response(): CallResponse {
    this.#response ??= new RunningResponse(this.#scope);
    return this.#response;
  }

  get log(): Logger {
    const { service, api } = this.#scope.call;
    this.#log ??= this.#runner.log.child({ service, api, requestId: this.requestId });
    return this.#log;
  }

  progress(fraction: number, note?: string): void {
    const progress = readProgress(fraction, note);
    if (!this.#scope.isEnded) this.#runner.onProgress?.(progress);
  }
}

/** Tells why a call has no context, as far as its own process knows. */
function whyAbsent({ isBatched, call }: Scope): string {
  if (isBatched) return "it runs for a batch of several requests";
  if (call.caller.service === "schedule") return "it runs by its schedule, without a request";
  if (call.caller.service === "local") return "the program or test that made the call gave none";
  return "no function gave one to the request, or it runs for a cached answer";
}
