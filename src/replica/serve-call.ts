import { randomBytes } from "node:crypto";
import type { CallScope } from "../call/call-scope.js";
import { invoke, invokeStream } from "../call/invoke.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { Replica, ReplicaApi } from "./replica.js";

/**
 * Answers one unary call: finds the api, enters its lane, runs it.
 *
 * @param input The call's input, shared with nobody.
 * @throws {ServingError} and nothing else; ends the scope in any case.
 */
export async function serveCall(replica: Replica, scope: CallScope, input: unknown): Promise<unknown> {
  let api: ReplicaApi | undefined;
  let startedAt = -1;
  replica.beginCall();
  try {
    api = findApi(replica, scope);
    scope.logger = replica.parts.log;
    if (api.lane.tryEnter()) api.stats.queueTime.observe(0);
    else await waitForPlace(api, scope);
    startedAt = scope.time.clock.now();
    return await invoke(api.target, input, scope, replica.parts.checksInside || scope.call.outside);
  } catch (error) {
    throw describeFailure(error, replica, scope);
  } finally {
    endCall(replica, scope, api, startedAt);
  }
}

/** Answers one streaming call; it holds its place in the lane until the stream ends. */
export async function* serveStream(
  replica: Replica,
  scope: CallScope,
  input: unknown,
): AsyncGenerator<unknown, void, undefined> {
  let api: ReplicaApi | undefined;
  let startedAt = -1;
  replica.beginCall();
  try {
    api = findApi(replica, scope);
    scope.logger = replica.parts.log;
    if (api.lane.tryEnter()) api.stats.queueTime.observe(0);
    else await waitForPlace(api, scope);
    startedAt = scope.time.clock.now();
    yield* invokeStream(api.target, input, scope, replica.parts.checksInside || scope.call.outside);
  } catch (error) {
    throw describeFailure(error, replica, scope);
  } finally {
    endCall(replica, scope, api, startedAt);
  }
}

function findApi(replica: Replica, scope: CallScope): ReplicaApi {
  if (replica.isDraining) throw fail("draining", { what: `replica ${replica.parts.id}` });
  const api = replica.apis.get(scope.call.api);
  if (api === undefined) throw fail("unknown_api", { name: scope.call.api, known: [...replica.apis.keys()] });
  return api;
}

async function waitForPlace(api: ReplicaApi, scope: CallScope): Promise<void> {
  const queuedAt = scope.time.clock.now();
  try {
    await api.lane.wait(scope);
  } finally {
    api.stats.queueTime.observe(scope.time.clock.now() - queuedAt);
  }
}

function endCall(replica: Replica, scope: CallScope, api: ReplicaApi | undefined, startedAt: number): void {
  if (api !== undefined && startedAt >= 0) {
    const runMs = scope.time.clock.now() - startedAt;
    api.stats.runTime.observe(runMs);
    api.lane.leave(runMs);
  }
  scope.close();
  replica.endCall();
}

/** Errors nobody foresaw are logged here, where the stack is, under an id that travels with the failure. */
function describeFailure(thrown: unknown, replica: Replica, scope: CallScope): ServingError {
  const { service, api } = scope.call;
  const error = toServingError(thrown, service, api);
  if (error.id !== "unhandled_error" || error.incident !== undefined || scope.reason !== undefined) return error;
  const incident = randomBytes(6).toString("hex");
  Object.assign(error, { incident });
  replica.parts.log.error(
    { err: error.cause, service, api, requestId: scope.requestId, incident },
    `${service}.${api} threw: ${error.message}`,
  );
  return error;
}
