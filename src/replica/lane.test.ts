import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { FakeClock } from "../../test/fake-clock.js";
import { silentLogger } from "../base/logger.js";
import { RequestContext } from "../call/call.js";
import { CallScope, createCallTime } from "../call/call-scope.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { LaneStats } from "../observe/call-stats.js";
import type { QueueWait } from "./gate.js";
import { Lane, type LaneCall } from "./lane.js";
import { LaneWatch } from "./lane-watch.js";

const time = createCallTime(new FakeClock());

function openScope(): CallScope {
  const caller = { service: "local", api: "" };
  const request = new RequestContext();
  const call = {
    service: "S",
    api: "a",
    deadline: Number.POSITIVE_INFINITY,
    caller,
    request,
    outside: false,
    priority: "interactive" as const,
  };
  return new CallScope(call, undefined, time, time.clock.now());
}

interface Hears {
  readonly enter: (call: LaneCall) => void;
  readonly refuse: (error: ServingError) => void;
}

/** A call as the lane knows it. */
class TestCall implements LaneCall {
  readonly scope: CallScope;
  readonly input = 1;
  slot = -1;
  waited: QueueWait | undefined = undefined;
  readonly #hears: Hears;

  constructor(scope: CallScope, hears: Hears = { enter: () => {}, refuse: () => {} }) {
    this.scope = scope;
    this.#hears = hears;
  }

  enter(): void {
    this.#hears.enter(this);
  }

  refuse(error: ServingError): void {
    this.#hears.refuse(error);
  }
}

/** Waits for a slot as a call does. */
const waitIn = (lane: Lane, scope: CallScope): Promise<LaneCall> =>
  new Promise((enter, refuse) => lane.wait(new TestCall(scope, { enter, refuse })));

/** A lane, and who holds its slots: the first to come is the first to leave. */
class HeldLane extends Lane {
  readonly #held: LaneCall[] = [];

  enter(): boolean {
    const call = new TestCall(openScope());
    const isFree = this.tryEnter(call);
    if (isFree) this.#held.push(call);
    return isFree;
  }

  /** Waits, and holds its slot. */
  async queue(scope: CallScope): Promise<void> {
    this.#held.push(await waitIn(this, scope));
  }

  end(runMs: number): void {
    this.leave(this.#held.shift() as LaneCall, runMs);
  }
}

describe("Lane", () => {
  it("refuses a call at once when its queue is full, and says by how much and when to come back (LN1)", async () => {
    const lane = new HeldLane({ bounds: { maxConcurrent: 1, maxQueued: 1 }, stats: new LaneStats("S", "a"), time });
    assert.equal(lane.enter(), true);
    lane.end(1000);
    await Promise.resolve();
    assert.equal(lane.enter(), true);
    assert.equal(lane.enter(), false);
    const queued = lane.queue(openScope());
    await assert.rejects(lane.queue(openScope()), (error) => {
      assert.ok(error instanceof ServingError);
      assert.equal(error.id, "lane_full");
      assert.equal(error.code, "resource_exhausted");
      assert.equal(error.httpStatus, 429);
      assert.match(error.message, /runs 1 call and holds 1 more \(maxQueued 1\)/);
      assert.equal(error.details["retryAfterMs"], 2000);
      return true;
    });
    lane.end(1);
    await queued;
    assert.equal(lane.running, 1);
  });

  it("hands a free slot to the call that waited longest (LN2)", async () => {
    const stats = new LaneStats("S", "a");
    const lane = new HeldLane({ bounds: { maxConcurrent: 2, maxQueued: 10 }, stats, time });
    const entered: string[] = [];
    lane.enter();
    lane.enter();
    const waits = ["a", "b", "c"].map((name) => lane.queue(openScope()).then(() => entered.push(name)));
    assert.deepEqual([stats.running, stats.queued], [2, 3]);
    lane.end(1);
    await waits[0];
    assert.deepEqual(entered, ["a"]);
    lane.end(1);
    lane.end(1);
    await Promise.all(waits);
    assert.deepEqual(entered, ["a", "b", "c"]);
    lane.end(1);
    lane.end(1);
    assert.deepEqual([lane.running, lane.queued, stats.running, stats.queued], [0, 0, 0, 0]);
  });

  it("drops a waiting call whose caller is gone, from the middle of the queue (LN3)", async () => {
    const lane = new HeldLane({ bounds: { maxConcurrent: 1, maxQueued: 10 }, stats: new LaneStats("S", "a"), time });
    lane.enter();
    const scopes = [openScope(), openScope(), openScope()] as const;
    const waits = scopes.map((scope) => lane.queue(scope));
    const gone = assert.rejects(waits[1] as Promise<void>, { code: "cancelled" });
    scopes[1].cancel(fail("cancelled", { reason: "client gone" }));
    await gone;
    assert.equal(lane.queued, 2);
    lane.end(1);
    await waits[0];
    lane.end(1);
    await waits[2];
    lane.end(1);
    assert.equal(lane.running, 0);
  });

  it("begins nothing once it is closed, and lets a waiting call leave when its caller is cut off (LN8)", async () => {
    const lane = new HeldLane({ bounds: { maxConcurrent: 1, maxQueued: 10 }, stats: new LaneStats("S", "a"), time });
    lane.enter();
    const scope = openScope();
    const gone = assert.rejects(lane.queue(scope), { code: "cancelled" });
    lane.close();
    lane.end(1);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([lane.queued, lane.running], [1, 0]);
    scope.cancel(fail("cancelled", { reason: "its link was cut" }));
    await gone;
    assert.deepEqual([lane.queued, lane.running], [0, 0]);
  });

  it("does not queue at all with maxQueued 0", async () => {
    const lane = new HeldLane({ bounds: { maxConcurrent: 1, maxQueued: 0 }, stats: new LaneStats("S", "a"), time });
    lane.enter();
    await assert.rejects(lane.queue(openScope()), { id: "lane_full" });
  });

  it("says how many of those that hold slots should have ended, and where a waiting call stands (LN4)", async () => {
    const stats = new LaneStats("S", "a");
    const lane = new Lane({ bounds: { maxConcurrent: 2, maxQueued: 1 }, stats, time });
    const stuck = [new TestCall(openScope()), new TestCall(openScope())] as const;
    for (const call of stuck) assert.equal(lane.tryEnter(call), true);
    stuck[0].scope.cancel(fail("cancelled", { reason: "gone" }));
    const waiting = openScope();
    const waited = assert.rejects(waitIn(lane, waiting), { id: "deadline_exceeded" });
    await assert.rejects(waitIn(lane, openScope()), {
      message:
        "the lane runs 2 calls, 1 of which timed out or were cancelled and have not ended, and holds 1 more (maxQueued 1)",
    });
    waiting.expire();
    await waited;
    assert.match(
      waiting.reason?.message ?? "",
      /S\.a \(in its queue: 2 of 2 slots are taken, 1 of them by calls that timed out/,
    );
    const count = () => [...stats.overdue].reduce((sum, overdue) => sum + overdue(), 0);
    assert.equal(count(), 1);
    lane.leave(stuck[0], 1);
    assert.deepEqual([count(), lane.running], [0, 1]);
  });

  it("keeps no call that has ended, though the watch saw it run and looks no more (LN9)", async () => {
    const clock = new FakeClock();
    const own = createCallTime(clock);
    const watch = new LaneWatch(clock, silentLogger);
    const lane = new Lane({
      bounds: { maxConcurrent: 2, maxQueued: 1 },
      stats: new LaneStats("S", "a"),
      time: own,
      watch,
    });
    watch.add(lane);
    const runAndLeave = (): WeakRef<object>[] => {
      const calls = [new TestCall(openScope()), new TestCall(openScope())] as const;
      for (const call of calls) assert.equal(lane.tryEnter(call), true);
      calls[0].scope.cancel(fail("cancelled", { reason: "gone" }));
      clock.advance(1000);
      for (const call of calls) lane.leave(call, 1);
      return calls.flatMap((call) => [new WeakRef<object>(call), new WeakRef<object>(call.scope)]);
    };
    const ended = runAndLeave();
    clock.advance(1000);
    assert.equal(watch.isOn, false);
    // A weak reference that was just read holds its target until the turn ends.
    await new Promise(setImmediate);
    setFlagsFromString("--expose-gc");
    (runInNewContext("gc") as () => void)();
    assert.deepEqual(
      ended.map((kept) => kept.deref()),
      [undefined, undefined, undefined, undefined],
    );
    assert.equal(lane.running, 0);
  });

  it("lets nothing begin in a turn that runs have made long, though slots are free, and counts the wait (LN6)", async () => {
    const clock = new FakeClock();
    const own = createCallTime(clock);
    const stats = new LaneStats("S", "a");
    const lane = new Lane({ bounds: { maxConcurrent: 2, maxQueued: 0 }, stats, time: own });
    const open = () => new CallScope(openScope().call, undefined, own, clock.now());
    const run = () => {
      const call = new TestCall(open());
      assert.equal(lane.tryEnter(call), true);
      clock.advance(50);
      own.turns.count(own.turns.spentMs, 50);
      lane.leave(call, 50);
    };
    run();
    assert.equal(lane.tryEnter(new TestCall(open())), false);
    const context = new AsyncLocalStorage<string>();
    const entered: (string | undefined)[] = [];
    const next = open();
    context.run("its own", () =>
      lane.wait(
        new TestCall(next, { enter: () => entered.push(context.getStore()), refuse: (error) => assert.fail(error) }),
      ),
    );
    assert.deepEqual([lane.queued, lane.freeSlots, stats.queued], [1, 1, 1]);
    assert.match(next.queuedIn?.describe() ?? "", /keep the event loop of its replica busy/);
    // The slot of the run that has just ended is not free before its answer is on its way.
    await assert.rejects(waitIn(lane, open()), {
      id: "lane_full",
      message: /runs 1 call and holds 1 more \(maxQueued 0\)/,
    });
    clock.advance(30);
    await own.turns.passed();
    assert.deepEqual([entered, lane.running, lane.queued], [["its own"], 1, 0]);
    assert.deepEqual([stats.queueTime.count, stats.queueTime.sum], [3, 0.03]);
  });

  it("never lets a call begin whose deadline has passed while the loop was kept from turning (LN3)", async () => {
    const clock = new FakeClock();
    const own = createCallTime(clock);
    const lane = new Lane({ bounds: { maxConcurrent: 4, maxQueued: 4 }, stats: new LaneStats("S", "a"), time: own });
    const open = (timeoutMs: number) =>
      new CallScope({ ...openScope().call, deadline: clock.now() + timeoutMs }, undefined, own, clock.now());
    own.turns.count(0, 5);
    const [late, next] = [waitIn(lane, open(3)), waitIn(lane, open(100))];
    const isLate = assert.rejects(late, { id: "deadline_exceeded" });
    // Time passes, and no timer is run: as in a thread that computes.
    const now = clock.now() + 10;
    clock.now = () => now;
    await next;
    await isLate;
    assert.equal(lane.running, 1);
  });

  it("tells a refused caller to wait for what running calls have lasted, never for nothing", async () => {
    const clock = new FakeClock();
    const own = createCallTime(clock);
    const open = () => new CallScope(openScope().call, undefined, own, clock.now());
    const lane = new Lane({ bounds: { maxConcurrent: 1, maxQueued: 0 }, stats: new LaneStats("S", "a"), time: own });
    const refusal = async () => {
      const error = await waitIn(lane, open()).then(
        () => assert.fail("it was to be refused"),
        (thrown: ServingError) => thrown,
      );
      return error.details["retryAfterMs"];
    };
    const first = new TestCall(open());
    lane.tryEnter(first);
    assert.equal(await refusal(), 1000);
    clock.advance(2500);
    assert.equal(await refusal(), 2500);
    lane.leave(first, 2000);
    lane.tryEnter(new TestCall(open()));
    assert.equal(await refusal(), 2000);
  });

  describe("under load (LN7)", () => {
    /** A lane with one slot in which calls of 10 ms have been answered while others waited. */
    function openBusy(waiting: number, isPatient = false) {
      const clock = new FakeClock();
      const own = createCallTime(clock);
      const stats = new LaneStats("S", "a");
      const lane = new Lane({ bounds: { maxConcurrent: 1, maxQueued: 1000 }, stats, time: own, isPatient });
      const open = (leftMs = Number.POSITIVE_INFINITY) =>
        new CallScope({ ...openScope().call, deadline: clock.now() + leftMs }, undefined, own, clock.now());
      const scopes: CallScope[] = [];
      const begun: LaneCall[] = [];
      const come = (scope: CallScope) => {
        scopes.push(scope);
        const waited = waitIn(lane, scope).then((call) => void begun.push(call));
        waited.catch(() => {});
        return waited;
      };
      const first = new TestCall(open());
      lane.tryEnter(first);
      begun.push(first);
      for (let i = 0; i < waiting; i++) void come(open());
      const answer = async () => {
        clock.advance(10);
        lane.leave(begun.shift() as LaneCall, 10);
        await new Promise(setImmediate);
      };
      return { lane, stats, open, come, answer, scopes, begun };
    }

    it("refuses at once a call that could not be answered in time, at the pace of late", async () => {
      const { lane, stats, open, come, answer } = openBusy(40);
      for (let i = 0; i < 20; i++) await answer();
      assert.equal(lane.queued, 20);
      await assert.rejects(come(open(150)), {
        id: "overloaded",
        code: "resource_exhausted",
        message:
          "the call would miss its deadline: 20 calls wait, and one is answered every 10 ms, so it would wait 200 ms and run 10 ms, and it has 150 ms left",
        details: { queued: 20, answerMs: 10, waitMs: 200, runMs: 10, leftMs: 150, retryAfterMs: 60 },
      });
      void come(open(250));
      assert.deepEqual([lane.queued, stats.refused], [21, { full: 0, overloaded: 0, late: 1 }]);
    });

    it("refuses no attempt of a task for its time", async () => {
      const { lane, open, come, answer } = openBusy(40, true);
      for (let i = 0; i < 20; i++) await answer();
      void come(open(1));
      assert.equal(lane.queued, 21);
    });

    it("keeps few waiting once callers give up beside what it answers, and tells others when to come again", async () => {
      const { lane, stats, open, come, answer, scopes, begun } = openBusy(100);
      for (let i = 0; i < 10; i++) await answer();
      for (let i = 0; i < 20; i++) {
        scopes.at(45 + i)?.cancel(fail("cancelled", { reason: "gone" }));
        await answer();
      }
      const [newest, next] = [open(), open()];
      void come(newest);
      void come(next);
      await assert.rejects(come(open()), {
        id: "overloaded",
        details: { queued: 52, answerMs: 10, retryAfterMs: 1000 },
      });
      await answer();
      assert.equal(begun[0]?.scope, newest, "those that come now are served before those that waited");
      assert.equal(stats.refused.overloaded, 1);
      assert.equal(
        [...stats.admissions].some(({ isOverloaded }) => isOverloaded),
        true,
      );
      while (begun.length > 0) await answer();
      assert.deepEqual([lane.queued, lane.running, stats.running], [0, 0, 0]);
    });

    it("is not overloaded by a crowd that leaves together, whenever the runs of its calls end", async () => {
      const { lane, stats, open, come, answer, scopes, begun } = openBusy(90);
      for (let i = 0; i < 10; i++) await answer();
      // They had waited, they run, and their callers have gone in one moment.
      const crowd = scopes.slice(0, 60);
      const gone = fail("cancelled", { reason: "gone" });
      for (const scope of crowd) if (!begun.some((call) => call.scope === scope)) scope.cancel(gone);
      begun[0]?.scope.cancel(gone);
      for (let i = 0; i < 15; i++) await answer();
      void come(open());
      assert.equal(stats.refused.overloaded, 0);
      assert.ok([...stats.admissions].every(({ isOverloaded }) => !isOverloaded));
      while (begun.length > 0) await answer();
      assert.equal(lane.queued, 0);
    });
  });
});
