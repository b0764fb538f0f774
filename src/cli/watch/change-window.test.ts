import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../../test/fake-clock.js";
import { ChangeWindow } from "./watch-files.js";

function open() {
  const clock = new FakeClock();
  const changes: (readonly string[])[] = [];
  return { clock, changes, window: new ChangeWindow(clock, (paths) => changes.push(paths)) };
}

describe("ChangeWindow", () => {
  it("makes one change of events within 50 ms, each path once", () => {
    const { clock, changes, window } = open();
    window.add("a.ts");
    clock.advance(49);
    window.add("b.ts");
    window.add("a.ts");
    clock.advance(49);
    assert.deepEqual(changes, []);
    clock.advance(1);
    assert.deepEqual(changes, [["a.ts", "b.ts"]]);
  });

  it("makes another change of later events", () => {
    const { clock, changes, window } = open();
    window.add("a.ts");
    clock.advance(50);
    window.add("b.ts");
    clock.advance(50);
    assert.deepEqual(changes, [["a.ts"], ["b.ts"]]);
    assert.equal(clock.pendingTimers, 0);
  });

  it("passes on events that do not stop, after a second", () => {
    const { clock, changes, window } = open();
    for (let ms = 0; ms < 1_000; ms += 40) {
      window.add("a.ts");
      assert.deepEqual(changes, []);
      clock.advance(40);
    }
    assert.deepEqual(changes, [["a.ts"]]);
  });

  it("drops its events when it is closed", () => {
    const { clock, changes, window } = open();
    window.add("a.ts");
    window.close();
    clock.advance(1_000);
    assert.deepEqual(changes, []);
  });
});
