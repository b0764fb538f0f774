import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fail } from "../failure/fail.js";
import { FakeClock } from "../testing/fake-clock.js";
import { CalleeRoom } from "./callee-room.js";

function open() {
  const clock = new FakeClock();
  const stats = { withheld: 0 };
  const room = new CalleeRoom(clock, stats);
  const refusal = fail("overloaded", { queued: 3, answerMs: 10, retryAfterMs: 1000 }, { service: "Model", api: "run" });
  const enter = (count: number) => {
    let entered = 0;
    for (let i = 0; i < count; i++) if (room.enter("interactive") === undefined) entered++;
    return entered;
  };
  return { clock, stats, room, refusal, enter };
}

describe("CalleeRoom", () => {
  it("sends whatever comes while the callee refuses nothing", () => {
    const { room, enter } = open();
    assert.equal(enter(10_000), 10_000);
    for (let i = 0; i < 10_000; i++) room.answered("interactive");
    assert.equal(enter(10_000), 10_000);
  });

  it("keeps back what the callee has no room for, with what it said, each time as a failure of its own (R1)", () => {
    const { stats, room, refusal, enter } = open();
    assert.equal(enter(10), 10);
    for (let i = 0; i < 4; i++) room.refused("interactive", refusal);
    const [first, second] = [room.enter("interactive"), room.enter("interactive")];
    assert.deepEqual([first?.id, first?.message, first?.details], [refusal.id, refusal.message, refusal.details]);
    assert.deepEqual([first?.service, first?.api, first === second], ["Model", "run", false]);
    assert.equal(stats.withheld, 2);
    room.dropped("interactive");
    assert.equal(enter(2), 1);
  });

  it("sends one more each time that all under way have been answered (R2)", () => {
    const { room, refusal, enter } = open();
    enter(9);
    room.refused("interactive", refusal);
    for (let i = 0; i < 8; i++) room.answered("interactive");
    assert.equal(enter(20), 9);
  });

  it("forgets what it was told when nothing was refused for a while (R3)", () => {
    const { clock, room, refusal, enter } = open();
    enter(3);
    room.refused("interactive", refusal);
    clock.advance(199);
    assert.equal(enter(100), 0);
    clock.advance(1);
    assert.equal(enter(100), 100);
  });

  it("counts background calls apart (R4), and lets one through when there is none under way", () => {
    const { room, refusal, enter } = open();
    room.enter("background");
    room.refused("background", refusal);
    assert.equal(room.enter("background"), undefined);
    assert.equal(room.enter("background")?.id, "overloaded");
    assert.equal(enter(100), 100);
  });
});
