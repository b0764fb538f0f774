import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { BodyItems, type HttpStream, PacedItems } from "./body-items.js";
import type { CutItem, ItemCutter } from "./item-cutter.js";

describe("BodyItems", () => {
  it("reads no more chunks in a turn whose time is up, though none of them holds an item (HI2)", async () => {
    let [turn, chunks] = [0, 0];
    const chunksOfTurn = new Map<number, number>();
    let item: CutItem | undefined;
    /** Takes longer for each chunk than a turn may last. */
    const cutter: ItemCutter = {
      push: () => {
        chunksOfTurn.set(turn, (chunksOfTurn.get(turn) ?? 0) + 1);
        for (const end = performance.now() + 5; performance.now() < end; );
        if (++chunks === 20) item = { value: "last" };
      },
      end: () => {},
      take: () => {
        const given = item;
        item = undefined;
        return given;
      },
    };
    const source = new Readable({ read: () => {} });
    for (let i = 0; i < 20; i++) source.push(Buffer.alloc(10));
    source.push(null);
    const count = () => {
      turn++;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    const { items } = new BodyItems(source, cutter, { hasMoved: false } as HttpStream);
    const read: unknown[] = [];
    for await (const value of items) read.push(value);
    clearImmediate(next);
    assert.deepEqual([read, chunks], [["last"], 20]);
    assert.deepEqual(new Set(chunksOfTurn.values()), new Set([1]));
  });
});

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
