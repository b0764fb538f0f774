import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "./clock.js";

describe("the clock of a thread", () => {
  it("only goes on, and tells for one instant one time of day", () => {
    const begun = systemClock.now();
    const instant = begun + 60_000;
    const told = systemClock.wallTimeOf(instant);
    assert.ok(Math.abs(told - Date.now() - 60_000) < 30_000, String(told - Date.now()));
    for (let i = 0; i < 1000; i++) assert.equal(systemClock.wallTimeOf(instant), told);
    assert.ok(systemClock.now() >= begun);
  });

  it("does not move when the time of day is set, and tells instants by the new one", (t) => {
    const instant = systemClock.now() + 60_000;
    const told = systemClock.wallTimeOf(instant);
    const realNow = Date.now;
    for (const stepMs of [3_600_000, -3_600_000, 50, -50]) {
      const before = systemClock.now();
      const { mock } = t.mock.method(Date, "now", () => realNow() + stepMs);
      const moved = systemClock.wallTimeOf(instant) - told;
      assert.ok(Math.abs(moved - stepMs) <= 2, `${moved} ms after a step of ${stepMs} ms`);
      assert.ok(systemClock.now() - before < 30_000);
      mock.restore();
    }
  });
});
