import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatState, isOver, moveTo, type ReplicaState } from "./replica-state.js";

const states: readonly ReplicaState[] = [
  { kind: "new" },
  { kind: "starting" },
  { kind: "ready", since: 5 },
  { kind: "out", since: 5 },
  { kind: "waiting", reason: "A#0 ended", delayMs: 400 },
  { kind: "down", reason: "ended with exit code 1", attempts: 8, delayMs: 31_000 },
  { kind: "draining" },
  { kind: "stopped" },
];

/** Every move that may happen, and no other. */
const legal = new Set([
  ...["new starting", "new draining", "new stopped"],
  ...["starting ready", "starting waiting", "starting down", "starting draining", "starting stopped"],
  ...["ready ready", "ready out", "ready waiting", "ready down", "ready draining", "ready stopped"],
  ...["out ready", "out waiting", "out down", "out draining", "out stopped"],
  ...["waiting starting", "waiting draining", "waiting stopped"],
  ...["down starting", "down draining", "down stopped"],
  "draining stopped",
]);

describe("moveTo", () => {
  it("lets through each legal move, and calls every other a fault of ekiben's own", () => {
    for (const from of states) {
      for (const to of states) {
        const move = `${from.kind} ${to.kind}`;
        if (legal.has(move)) assert.equal(moveTo(from, to), to, move);
        else assert.throws(() => moveTo(from, to), { id: "unreachable" }, move);
      }
    }
  });

  it("names both states of a move that is none", () => {
    assert.throws(() => moveTo({ kind: "stopped" }, { kind: "starting" }), /a replica went from stopped to starting/);
  });
});

describe("isOver", () => {
  it("is true of states after which nothing more is to happen", () => {
    assert.deepEqual(
      states.filter(isOver).map(({ kind }) => kind),
      ["draining", "stopped"],
    );
  });
});

describe("formatState", () => {
  it("says what stands in the way, with the reason and the numbers", () => {
    assert.deepEqual(states.map(formatState), [
      "is not started yet",
      "is starting",
      "is ready",
      "does not answer, its event loop is busy",
      "A#0 ended; is started again after 400 ms",
      "is down after 8 failures in a row (restart.giveUpAfter): ended with exit code 1; is started again after 31000 ms",
      "is draining",
      "is stopped",
    ]);
  });
});
