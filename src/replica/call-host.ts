import { randomBytes } from "node:crypto";
import type { Logger } from "../base/logger.js";
import type { CallScope, ReplySink } from "../call/call-scope.js";
import type { ApiTarget } from "../call/invoke.js";
import { strangerThatEnded } from "../call/passed-deadline.js";
import { settlePromises } from "../call/value-walk.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { copyError, toServingError } from "../failure/to-serving-error.js";
import type { LaneStats } from "../observe/call-stats.js";
import type { Batcher } from "./batch/batcher.js";
import type { Lane } from "./lane.js";

/** Part of a replica that its calls need while they are served. */
export interface CallHost {
  readonly deps: {
    /** `"Model#0"`. */
    readonly id: string;
    readonly log: Logger;
    /** True when values that never left the process are checked too. */
    readonly checksInside: boolean;
  };
  readonly apis: ReadonlyMap<string, ReplicaApi>;
  /** True when no new call is accepted. */
  readonly isDraining: boolean;
  /** Counts a call in. Pair with `endCall()`. */
  beginCall(): void;
  /** Counts a call out. */
  endCall(): void;
}

/** One api of a replica: the function that it runs, and the lane or batcher in which its calls wait. */
export interface ReplicaApi {
  readonly target: ApiTarget;
  readonly lane: Lane;
  readonly stats: LaneStats;
  /** Set for an api that batches: its calls wait here instead of in the lane. */
  readonly batcher: Batcher | undefined;
  /** Serves a call that enters no lane by itself: of an api that batches, or that keeps answers. Ends the scope. */
  readonly serve?: ((call: CallToServe) => void) | undefined;
}

/** One call that a replica serves. */
export interface CallToServe {
  readonly replica: CallHost;
  readonly scope: CallScope;
  /** Input of the call, not shared with any other code. */
  readonly input: unknown;
  /** Gets the output or the failure, once. */
  readonly reply: ReplySink;
  readonly api: ReplicaApi;
}

/**
 * Converts whatever a call failed with into the failure that its caller gets.
 *
 * Logs the parts that stay here: the stack of an unexpected error, under an incident id that the caller gets too, and
 * the cause of a failure that an author raised. Never throws, whatever was thrown.
 */
export function reportFailure(thrown: unknown, scope: CallScope): ServingError {
  const { service, api } = scope.call;
  // Authors may throw a promise by mistake, when they mean its rejection.
  settlePromises(thrown);
  const error = toServingError(explainEnd(thrown, scope), service, api);
  if (scope.reason !== undefined) return error;
  if (error.incident !== undefined) {
    const { incident, service: thrower } = error;
    const fields = { err: error, service, api, requestId: scope.requestId, incident };
    scope.logger.error(fields, `${service}.${api} failed with what ${thrower}.${error.api} threw`);
    return error;
  }
  if (error.id !== "unhandled_error") {
    if (error.cause !== undefined) {
      const fields = { err: error.cause, service, api, requestId: scope.requestId, failure: error.id };
      scope.logger.warn(fields, `${service}.${api} failed: ${error.message}`);
    }
    return error;
  }
  const incident = randomBytes(6).toString("hex");
  scope.logger.error(
    { err: error.cause, service, api, requestId: scope.requestId, incident },
    `${service}.${api} threw: ${error.message}`,
  );
  return copyError(error, { incident });
}

/** Replaces the cancellation of a call that this one waited for but did not make, so that its caller may retry. */
function explainEnd(thrown: unknown, scope: CallScope): unknown {
  const ended = strangerThatEnded(thrown, scope);
  if (ended === undefined) return thrown;
  const { service, api } = ended.call;
  return fail("shared_call_ended", { caller: `${service}.${api}`, reason: (thrown as ServingError).message });
}
