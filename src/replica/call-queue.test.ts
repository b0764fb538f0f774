import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Priority } from "../call/call.js";
import { backgroundAgeMs, CallQueue } from "./call-queue.js";

/** Puts in values named like their priority and instant: `"i0"`, `"b1200"`. */
function fill(...names: string[]) {
  const queue = new CallQueue<string>();
  const places = names.map((name) => {
    const priority: Priority = name.startsWith("b") ? "background" : "interactive";
    return queue.push(name, priority, Number(name.slice(1)));
  });
  return { queue, places };
}

function drain(queue: CallQueue<string>): (string | undefined)[] {
  const order: (string | undefined)[] = [];
  while (queue.size > 0) order.push(queue.shift());
  return order;
}

describe("CallQueue", () => {
  it("lets interactive calls go before background ones that came up to a second before them", () => {
    const { queue } = fill("b0", "i1", "b2", "i3", "i999", "i1001", "i1003");
    assert.deepEqual(drain(queue), ["i1", "i3", "i999", "b0", "i1001", "b2", "i1003"]);
    assert.equal(queue.shift(), undefined);
  });

  it("serves a background call however many interactive ones keep coming", () => {
    const { queue } = fill("b0");
    let overtaking = 0;
    for (let now = 0; ; now += 10) {
      queue.push(`i${now}`, "interactive", now);
      if (queue.shift() === "b0") break;
      overtaking++;
    }
    assert.equal(overtaking, backgroundAgeMs / 10);
  });

  it("tells whose turn is next, and takes values out of the middle", () => {
    const { queue, places } = fill("i0", "b0", "i5");
    queue.remove(places[0] as (typeof places)[number]);
    assert.deepEqual([queue.size, queue.first, queue.rank], [2, "i5", 5]);
    queue.remove(places[1] as (typeof places)[number]);
    assert.deepEqual(drain(queue), ["i5"]);
    assert.deepEqual([queue.first, queue.rank], [undefined, undefined]);
  });
});
