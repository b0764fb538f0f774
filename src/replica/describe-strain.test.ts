import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatStrain } from "./lane-watch.js";

const calm = {
  name: "Model.predict",
  slots: 256,
  queued: 3,
  deadSlots: 0,
  isOverloaded: false,
  answerMs: 11.24,
  refused: 0,
  sinceMs: 1000,
};

describe("formatStrain", () => {
  it("says nothing of an api that many wait for, or of which some calls do not end", () => {
    assert.equal(formatStrain(calm), undefined);
    assert.equal(formatStrain({ ...calm, queued: 5000, deadSlots: 255 }), undefined);
  });

  it("names an api that is overloaded, with what waits, its pace and what it refuses", () => {
    assert.equal(
      formatStrain({ ...calm, isOverloaded: true, refused: 80, sinceMs: 500 }),
      "Model.predict: calls arrive faster than they are answered: 3 wait, one is answered every 11 ms, 160 a second are refused",
    );
  });

  it("names an api all of whose slots are held by calls that should have ended", () => {
    assert.equal(
      formatStrain({ ...calm, deadSlots: 256, isOverloaded: true }),
      "Model.predict: all of its 256 slots are held by calls that timed out or were cancelled and have not ended; 3 wait",
    );
    assert.match(formatStrain({ ...calm, slots: 1, deadSlots: 1 }) ?? "", /its only slot is held/);
  });
});
