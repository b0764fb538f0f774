import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fifo } from "./fifo.js";

describe("Fifo", () => {
  it("gives values in the order they came, whatever was taken out of the middle", () => {
    const queue = new Fifo<number>();
    const places = [1, 2, 3, 4, 5].map((value) => queue.push(value));
    for (const at of [0, 2, 4]) queue.remove(places[at] as NonNullable<(typeof places)[number]>);
    assert.equal(queue.size, 2);
    queue.push(6);
    assert.deepEqual([queue.shift(), queue.shift(), queue.shift(), queue.shift()], [2, 4, 6, undefined]);
    assert.equal(queue.size, 0);
    queue.push(7);
    assert.equal(queue.shift(), 7);
  });
});
