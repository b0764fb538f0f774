import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PacedItems } from "../handle-request.js";

describe("PacedItems", () => {
  it("gives every item in order, and nothing after it was left", async () => {
    const list = Array.from({ length: 1000 }, (_, i) => i);
    const seen: unknown[] = [];
    for await (const item of new PacedItems(list)) seen.push(item);
    assert.deepEqual(seen, list);
    const left = new PacedItems(list);
    await left.return();
    assert.equal((await left.next()).done, true);
  });

  it("lets others have a turn while a long list is read", async () => {
    let turns = 0;
    let isReading = true;
    const turn = () => {
      turns++;
      if (isReading) setImmediate(turn);
    };
    setImmediate(turn);
    const items = new PacedItems(new Array(100_000).fill(0));
    while (!(await items.next()).done);
    isReading = false;
    assert.ok(turns > 300, `${turns} turns`);
  });
});
