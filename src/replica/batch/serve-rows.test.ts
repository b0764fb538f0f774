import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, it } from "node:test";
import { z } from "zod";
import { startBatchedModel, turn } from "../../../test/batching/batched-model.js";
import { createDeferred } from "../../base/clock.js";
import { RequestContext } from "../../call/call.js";
import { fail } from "../../failure/failures.js";
import { ServingError } from "../../failure/serving-error.js";

const gone = () => fail("cancelled", { reason: "the client has gone" });
const badRow = () =>
  new ServingError({ code: "invalid_argument", id: "bad_row", message: "no vowels", details: { v: 0 } });

describe("an api that batches", () => {
  it("joins the rows of calls that come in one turn of the event loop, and gives each its own", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 8 } });
    const calls = [stage.call(["a"]), stage.call(["b", "c"]), stage.call(["d"])];
    assert.deepEqual(await Promise.all(calls.map(({ answer }) => answer)), [["A"], ["B", "C"], ["D"]]);
    assert.deepEqual(stage.rows(), ["a b c d"]);
    assert.deepEqual(
      calls.map(({ count }) => count()),
      [1, 1, 1],
    );
  });

  it("never exceeds maxRows, keeps the rows of a call together where it can, and the order (BA1)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 4 } });
    const calls = [["a", "b", "c"], ["d", "e"], ["f"], ["g", "h", "i", "j"]].map((rows) => stage.call(rows).answer);
    assert.deepEqual((await Promise.all(calls)).flat(), [..."ABCDEFGHIJ"]);
    assert.deepEqual(stage.rows(), ["a b c", "d e f", "g h i j"]);
  });

  it("cuts a call that is larger than maxRows, lets others in between, and puts its answer together in order (BC1, BA4)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 3 } });
    const large = stage.call([..."abcdefgh"]);
    const small = stage.call(["z"]);
    assert.deepEqual(await large.answer, [..."ABCDEFGH"]);
    assert.deepEqual(await small.answer, ["Z"]);
    assert.deepEqual(stage.rows(), ["a b c", "z d e", "f g h"]);
  });

  it("lets the next batch gather while one runs, and runs no more than maxConcurrent at once (BA2)", async () => {
    for (const maxConcurrent of [1, 2]) {
      const stage = await startBatchedModel({ batch: { maxRows: 8, maxConcurrent } });
      stage.isHeld = true;
      for (const row of ["a", "b", "c", "d"]) {
        stage.call([row]);
        await turn();
      }
      assert.deepEqual(stage.rows(), ["a", "b"].slice(0, maxConcurrent));
      stage.batches[0]?.end.resolve();
      await turn();
      assert.equal(stage.rows().at(-1), maxConcurrent === 1 ? "b c d" : "c d");
    }
  });

  it("lets whatever has arrived while it blocked the event loop come along (BA3)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 8 } });
    const late: Promise<unknown>[] = [];
    stage.model = (rows) => {
      // Stands for a socket whose bytes came while the model ran: they are read in the next turn.
      if (rows[0] === "a") setImmediate(() => late.push(stage.call(["c"]).answer, stage.call(["d"]).answer));
      return rows;
    };
    const first = stage.call(["a"]).answer;
    await first;
    stage.call(["b"]);
    await turn();
    await Promise.all(late);
    assert.deepEqual(stage.rows(), ["a", "b c d"]);
  });

  it("refuses a bad input alone: it never joins the rows of others", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 8 } });
    const good = stage.call(["a"]);
    const bad = stage.call(["b", 7]);
    await assert.rejects(bad.answer, { id: "invalid_input", message: /\[1\]/ });
    assert.deepEqual(await good.answer, ["A"]);
    assert.deepEqual(stage.rows(), ["a"]);
  });

  it("checks the output call by call: one bad row fails one call", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 8 } });
    stage.model = (rows) => rows.map((row) => (row === "b" ? 7 : row));
    const [a, b] = [stage.call(["a"]), stage.call(["b"])];
    assert.deepEqual(await a.answer, ["a"]);
    await assert.rejects(b.answer, { id: "invalid_output" });
  });

  it("answers a call once that is cancelled, or late, while its output is being checked (BC2)", async () => {
    const checked = createDeferred<boolean>();
    const outputRow = z.string().refine(() => checked.promise);
    const stage = await startBatchedModel({ batch: { maxRows: 8 }, outputRow });
    const cancelled = stage.call(["a"]);
    const late = stage.call(["b"], { deadline: stage.clock.now() + 50 });
    await turn();
    assert.deepEqual(stage.rows(), ["a b"]);
    const lane = stage.stats().lane("Model", "upper");
    cancelled.scope.cancel(gone());
    late.scope.expire();
    await assert.rejects(cancelled.answer, { id: "cancelled" });
    await assert.rejects(late.answer, { id: "deadline_exceeded" });
    checked.resolve(true);
    await turn();
    assert.deepEqual([cancelled.count(), late.count()], [1, 1]);
    assert.deepEqual([stage.replica().inFlight, lane.running, lane.queued, lane.runTime.count], [0, 0, 0, 2]);
  });

  it("fails alone the call whose part of a batch can't be kept until the rest of it has run (BR1, BC3)", async () => {
    for (const idempotent of [false, true]) {
      const stage = await startBatchedModel({ batch: { maxRows: 2 }, idempotent });
      const sparse: unknown[] = [];
      sparse[2_000_000] = "far";
      let fails = idempotent;
      stage.model = (rows) => {
        // Where it may run again, the halves of the batch are tried.
        if (fails) {
          fails = false;
          throw badRow();
        }
        return rows.map((row) => (row === "x" ? sparse : row.toUpperCase()));
      };
      const [a, cut, c] = [stage.call(["a"]), stage.call(["x", "y", "z"]), stage.call(["c"])];
      assert.deepEqual(await a.answer, ["A"]);
      await assert.rejects(cut.answer, { code: "internal" });
      assert.deepEqual(await c.answer, ["C"]);
      await turn();
      assert.deepEqual([a.count(), cut.count(), c.count()], [1, 1, 1]);
      const lane = stage.stats().lane("Model", "upper");
      assert.deepEqual([stage.replica().inFlight, lane.running, lane.queued], [0, 0, 0]);
      const runs = stage.batches.flatMap(({ rows }) => rows);
      assert.equal(runs.filter((row) => row === "a").length, idempotent ? 2 : 1);
    }
  });

  it("answers a call without rows without running the model", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 8 } });
    assert.deepEqual(await stage.call([]).answer, []);
    assert.deepEqual(stage.rows(), []);
  });

  it("fails a call by the ServingError that stands in its row's place, and no other", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 2 } });
    stage.model = (rows) => rows.map((row) => (row === "x" ? badRow() : row));
    const [a, x] = [stage.call(["a"]), stage.call(["x"])];
    const several = stage.call(["b", "c", "d", "x", "e"]);
    assert.deepEqual(await a.answer, ["a"]);
    const failure = { code: "invalid_argument", id: "bad_row", message: "no vowels", service: "Model", api: "upper" };
    await assert.rejects(x.answer, { ...failure, details: { v: 0 } });
    await assert.rejects(several.answer, { ...failure, details: { v: 0, row: 3 } });
    // Its last piece had not left yet, and was taken back (BC4).
    assert.deepEqual(stage.rows(), ["a x", "b c", "d x"]);
  });

  it("fails every call of a batch that came back with another number of rows, with the numbers", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 8 }, idempotent: true });
    stage.model = (rows) => rows.slice(1);
    for (const { answer } of [stage.call(["a"]), stage.call(["b", "c"])]) {
      await assert.rejects(answer, {
        code: "internal",
        id: "batch_size_changed",
        details: { rowsIn: 3, rowsOut: 2, field: "" },
      });
    }
    assert.equal(stage.batches.length, 1);
  });

  it("fails every call of a batch that threw, runs it once, and logs one incident", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 8 } });
    stage.model = () => {
      throw new RangeError("out of tune");
    };
    const calls = [stage.call(["a"]), stage.call(["b"])];
    const errors = await Promise.all(calls.map(({ answer }) => answer.catch((error: ServingError) => error)));
    const [first, second] = errors as [ServingError, ServingError];
    assert.deepEqual([first.id, first.message, first.incident], ["unhandled_error", "out of tune", second.incident]);
    assert.deepEqual(stage.rows(), ["a b"]);
    assert.deepEqual(
      stage.lines.map(({ fields }) => fields["incident"]),
      [first.incident],
    );
  });

  it("runs the halves of a batch that threw again where the api may run twice, so that only bad rows fail (BR3)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 8 }, idempotent: true });
    stage.model = (rows) => {
      if (rows.includes("x")) throw badRow();
      return rows.map((row) => row.toUpperCase());
    };
    const calls = [..."abcdefxg"].map((row) => stage.call([row]).answer);
    const settled = await Promise.allSettled(calls);
    assert.deepEqual(
      settled.map((each) => (each.status === "fulfilled" ? each.value : each.reason.id)),
      [["A"], ["B"], ["C"], ["D"], ["E"], ["F"], "bad_row", ["G"]],
    );
    assert.deepEqual(stage.rows().slice(0, 3), ["a b c d e f x g", "a b c d", "e f x g"]);
  });

  it("does not run a batch again that failed for no row's sake: what is busy would be asked as often (BR3)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 8 }, idempotent: true });
    stage.model = () => {
      throw new ServingError({ code: "unavailable", message: "the model's own callee is down" });
    };
    const calls = ["a", "b", "c"].map((row) => stage.call([row]));
    for (const { answer } of calls) await assert.rejects(answer, { code: "unavailable" });
    assert.deepEqual(stage.rows(), ["a b c"]);
  });

  it("runs a batch again no more often than it has calls, however broken the model is (BR3)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 16 }, idempotent: true });
    stage.model = () => {
      throw badRow();
    };
    const calls = Array.from({ length: 16 }, (_, i) => stage.call([`${i}`]));
    for (const { answer, count } of calls) {
      await assert.rejects(answer, { id: "bad_row" });
      assert.equal(count(), 1);
    }
    assert.equal(stage.batches.length, 1 + 16);
  });

  it("does not run a batch again whose callers have all gone before its turn came (BR3)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 8 }, idempotent: true });
    stage.model = () => {
      // So long that the halves wait for a turn; meanwhile the callers go.
      stage.clock.advance(5);
      setImmediate(() => {
        for (const { scope } of calls) scope.cancel(gone());
      });
      throw badRow();
    };
    const calls = [stage.call(["a"]), stage.call(["b"])];
    await Promise.all(calls.map(({ answer }) => assert.rejects(answer, { id: "cancelled" })));
    while (stage.replica().inFlight > 0) await turn();
    assert.deepEqual(stage.rows(), ["a b"]);
  });

  it("refuses a call at once when the queue is full, with the numbers, and counts what gathers to no queue (BA2)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 2 }, maxQueued: 1 });
    stage.isHeld = true;
    stage.call(["a"]);
    stage.call(["b"]);
    await turn();
    assert.deepEqual(stage.rows(), ["a b"]);
    stage.call(["c"]);
    const refused = stage.call(["d"]);
    await assert.rejects(refused.answer, {
      code: "resource_exhausted",
      id: "lane_full",
      httpStatus: 429,
      message: /runs 2 calls and holds 1 more \(maxQueued 1\)/,
    });
    const none = await startBatchedModel({ batch: { maxRows: 2 }, maxQueued: 0 });
    assert.deepEqual(await Promise.all([none.call(["a"]).answer, none.call(["b"]).answer]), [["A"], ["B"]]);
  });

  /** A model that has answered one row each 10 ms while calls waited. */
  async function startBusyModel(waiting: number) {
    const stage = await startBatchedModel({ batch: { maxRows: 1 }, maxQueued: 1000 });
    stage.isHeld = true;
    const calls = Array.from({ length: waiting + 1 }, (_, i) => stage.call([`row ${i}`]));
    await turn();
    let answered = 0;
    const answer = async () => {
      stage.clock.advance(10);
      stage.batches[answered++]?.end.resolve();
      await turn();
    };
    const come = (ms = Number.POSITIVE_INFINITY) => stage.call(["new"], { deadline: stage.clock.now() + ms });
    return { stage, calls, answer, come, stats: stage.stats().lane("Model", "upper") };
  }

  it("refuses at once a call that could not be answered in time, at the recent pace (BA8)", async () => {
    const { answer, come, stats } = await startBusyModel(40);
    for (let i = 0; i < 20; i++) await answer();
    assert.equal(stats.queued, 20);
    await assert.rejects(come(150).answer, {
      id: "overloaded",
      code: "resource_exhausted",
      message: /the call would miss its deadline: 20 calls wait, and one is answered every 10 ms/,
    });
    come(250);
    assert.deepEqual([stats.queued, stats.refused], [21, { full: 0, overloaded: 0, late: 1 }]);
  });

  it("lets few calls wait once callers give up beside what it answers (BA8)", async () => {
    const { stage, calls, answer, come, stats } = await startBusyModel(100);
    for (let i = 0; i < 10; i++) await answer();
    for (let i = 0; i < 20; i++) {
      calls.at(45 + i)?.scope.cancel(gone());
      await answer();
    }
    come();
    come();
    await assert.rejects(come().answer, { id: "overloaded" });
    assert.deepEqual(stats.refused, { full: 0, overloaded: 1, late: 0 });
    await answer();
    assert.deepEqual(stage.batches.at(-1)?.rows, ["new"]);
  });

  it("lets a cancelled call leave the queue at once (BA5)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 2 } });
    stage.isHeld = true;
    stage.call(["a"]);
    await turn();
    const calls = ["b", "c", "d"].map((row) => stage.call([row]));
    calls[0]?.scope.cancel(gone());
    await assert.rejects(calls[0]?.answer ?? Promise.resolve(), { id: "cancelled" });
    assert.equal(stage.stats().lane("Model", "upper").queued, 2);
    stage.batches[0]?.end.resolve();
    await turn();
    assert.deepEqual(stage.rows(), ["a", "c d"]);
  });

  it("aborts the signal of a batch when the last of its callers has gone, and not before (BR2)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 4 } });
    stage.isHeld = true;
    const [a, b] = [stage.call(["a"]), stage.call(["b"])];
    await turn();
    const [batch] = stage.batches;
    a.scope.cancel(gone());
    assert.equal(batch?.call.signal.aborted, false);
    b.scope.cancel(gone());
    assert.equal(batch?.call.signal.aborted, true);
    assert.equal(batch?.call.signal.reason.id, "cancelled");
    batch?.end.resolve();
    await turn();
    assert.equal(stage.replica().inFlight, 0);
  });

  it("runs in the time of its most patient call, as the request of its first, with nobody's headers", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 4 } });
    const request = (id: string) => new RequestContext({ authorization: id }, id);
    const now = stage.clock.now();
    stage.call(["a"], { deadline: now + 50, request: request("r1") });
    stage.call(["b"], { deadline: now + 90, request: request("r2") });
    await turn();
    const { deadline, requestId, headers } = stage.batches[0]?.call ?? assert.fail();
    assert.deepEqual([deadline, requestId, headers["authorization"]], [now + 90, "r1", undefined]);
    stage.call(["c"], { request: request("r3") });
    await turn();
    assert.equal(stage.batches[1]?.call.headers["authorization"], "r3");
  });

  it("drops calls that a batch could not answer in time, before the model runs, once it knows what one takes (BA5)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 4 } });
    const within = (ms: number) => ({ deadline: stage.clock.now() + ms });
    assert.deepEqual(await stage.call(["a"], within(1)).answer, ["A"]);
    await stage.teach([1, 2, 3, 1, 2], (rows) => 20 + rows);
    const [late, early] = [stage.call(["b"], within(21)), stage.call(["c"], within(23))];
    await assert.rejects(late.answer, {
      code: "deadline_exceeded",
      id: "deadline_exceeded",
      message: "no answer within 21 ms: a batch takes about 22 ms and 21 ms are left",
    });
    assert.deepEqual(await early.answer, ["C"]);
    assert.deepEqual(stage.rows(), ["c"]);
  });

  it("tries again after a while whether a batch still takes as long", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 4 } });
    await stage.teach([1, 2, 3, 1, 2], (rows) => 100 + rows);
    const late = () => stage.call(["a"], { deadline: stage.clock.now() + 50 });
    await assert.rejects(late().answer, { id: "deadline_exceeded" });
    stage.clock.advance(2000);
    assert.deepEqual(await late().answer, ["A"]);
  });

  it("takes interactive calls before background ones, and says which of the two a batch is", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 2 } });
    stage.isHeld = true;
    stage.call(["a"]);
    await turn();
    for (const row of ["b1", "b2"]) stage.call([row], { priority: "background" });
    for (const row of ["i1", "i2", "i3"]) stage.call([row]);
    for (let batch = 0; batch < 4; batch++) {
      stage.batches[batch]?.end.resolve();
      await turn();
    }
    assert.deepEqual(stage.rows(), ["a", "i1 i2", "i3 b1", "b2"]);
    assert.deepEqual(
      stage.batches.map(({ call }) => call.priority),
      ["interactive", "interactive", "interactive", "background"],
    );
  });

  it("waits as long as it is told, by the clock, and leaves no timer behind (BA6)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 3, windowMs: 10 } });
    stage.call(["a"]);
    await turn();
    stage.clock.advance(9);
    const cancelled = stage.call(["b"]);
    await turn();
    cancelled.scope.cancel(gone());
    assert.deepEqual([stage.rows(), stage.clock.pendingTimers], [[], 1]);
    stage.clock.advance(1);
    await turn();
    assert.deepEqual(stage.rows(), ["a"]);
    // That of the watch, which looks once more.
    stage.clock.advance(1000);
    assert.equal(stage.clock.pendingTimers, 0);
    const alone = stage.call(["c"]);
    await turn();
    assert.equal(stage.clock.pendingTimers, 1);
    alone.scope.cancel(gone());
    assert.equal(stage.clock.pendingTimers, 0);
  });

  it("leaves before the deadline of the first call that waits", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 3, windowMs: 1000 } });
    await stage.teach([1, 2, 3, 1, 2], (rows) => 20 + rows);
    const { answer } = stage.call(["a"], { deadline: stage.clock.now() + 100 });
    await turn();
    stage.clock.advance(77);
    await turn();
    assert.deepEqual(stage.rows(), []);
    stage.clock.advance(1);
    assert.deepEqual(await answer, ["A"]);
  });

  it("runs in the async context of none of its callers (BA7)", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 4 } });
    const tenant = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    stage.model = (rows) => {
      seen.push(tenant.getStore());
      return rows;
    };
    await tenant.run("one", () => stage.call(["a"]).answer);
    assert.deepEqual(seen, [undefined]);
  });

  it("counts what waits, what runs, how large batches were and why they left", async () => {
    const stage = await startBatchedModel({ batch: { maxRows: 2 } });
    stage.isHeld = true;
    for (const row of ["a", "b", "c"]) stage.call([row]);
    await turn();
    const lane = stage.stats().lane("Model", "upper");
    const batches = stage.stats().batch("Model", "upper");
    assert.deepEqual([lane.running, lane.queued], [2, 1]);
    stage.clock.advance(30);
    for (const { end } of stage.batches) end.resolve();
    await turn();
    stage.batches[1]?.end.resolve();
    await turn();
    assert.deepEqual([lane.running, lane.queued, stage.replica().inFlight], [0, 0, 0]);
    assert.deepEqual(
      [...batches.byReason],
      [
        ["full", 1],
        ["idle", 1],
      ],
    );
    assert.deepEqual([batches.rows.count, batches.rows.sum, batches.calls.sum], [2, 3, 3]);
    assert.deepEqual([lane.queueTime.count, lane.queueTime.sum, lane.runTime.sum], [3, 0.03, 0.06]);
  });
});
