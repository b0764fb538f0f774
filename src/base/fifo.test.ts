import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import v8 from "node:v8";
import vm from "node:vm";
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

  it("visits all that wait, also when they leave meanwhile", () => {
    const queue = new Fifo<string>();
    const places = new Map(["a", "b", "c"].map((value) => [value, queue.push(value)]));
    const seen: string[] = [];
    queue.forEach((value) => {
      seen.push(value);
      queue.remove(places.get(value) as NonNullable<ReturnType<typeof queue.push>>);
    });
    assert.deepEqual([seen, queue.size], [["a", "b", "c"], 0]);
  });

  it("lets nobody who was taken out keep those alive who came later", async () => {
    v8.setFlagsFromString("--expose-gc");
    const collect = vm.runInNewContext("gc") as () => void;
    const queue = new Fifo<object>();
    const first = queue.push({});
    const later = queueAndTake(queue);
    // A reference that was just made is held until the turn ends.
    await setImmediate();
    collect();
    assert.equal(later.deref(), undefined);
    assert.ok(first.value);
  });
});

function queueAndTake(queue: Fifo<object>): WeakRef<object> {
  const value = {};
  queue.push(value);
  queue.shift();
  queue.shift();
  return new WeakRef(value);
}
