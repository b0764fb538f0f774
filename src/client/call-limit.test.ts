import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import v8 from "node:v8";
import vm from "node:vm";
import { CallLimit } from "./call-limit.js";

function createLimit(signals: readonly AbortSignal[], timeoutMs?: number): CallLimit {
  return new CallLimit({ timeoutMs, setBy: "a test", signals, place: { service: "S", api: "a" } });
}

const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

describe("CallLimit", () => {
  it("ends a call once, by the first of its signals (CL1)", async () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const limit = createLimit([first.signal, second.signal]);
    const guarded = limit.guard(new Promise(() => {}));
    first.abort(new Error("one"));
    second.abort(new Error("two"));
    limit.abandon();
    await assert.rejects(guarded, { id: "cancelled", message: /one/ });
    assert.match(limit.reason?.message ?? "", /one/);
  });

  it("aborts its signal with a ServingError as the reason, however it ends (CL2)", async () => {
    const aborted = createLimit([AbortSignal.abort("before the call")]);
    const abandoned = createLimit([]);
    abandoned.abandon();
    const late = createLimit([], 1);
    await assert.rejects(late.guard(new Promise(() => {})), { id: "deadline_exceeded" });
    for (const limit of [aborted, abandoned, late]) {
      assert.equal(limit.signal.aborted, true);
      assert.equal(limit.reason?.name, "ServingError");
      assert.equal(limit.signal.reason, limit.reason);
    }
  });

  it("keeps no value of guarded work that has settled, however long it lasts (CL4)", async () => {
    v8.setFlagsFromString("--expose-gc");
    const collect = vm.runInNewContext("gc") as () => void;
    const limit = createLimit([]);
    const pieces: WeakRef<Uint8Array>[] = [];
    for (let i = 0; i < 100; i++) {
      const piece = new Uint8Array(1000);
      pieces.push(new WeakRef(piece));
      await limit.guard(Promise.resolve({ done: false, value: piece }));
      await assert.rejects(limit.guard(Promise.reject(piece)));
    }
    // A WeakRef holds its value until the turn that made it has ended.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    const kept = pieces.filter((piece) => piece.deref() !== undefined).length;
    // The last one may still be on the stack.
    assert.ok(kept <= 1, `${kept} pieces of 100 are kept`);
    const pending = limit.guard(new Promise(() => {}));
    limit.abandon();
    await assert.rejects(pending, { id: "cancelled" });
  });

  it("ends everything that is guarded, then or later, and the work itself may end as it likes", async () => {
    const limit = createLimit([]);
    let refuse!: (error: Error) => void;
    const work = new Promise((_, reject) => (refuse = reject));
    const guarded = [limit.guard(work), limit.guard(new Promise(() => {}))];
    limit.abandon();
    guarded.push(limit.guard(Promise.resolve("late")), limit.guard(Promise.reject(new Error("late"))));
    refuse(new Error("not wanted any more"));
    const ends = (await Promise.allSettled(guarded)) as PromiseRejectedResult[];
    assert.deepEqual(
      ends.map(({ reason }) => reason?.id),
      ["cancelled", "cancelled", "cancelled", "cancelled"],
    );
  });

  it("holds no timer and no listener once it is released (CL3)", () => {
    const { signal } = new AbortController();
    const before = timers();
    const limit = createLimit([signal], 60_000);
    assert.deepEqual([timers() - before, getEventListeners(signal, "abort").length], [1, 1]);
    limit.release();
    assert.deepEqual([timers() - before, getEventListeners(signal, "abort").length], [0, 0]);
  });
});
