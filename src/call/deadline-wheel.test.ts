import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { DeadlineWheel, notInWheel } from "./deadline-wheel.js";

function createEntry(expiresAt: number, expired: number[]) {
  return {
    expiresAt,
    wheelPlace: notInWheel,
    setWheelPlace(place: number) {
      this.wheelPlace = place;
    },
    expire: () => expired.push(expiresAt),
  };
}

describe("DeadlineWheel", () => {
  it("expires each entry once, not before its deadline and at most 8 ms after", () => {
    const clock = new FakeClock(0);
    const wheel = new DeadlineWheel(clock);
    const expired: number[] = [];
    for (const deadline of [100, 30, 33, 1000]) wheel.add(createEntry(deadline, expired));
    clock.advance(29);
    assert.deepEqual(expired, []);
    clock.advance(12);
    assert.deepEqual(expired, [30, 33]);
    clock.advance(67);
    assert.deepEqual(expired, [30, 33, 100]);
    clock.advance(10_000);
    assert.deepEqual(expired, [30, 33, 100, 1000]);
  });

  it("forgets an entry that was removed, and needs no timer when it is empty", () => {
    const clock = new FakeClock(0);
    const wheel = new DeadlineWheel(clock);
    const expired: number[] = [];
    const entry = createEntry(50, expired);
    wheel.add(entry);
    wheel.remove(entry);
    clock.advance(1000);
    assert.deepEqual(expired, []);
    assert.equal(clock.pendingTimers, 0);
  });

  it("keeps the others of a slot when one of them is removed, in whatever order that happens", () => {
    const clock = new FakeClock(0);
    const wheel = new DeadlineWheel(clock);
    const expired: number[] = [];
    const entries = [41, 42, 43, 44, 90].map((deadline) => createEntry(deadline, expired));
    for (const entry of entries) wheel.add(entry);
    for (const at of [1, 0, 0, 3]) wheel.remove(entries[at] as (typeof entries)[0]);
    clock.advance(45);
    assert.deepEqual(expired, []);
    clock.advance(5);
    assert.deepEqual(expired.sort(), [43]);
    clock.advance(100);
    assert.deepEqual(expired.sort(), [43, 90]);
    assert.equal(clock.pendingTimers, 0);
  });

  it("fires for an earlier deadline added while a later one is armed", () => {
    const clock = new FakeClock(0);
    const wheel = new DeadlineWheel(clock);
    const expired: number[] = [];
    wheel.add(createEntry(5000, expired));
    wheel.add(createEntry(10, expired));
    clock.advance(20);
    assert.deepEqual(expired, [10]);
  });

  it("waits for a deadline beyond what one timer can hold", () => {
    const clock = new FakeClock(0);
    const wheel = new DeadlineWheel(clock);
    const expired: number[] = [];
    const month = 31 * 24 * 3600 * 1000;
    wheel.add(createEntry(month, expired));
    clock.advance(month - 1);
    assert.deepEqual(expired, []);
    clock.advance(10);
    assert.deepEqual(expired, [month]);
  });
});
