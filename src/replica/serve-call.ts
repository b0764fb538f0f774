import type { CallScope, ReplySink } from "../call/call-scope.js";
import { type InvokeSink, invoke } from "../call/invoke.js";
import { shortMs } from "../call/loop-turns.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { serveRows } from "./batch/serve-rows.js";
import { type CallHost, type CallToServe, type ReplicaApi, reportFailure } from "./call-host.js";
import type { QueueWait } from "./gate.js";
import type { LaneCall } from "./lane.js";

/**
 * Answers one unary call: finds the api, enters its lane or waits for its batch, and runs it. Ends the scope; never
 * throws.
 *
 * @param input Input of the call, not shared with any other code.
 * @param reply Gets the output or the failure, once.
 */
export function serveCall(replica: CallHost, scope: CallScope, input: unknown, reply: ReplySink): void {
  replica.beginCall();
  scope.runBy(replica.deps);
  let api: ReplicaApi;
  try {
    api = findApi(replica, scope);
  } catch (error) {
    endCall(replica, scope);
    reply.failure(reportFailure(error, scope));
    return;
  }
  const call = { replica, scope, input, reply, api };
  if (api.serve !== undefined) api.serve(call);
  else new ServedCall(call).begin();
}

/**
 * Runs a call that the replica makes itself, in a lane or a batch as any call: an attempt of a task, or a run below a
 * call that holds no slot. Ends the scope; never throws.
 *
 * @param call Its `reply` is called when the author's code has ended, even if the call was cancelled before.
 */
export function serveInside(call: CallToServe): void {
  call.replica.beginCall();
  if (call.api.batcher === undefined) new ServedCall(call).begin();
  else serveRows(call);
}

/** A call on its way through the lane of its api. */
class ServedCall implements LaneCall, InvokeSink {
  readonly scope: CallScope;
  readonly input: unknown;
  slot = -1;
  waited: QueueWait | undefined = undefined;
  readonly #replica: CallHost;
  readonly #reply: ReplySink;
  readonly #api: ReplicaApi;
  #startedAt: number;

  constructor({ replica, scope, input, reply, api }: CallToServe) {
    this.scope = scope;
    this.input = input;
    this.#replica = replica;
    this.#reply = reply;
    this.#api = api;
    this.#startedAt = scope.sentAt;
  }

  begin(): void {
    const { lane } = this.#api;
    if (lane.tryEnter(this)) this.#run();
    else lane.wait(this);
  }

  enter(): void {
    this.#startedAt = this.scope.time.clock.now();
    this.#run();
  }

  refuse(error: ServingError): void {
    endCall(this.#replica, this.scope);
    this.#reply.failure(reportFailure(error, this.scope));
  }

  output(output: unknown): void {
    this.#api.lane.noteResult();
    leaveLane(this.#api, this, this.#startedAt);
    endCall(this.#replica, this.scope);
    this.#reply.output(output);
  }

  failure(thrown: unknown): void {
    const error = reportFailure(thrown, this.scope);
    leaveLane(this.#api, this, this.#startedAt);
    endCall(this.#replica, this.scope);
    this.#reply.failure(error);
  }

  #run(): void {
    const { scope, input } = this;
    const { turns, clock } = scope.time;
    const before = turns.spentMs;
    invoke(this.#api.target, input, scope, this.#replica.deps.checksInside || scope.call.outside, this);
    const runMs = (scope.endedAt ?? clock.now()) - this.#startedAt;
    if (runMs >= shortMs) turns.count(before, runMs, this.#api.lane);
  }
}

/** Finds the called api. @throws {ServingError} `draining`, `unknown_api`. */
export function findApi(replica: CallHost, scope: CallScope): ReplicaApi {
  if (replica.isDraining) throw fail("draining", { what: `replica ${replica.deps.id}` });
  const api = replica.apis.get(scope.call.api);
  if (api === undefined) throw fail("unknown_api", { name: scope.call.api, known: [...replica.apis.keys()] });
  return api;
}

/** Gives the lane slot of a call back, and records its run time. */
export function leaveLane(api: ReplicaApi, call: LaneCall, startedAt: number): void {
  const { scope } = call;
  const now = scope.time.clock.now();
  const runMs = now - startedAt;
  scope.markEnded(now);
  api.stats.runTime.observe(runMs);
  api.lane.leave(call, runMs);
}

/** Ends the scope of a call, and counts the call out. */
export function endCall(replica: CallHost, scope: CallScope): void {
  scope.close();
  replica.endCall();
}
