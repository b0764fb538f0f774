import type { CallScope } from "../call/call-scope.js";
import { invoke } from "../call/invoke.js";
import { shortMs } from "../call/loop-turns.js";
import { fail } from "../failure/fail.js";
import { describeFailure } from "./describe-failure.js";
import type { Replica, ReplicaApi } from "./replica.js";
import type { Replier } from "./replier.js";
import { serveRows } from "./serve-rows.js";

/**
 * Answers one unary call: finds the api, enters its lane or waits for its batch, runs it. Ends the scope; never throws.
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
    replier.replyFailure(scope, describeFailure(error, scope));
    return;
  }
  if (api.batcher !== undefined) {
    serveRows({ replica, scope, input, replier, api, batcher: api.batcher });
    return;
  }
  enterLane({ replica, scope, input, replier, api, startedAt: scope.startedAt });
}

/**
 * Runs one attempt of a task, by the same steps as any call. Ends the scope; never throws.
 *
 * @param call Its replier hears of the end of the author's code, also when nobody waits for the answer any more.
 */
export function serveAttempt(call: Omit<RunningCall, "startedAt">): void {
  call.replica.beginCall();
  call.scope.logger = call.replica.parts.log;
  enterLane({ ...call, startedAt: call.scope.startedAt });
}

function enterLane(call: RunningCall): void {
  const { replica, scope, replier, api } = call;
  if (api.lane.tryEnter(scope)) {
    runCall(call);
    return;
  }
  api.lane.wait(scope, {
    enter: () => runCall({ ...call, startedAt: scope.time.clock.now() }),
    refuse: (error) => {
      endCall(replica, scope);
      replier.replyFailure(scope, describeFailure(error, scope));
    },
  });
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
  const { replica, scope, api, startedAt } = call;
  const { turns, clock } = scope.time;
  const before = turns.spentMs;
  invoke(api.target, call.input, scope, replica.parts.checksInside || scope.call.outside, {
    output: (value) => finishCall(call, value),
    failure: (thrown) => failCall(call, thrown),
  });
  const runMs = (scope.endedAt ?? clock.now()) - startedAt;
  if (runMs >= shortMs) turns.count(before, runMs);
}

function finishCall({ replica, scope, api, startedAt, replier }: RunningCall, output: unknown): void {
  leaveLane(api, scope, startedAt);
  endCall(replica, scope);
  replier.replyOutput(scope, output);
}

function failCall({ replica, scope, api, startedAt, replier }: RunningCall, thrown: unknown): void {
  const error = describeFailure(thrown, scope);
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

/** Gives the place in the lane back. */
export function leaveLane(api: ReplicaApi, scope: CallScope, startedAt: number): void {
  const now = scope.time.clock.now();
  const runMs = now - startedAt;
  scope.endedAt = now;
  api.stats.runTime.observe(runMs);
  api.lane.leave(scope, runMs);
}

/** Ends the scope of a call, and its count in the replica. */
export function endCall(replica: Replica, scope: CallScope): void {
  scope.close();
  replica.endCall();
}
