import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { BodyItems, type HttpStream } from "./body-items.js";
import type { CutItem, ItemCutter } from "./item-cutter.js";

describe("BodyItems", () => {
  it("reads no more chunks in a turn whose time is up, though none of them holds an item", async () => {
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
