import { randomBytes } from "node:crypto";
import type { CallScope } from "../call/call-scope.js";
import { invoke, isPromiseLike } from "../call/invoke.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { Replica, ReplicaApi } from "./replica.js";

/** Takes the answer of a served call to whoever asked: a link in this process, or a channel. */
export interface Replier {
  replyOutput(scope: CallScope, output: unknown): void;
  replyFailure(scope: CallScope, error: ServingError): void;
}

/**
 * Answers one unary call: finds the api, enters its lane, runs it. Ends the scope; never throws.
 *
 * @param input   The call's input, shared with nobody.
 * @param replier Gets the output or the failure, once.
 */
export function serveCall(replica: Replica, scope: CallScope, input: unknown, replier: Replier): void {
  replica.beginCall();
  scope.logger = replica.parts.log;
  let api: ReplicaApi;
  try {
    api = findApi(replica, scope);
  } catch (error) {
    endCall(replica, scope);
    replier.replyFailure(scope, describeFailure(error, replica, scope));
    return;
  }
  if (api.lane.tryEnter()) {
    api.stats.queueTime.observe(0);
    runCall({ replica, scope, input, replier, api, startedAt: scope.startedAt });
    return;
  }
  waitForPlace(api, scope).then(
    () => runCall({ replica, scope, input, replier, api, startedAt: scope.time.clock.now() }),
    (error) => {
      endCall(replica, scope);
      replier.replyFailure(scope, describeFailure(error, replica, scope));
    },
  );
}

/** A call that has its place in the lane. */
interface RunningCall {
  readonly replica: Replica;
  readonly scope: CallScope;
  readonly input: unknown;
  readonly replier: Replier;
  readonly api: ReplicaApi;
  readonly startedAt: number;
}

function runCall(call: RunningCall): void {
  const { replica, scope, api } = call;
  let result: unknown;
  try {
    result = invoke(api.target, call.input, scope, replica.parts.checksInside || scope.call.outside);
  } catch (error) {
    failCall(call, error);
    return;
  }
  if (!isPromiseLike(result)) {
    finishCall(call, result);
    return;
  }
  result.then(
    (output) => finishCall(call, output),
    (error: unknown) => failCall(call, error),
  );
}

function finishCall({ replica, scope, api, startedAt, replier }: RunningCall, output: unknown): void {
  leaveLane(api, scope, startedAt);
  endCall(replica, scope);
  replier.replyOutput(scope, output);
}

function failCall({ replica, scope, api, startedAt, replier }: RunningCall, thrown: unknown): void {
  const error = describeFailure(thrown, replica, scope);
  leaveLane(api, scope, startedAt);
  endCall(replica, scope);
  replier.replyFailure(scope, error);
}

/** The api that is called. @throws {ServingError} `draining`, `unknown_api`. */
export function findApi(replica: Replica, scope: CallScope): ReplicaApi {
  if (replica.isDraining) throw fail("draining", { what: `replica ${replica.parts.id}` });
  const api = replica.apis.get(scope.call.api);
  if (api === undefined) throw fail("unknown_api", { name: scope.call.api, known: [...replica.apis.keys()] });
  return api;
}

/** Waits in the lane, and measures that. Rejects as `Lane.wait`. */
export async function waitForPlace(api: ReplicaApi, scope: CallScope): Promise<void> {
  const queuedAt = scope.time.clock.now();
  try {
    await api.lane.wait(scope);
  } finally {
    api.stats.queueTime.observe(scope.time.clock.now() - queuedAt);
  }
}

/** Gives the place in the lane back. */
export function leaveLane(api: ReplicaApi, scope: CallScope, startedAt: number): void {
  const now = scope.time.clock.now();
  const runMs = now - startedAt;
  scope.endedAt = now;
  api.stats.runTime.observe(runMs);
  api.lane.leave(runMs);
}

/** Ends the scope of a call, and its count in the replica. */
export function endCall(replica: Replica, scope: CallScope): void {
  scope.close();
  replica.endCall();
}

/**
 * What does not travel with a failure is logged here: the stack of an error nobody foresaw, under an id that does travel,
 * and the cause of one that an author raised.
 */
export function describeFailure(thrown: unknown, replica: Replica, scope: CallScope): ServingError {
  const { service, api } = scope.call;
  const error = toServingError(thrown, service, api);
  if (scope.reason !== undefined) return error;
  if (error.incident !== undefined) {
    const { incident, service: thrower } = error;
    const fields = { err: error, service, api, requestId: scope.requestId, incident };
    replica.parts.log.error(fields, `${service}.${api} failed with what ${thrower}.${error.api} threw`);
    return error;
  }
  if (error.id !== "unhandled_error") {
    if (error.cause !== undefined) {
      const fields = { err: error.cause, service, api, requestId: scope.requestId, failure: error.id };
      replica.parts.log.warn(fields, `${service}.${api} failed: ${error.message}`);
    }
    return error;
  }
  const incident = randomBytes(6).toString("hex");
  Object.assign(error, { incident });
  replica.parts.log.error(
    { err: error.cause, service, api, requestId: scope.requestId, incident },
    `${service}.${api} threw: ${error.message}`,
  );
  return error;
}
