import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BatchCost } from "./batch-window.js";

const observe = (cost: BatchCost, batches: readonly (readonly [rows: number, ms: number])[]) => {
  for (const [rows, ms] of batches) cost.observe(rows, ms);
};
const isNear = (value: number, expected: number) =>
  assert.ok(Math.abs(value - expected) < 1e-6, `${value} is not near ${expected}`);

describe("BatchCost", () => {
  it("finds the line through size and time, and expects by it", () => {
    const cost = new BatchCost();
    observe(
      cost,
      [1, 1, 8, 3, 16, 2].map((rows) => [rows, 24 + 4.5 * rows]),
    );
    isNear(cost.fixedMs, 24);
    isNear(cost.rowMs, 4.5);
    isNear(cost.expect(10), 69);
  });

  it("says nothing before it has seen enough, and takes no notice of the first batch", () => {
    const cost = new BatchCost();
    observe(cost, [
      [1, 5000],
      [1, 10],
      [1, 10],
    ]);
    assert.deepEqual([cost.isKnown, cost.expect(8), cost.fixedMs], [false, 0, 0]);
    cost.observe(1, 10);
    isNear(cost.expect(1), 10);
  });

  it("takes all of the time to go by rows until sizes differ, and keeps the slope when they no longer do", () => {
    const cost = new BatchCost();
    observe(cost, Array(10).fill([4, 40]));
    assert.deepEqual([cost.fixedMs, cost.mostFixedMs], [0, 40]);
    observe(cost, Array(10).fill([8, 60]));
    isNear(cost.fixedMs, 20);
    observe(cost, Array(400).fill([8, 60]));
    isNear(cost.fixedMs, 20);
    isNear(cost.mostFixedMs, 20);
  });

  it("forgets: a model that became faster is seen within some twenty batches", () => {
    const cost = new BatchCost();
    observe(
      cost,
      Array.from({ length: 100 }, (_, i) => [1 + (i % 4), 100 + 10 * (1 + (i % 4))]),
    );
    observe(
      cost,
      Array.from({ length: 60 }, (_, i) => [1 + (i % 4), 10 + (1 + (i % 4))]),
    );
    assert.ok(cost.expect(2) < 18, String(cost.expect(2)));
  });

  it("never says that a row, or a batch, costs less than nothing", () => {
    const falling = new BatchCost();
    observe(
      falling,
      [1, 1, 8, 3, 16, 2].map((rows) => [rows, 40 - rows]),
    );
    assert.equal(falling.rowMs, 0);
    const steep = new BatchCost();
    observe(
      steep,
      [1, 1, 8, 3, 16, 2].map((rows) => [rows, rows * rows]),
    );
    assert.equal(steep.fixedMs, 0);
    assert.ok(steep.rowMs > 0);
  });
});
