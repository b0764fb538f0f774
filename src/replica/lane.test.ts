import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CallScope, createCallTime } from "../call/call-scope.js";
import { RequestContext } from "../call/request-context.js";
import { fail } from "../failure/fail.js";
import { ServingError } from "../failure/serving-error.js";
import { LaneStats } from "../observe/call-stats.js";
import { FakeClock } from "../testing/fake-clock.js";
import { Lane } from "./lane.js";

const time = createCallTime(new FakeClock());

function openScope(): CallScope {
  const caller = { service: "local", api: "" };
  const request = new RequestContext();
  const call = {
    service: "S",
    api: "a",
    input: 1,
    deadline: Number.POSITIVE_INFINITY,
    caller,
    request,
    outside: false,
    priority: "interactive" as const,
  };
  return new CallScope(call, undefined, time, time.clock.now());
}

describe("Lane", () => {
  it("refuses a call at once when its queue is full, and says by how much and when to come back (L1)", async () => {
    const lane = new Lane({ maxConcurrent: 1, maxQueued: 1 }, new LaneStats("S", "a"));
    assert.equal(lane.tryEnter(), true);
    lane.leave(1000);
    assert.equal(lane.tryEnter(), true);
    assert.equal(lane.tryEnter(), false);
    const queued = lane.wait(openScope());
    await assert.rejects(lane.wait(openScope()), (error) => {
      assert.ok(error instanceof ServingError);
      assert.equal(error.id, "lane_full");
      assert.equal(error.code, "resource_exhausted");
      assert.equal(error.httpStatus, 429);
      assert.match(error.message, /runs 1 calls and holds 1 more \(maxQueued 1\)/);
      assert.equal(error.details["retryAfterMs"], 200);
      return true;
    });
    lane.leave(1);
    await queued;
    assert.equal(lane.running, 1);
  });

  it("hands a free place to the call that waited longest (L2)", async () => {
    const stats = new LaneStats("S", "a");
    const lane = new Lane({ maxConcurrent: 2, maxQueued: 10 }, stats);
    const entered: string[] = [];
    lane.tryEnter();
    lane.tryEnter();
    const waits = ["a", "b", "c"].map((name) => lane.wait(openScope()).then(() => entered.push(name)));
    assert.deepEqual([stats.running, stats.queued], [2, 3]);
    lane.leave(1);
    await waits[0];
    assert.deepEqual(entered, ["a"]);
    lane.leave(1);
    lane.leave(1);
    await Promise.all(waits);
    assert.deepEqual(entered, ["a", "b", "c"]);
    lane.leave(1);
    lane.leave(1);
    assert.deepEqual([lane.running, lane.queued, stats.running, stats.queued], [0, 0, 0, 0]);
  });

  it("drops a waiting call whose caller is gone, from the middle of the queue (L3)", async () => {
    const lane = new Lane({ maxConcurrent: 1, maxQueued: 10 }, new LaneStats("S", "a"));
    lane.tryEnter();
    const scopes = [openScope(), openScope(), openScope()] as const;
    const waits = scopes.map((scope) => lane.wait(scope));
    const gone = assert.rejects(waits[1] as Promise<void>, { code: "cancelled" });
    scopes[1].cancel(fail("cancelled", { reason: "client gone" }));
    await gone;
    assert.equal(lane.queued, 2);
    lane.leave(1);
    await waits[0];
    lane.leave(1);
    await waits[2];
    lane.leave(1);
    assert.equal(lane.running, 0);
  });

  it("does not queue at all with maxQueued 0", async () => {
    const lane = new Lane({ maxConcurrent: 1, maxQueued: 0 }, new LaneStats("S", "a"));
    lane.tryEnter();
    await assert.rejects(lane.wait(openScope()), { id: "lane_full" });
  });
});
