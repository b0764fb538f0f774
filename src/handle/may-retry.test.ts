import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { createCallTime } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { EdgeStats } from "../observe/call-stats.js";
import type { CallTarget } from "./call-target.js";
import { CalleeRoom } from "./callee-room.js";
import { ServiceLinks } from "./directory.js";
import { maxLosses, mayRetry } from "./retry.js";
import { type CallStart, dispatchCall, dispatchStream, openScope } from "./start-call.js";

const service = "Model";
const lost = () => fail("replica_lost", { replica: "Model#0" }, { service });
const unsent = () => fail("replica_lost", { replica: "Model#0", isSent: false }, { service });
const draining = () => fail("draining", { what: "replica Model#0" }, { service });

/** A service whose one replica fails every call as `next` says, and how often it was called. */
function createFailing(idempotent: boolean, next: () => ServingError) {
  const links = new ServiceLinks(service);
  const seen = { calls: 0 };
  const link: ReplicaLink = {
    replica: "Model#0",
    inFlight: 0,
    send(scope) {
      seen.calls++;
      scope.replyFailure(next());
    },
    open: (_scope, sink) => ({
      pull: () => {
        seen.calls++;
        sink.fail(next());
      },
      stop: () => {},
    }),
  };
  links.add(link);
  const time = createCallTime(new FakeClock());
  const stats = new EdgeStats("local", service, "run");
  const target: CallTarget = {
    service,
    api: "run",
    timeoutMs: 1000,
    waitForReplicaMs: 0,
    idempotent,
    takesStream: false,
    itemSchema: undefined,
    links,
    stats,
    room: new CalleeRoom(time.clock, stats),
    time,
  };
  return { target, seen };
}

const start: CallStart = {
  input: null,
  caller: { service: "local", api: "" },
  parent: undefined,
  reader: undefined,
  request: undefined,
  timeoutMs: undefined,
  signal: undefined,
  outside: false,
  priority: "interactive",
};

describe("mayRetry", () => {
  const { target } = createFailing(true, lost);
  const once = createFailing(false, lost).target;

  it("sends again what may have run only where the api says that this does no harm", () => {
    assert.deepEqual([mayRetry(lost(), target, 1), mayRetry(lost(), once, 1)], [true, false]);
  });

  it("sends again what has certainly not run, whatever it does and however often", () => {
    for (const failure of [unsent(), draining()]) assert.ok(mayRetry(failure, once, maxLosses));
  });

  it("leaves alone what is no matter of a replica, or of another service's", () => {
    const own = fail("unhandled_error", { error: "no such word" }, { service });
    const below = fail("replica_lost", { replica: "Other#0" }, { service: "Other" });
    // A refusal is an answer: sending the call again would add to the load that caused it.
    const details = { queued: 3, retryAfterMs: 1000 };
    const full = { running: 1, queued: 1, maxQueued: 1, retryAfterMs: 1000, overdue: 0 };
    const refusals = [fail("overloaded", details, { service }), fail("lane_full", full, { service })];
    for (const failure of [own, below, ...refusals]) assert.equal(mayRetry(failure, target, 1), false);
  });
});

describe("a call that ends every replica it meets", () => {
  it("fails after a few of them, instead of ending all there are", async () => {
    const { target, seen } = createFailing(true, lost);
    await assert.rejects(dispatchCall(target, openScope(target, start)), { id: "replica_lost" });
    assert.equal(seen.calls, maxLosses);
  });

  it("does so as a stream, too", async () => {
    const { target, seen } = createFailing(true, lost);
    await assert.rejects(dispatchStream(target, openScope(target, start)).next(), { id: "replica_lost" });
    assert.equal(seen.calls, maxLosses);
  });

  it("is told apart from one that has met only replicas that took no call", async () => {
    let refusals = 20;
    const { target, seen } = createFailing(true, () => (refusals-- > 0 ? draining() : lost()));
    await assert.rejects(dispatchCall(target, openScope(target, start)), { id: "replica_lost" });
    assert.equal(seen.calls, 20 + maxLosses);
  });
});
