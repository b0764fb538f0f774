import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
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

  it("holds no timer and no listener once it is released (CL3)", () => {
    const { signal } = new AbortController();
    const before = timers();
    const limit = createLimit([signal], 60_000);
    assert.deepEqual([timers() - before, getEventListeners(signal, "abort").length], [1, 1]);
    limit.release();
    assert.deepEqual([timers() - before, getEventListeners(signal, "abort").length], [0, 0]);
  });
});
