import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countVisit, Refusal, walkBounded } from "./value-walk.js";

/** Counts the objects and lists of a value as often as they would be written. */
function countParts(value: unknown): number {
  countVisit();
  if (!Array.isArray(value)) return 1;
  return value.reduce((sum: number, item) => sum + (typeof item === "object" ? countParts(item) : 0), 1);
}

/** A list that holds the same list twice, which does so too, and so on. */
const doubled = (levels: number): unknown => (levels === 0 ? [] : new Array(2).fill(doubled(levels - 1)));

describe("walkBounded", () => {
  it("lets a value without shared parts be of any size (KV1)", () => {
    const list = Array.from({ length: 1000 }, () => [{}]);
    assert.equal(walkBounded(list, countParts, 10), 2001);
  });

  it("refuses a value whose shared parts make it many times as large, and not one below the free size (KV2)", () => {
    assert.equal(walkBounded(doubled(3), countParts, 15), 15);
    assert.throws(
      () => walkBounded(doubled(12), countParts, 15),
      (thrown) => thrown instanceof Refusal,
    );
    // Each of its lists is written three times, which is in proportion.
    const part = [[], [], [], [], [], [], [], [], [], []];
    assert.equal(walkBounded([part, part, part], countParts, 10), 34);
  });
});
