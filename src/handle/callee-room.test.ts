import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import type { Priority } from "../call/call.js";
import { fail } from "../failure/failures.js";
import { CalleeRoom } from "./callee-room.js";

/** A caller that counts what is under way. */
class Caller {
  readonly clock = new FakeClock();
  readonly stats = { inFlight: 0, withheld: 0 };
  readonly room = new CalleeRoom(this.clock, this.stats);
  readonly refusal = fail(
    "overloaded",
    { queued: 3, answerMs: 10, retryAfterMs: 1000 },
    { service: "Model", api: "run" },
  );

  /** @returns Why it was kept back. */
  call(priority: Priority = "interactive") {
    this.stats.inFlight++;
    const refusal = this.room.refuse(priority);
    if (refusal !== undefined) this.stats.inFlight--;
    return refusal;
  }

  /** @returns How many of so many calls were sent. */
  send(count: number): number {
    let sent = 0;
    for (let i = 0; i < count; i++) if (this.call() === undefined) sent++;
    return sent;
  }

  answered(): void {
    this.room.answered("interactive");
    this.stats.inFlight--;
  }

  refused(priority: Priority = "interactive"): void {
    this.room.refused(priority, this.refusal);
    this.stats.inFlight--;
  }
}

describe("CalleeRoom", () => {
  it("sends whatever comes while the callee refuses nothing", () => {
    const caller = new Caller();
    assert.equal(caller.send(10_000), 10_000);
    for (let i = 0; i < 10_000; i++) caller.answered();
    assert.deepEqual([caller.send(10_000), caller.room.isLimited], [10_000, false]);
  });

  it("keeps back what the callee has no room for, with what it said, each time as a failure of its own (XR1)", () => {
    const caller = new Caller();
    assert.equal(caller.send(10), 10);
    for (let i = 0; i < 4; i++) caller.refused();
    const [first, second] = [caller.call(), caller.call()];
    const { refusal } = caller;
    assert.deepEqual([first?.id, first?.message, first?.details], [refusal.id, refusal.message, refusal.details]);
    assert.deepEqual([first?.service, first?.api, first === second], ["Model", "run", false]);
    assert.equal(caller.stats.withheld, 2);
    // One that is cancelled makes room, and says nothing of the callee.
    caller.stats.inFlight--;
    assert.equal(caller.send(2), 1);
  });

  it("goes on sending where a call had too little time: others have more (XR5)", () => {
    const caller = new Caller();
    caller.send(41);
    const late = { queued: 40, answerMs: 20, waitMs: 800, runMs: 20, leftMs: 80, retryAfterMs: 740 };
    caller.room.refused("interactive", fail("overloaded", late, { service: "Model", api: "run" }));
    assert.deepEqual([caller.room.isLimited, caller.send(1_000)], [false, 1_000]);
    // Neither does it end a limit that is there.
    caller.refused();
    const { inFlight } = caller.stats;
    caller.room.refused("interactive", fail("overloaded", late, { service: "Model", api: "run" }));
    caller.stats.inFlight--;
    assert.equal(caller.send(1_000), 1);
    assert.equal(caller.stats.inFlight, inFlight);
  });

  it("sends one more each time that all under way have been answered (XR2)", () => {
    const caller = new Caller();
    caller.send(9);
    caller.refused();
    for (let i = 0; i < 8; i++) caller.answered();
    assert.equal(caller.send(20), 8);
    for (let i = 0; i < 8; i++) caller.answered();
    assert.equal(caller.send(20), 9);
  });

  it("drops its limit when nothing was refused for a while (XR3)", () => {
    const caller = new Caller();
    caller.send(3);
    caller.refused();
    caller.clock.advance(199);
    assert.equal(caller.send(100), 0);
    caller.clock.advance(1);
    assert.deepEqual([caller.send(100), caller.room.isLimited], [100, false]);
  });

  it("limits background calls apart (XR4), and lets one through when none is under way", () => {
    const caller = new Caller();
    caller.call("background");
    caller.refused("background");
    assert.equal(caller.call("background"), undefined);
    assert.equal(caller.call("background")?.id, "overloaded");
    assert.equal(caller.send(100), 100);
  });
});
