import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LinkPulse, maxWayMs } from "./link-pulse.js";

const limits = { intervalMs: 1_000, suspendAfterMs: 5_000, replaceAfterMs: 30_000 };

/** A link whose other side sends nothing by itself, looked at each second. */
class Watched {
  now = 50_000;
  progress = 0;
  pings = 0;
  readonly pulse = new LinkPulse(limits, this.now, 20);

  /** Looks so many times. @returns The states that were seen, each once in a row. */
  look(times: number, stepMs = limits.intervalMs): string[] {
    const states: string[] = [];
    for (let i = 0; i < times; i++) {
      this.now += stepMs;
      const { state, ping } = this.pulse.look(this.now, this.progress);
      if (ping !== undefined) this.pings = ping;
      if (states.at(-1) !== state) states.push(state);
    }
    return states;
  }

  answer(afterMs = 0): void {
    this.now += afterMs;
    this.pulse.answered(this.now, this.pings);
  }
}

describe("LinkPulse", () => {
  it("calls a side silent and then lost that sends nothing, at the limits of the service (NH1)", () => {
    const link = new Watched();
    assert.deepEqual(link.look(4), ["well"]);
    assert.deepEqual(link.look(1), ["silent"]);
    assert.deepEqual(link.look(24), ["silent"]);
    assert.deepEqual(link.look(1), ["lost"]);
    assert.equal(link.pings, 1);
  });

  it("hears pongs, frames that take long, and bytes that are taken (NH1)", () => {
    const link = new Watched();
    assert.deepEqual(link.look(10), ["well", "silent"]);
    link.answer();
    assert.deepEqual(link.look(4), ["well"]);
    for (let second = 0; second < 100; second++) {
      link.progress += 1_000;
      assert.deepEqual(link.look(1), ["well"]);
    }
  });

  it("does not count the time in which this side stood still (NH2)", () => {
    const link = new Watched();
    link.look(1);
    assert.deepEqual(link.look(1, 3_600_000), ["well"]);
    assert.deepEqual(link.look(2), ["well"]);
    assert.deepEqual(link.look(1), ["silent"]);
  });

  it("halves the shortest of the latest round trips, within a bound (NH3)", () => {
    const link = new Watched();
    assert.equal(link.pulse.wayMs, 10);
    for (const [tripMs, wayMs] of [
      [400, 10],
      [8, 4],
      [3_000, 4],
    ] as const) {
      link.look(1);
      link.answer(tripMs);
      assert.equal(link.pulse.wayMs, wayMs);
    }
    for (let i = 0; i < 20; i++) {
      link.look(1);
      link.answer(5_000);
    }
    assert.equal(link.pulse.wayMs, maxWayMs);
  });

  it("takes no answer to an earlier ping for a round trip", () => {
    const link = new Watched();
    link.look(1);
    link.answer(100);
    link.pulse.answered(link.now + 1, link.pings);
    link.pulse.answered(link.now + 1, 77);
    assert.equal(link.pulse.wayMs, 10);
  });
});
