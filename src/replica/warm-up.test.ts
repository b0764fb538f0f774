import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { LoopTurns } from "../call/loop-turns.js";
import { WarmUp } from "./admission.js";

function open() {
  const turns = new LoopTurns(new FakeClock());
  const told: boolean[] = [];
  turns.onFirstRuns = (isRunning) => told.push(isRunning);
  return { told, apis: [new WarmUp(turns), new WarmUp(turns)] as const };
}

describe("WarmUp", () => {
  it("tells when the first runs of apis begin, and when one of each has given a result", () => {
    const { told, apis } = open();
    const [a, b] = apis;
    a.begin();
    a.begin();
    b.begin();
    assert.deepEqual(told, [true]);
    a.completed();
    a.completed();
    assert.deepEqual([a.isOver, b.isOver, told], [true, false, [true]]);
    b.completed();
    assert.deepEqual(told, [true, false]);
    a.begin();
    a.failed();
    assert.deepEqual(told, [true, false]);
  });

  it("is not over with a run that failed, unless all of a row do", () => {
    const { told, apis } = open();
    const [a] = apis;
    for (let i = 0; i < 7; i++) {
      a.begin();
      a.failed();
    }
    assert.deepEqual([a.isOver, told.length], [false, 14]);
    a.begin();
    a.failed();
    assert.deepEqual([a.isOver, told.length, told.at(-1)], [true, 16, false]);
  });
});
