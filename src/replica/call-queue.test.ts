import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Priority } from "../call/call.js";
import { Admission } from "./admission.js";
import { backgroundAgeMs, CallQueue, type QueueEntry } from "./call-queue.js";

/** Values named like their priority and instant: `"i0"`, `"b1200"`. */
class NamedCalls {
  readonly admission = new Admission();
  readonly queue = new CallQueue<string>(this.admission);
  readonly #entries = new Map<string, QueueEntry<string>>();

  constructor(...names: string[]) {
    for (const name of names) this.push(name);
  }

  push(name: string): void {
    const priority: Priority = name.startsWith("b") ? "background" : "interactive";
    this.#entries.set(name, this.queue.push(name, priority, Number(name.slice(1))));
  }

  remove(name: string): void {
    this.queue.remove(this.#placeOf(name));
  }

  /** Takes the one whose turn is next. */
  take(): string | undefined {
    const { first } = this.queue;
    if (first !== undefined) this.queue.serve(this.#placeOf(first));
    return first;
  }

  drain(): string[] {
    const order: string[] = [];
    for (let next = this.take(); next !== undefined; next = this.take()) order.push(next);
    return order;
  }

  #placeOf(name: string): QueueEntry<string> {
    return this.#entries.get(name) as QueueEntry<string>;
  }
}

describe("CallQueue", () => {
  it("lets interactive calls go before background ones that came up to a second before them", () => {
    const calls = new NamedCalls("b0", "i1", "b2", "i3", "i999", "i1001", "i1003");
    assert.deepEqual(calls.drain(), ["i1", "i3", "i999", "b0", "i1001", "b2", "i1003"]);
  });

  it("serves a background call however many interactive ones keep coming", () => {
    const calls = new NamedCalls("b0");
    let overtaking = 0;
    for (let now = 0; ; now += 10) {
      calls.push(`i${now}`);
      if (calls.take() === "b0") break;
      overtaking++;
    }
    assert.equal(overtaking, backgroundAgeMs / 10);
  });

  it("tells whose turn is next, and takes values out of the middle", () => {
    const calls = new NamedCalls("i0", "b0", "i5");
    const { queue } = calls;
    calls.remove("i0");
    assert.deepEqual([queue.size, queue.first, queue.rank], [2, "i5", 5]);
    calls.remove("b0");
    assert.deepEqual(calls.drain(), ["i5"]);
    assert.deepEqual([queue.first, queue.rank], [undefined, undefined]);
  });

  it("serves those that come once overload has begun before those that waited, the newest of these first", () => {
    const calls = new NamedCalls("i0", "i1", "i2");
    calls.admission.interactive.begin(3, 1);
    for (const name of ["i3", "i4"]) calls.push(name);
    assert.equal(calls.queue.rank, 3);
    assert.deepEqual(calls.drain(), ["i3", "i4", "i2", "i1", "i0"]);
    assert.equal(calls.admission.size, 0);
  });

  it("joins both again when overload is over, in the order in which they came", () => {
    const calls = new NamedCalls("i0", "i1");
    const { interactive } = calls.admission;
    interactive.begin(2, 1);
    calls.push("i2");
    assert.equal(calls.queue.first, "i2");
    interactive.look(10_000, 1);
    calls.push("i10001");
    assert.deepEqual(calls.drain(), ["i0", "i1", "i2", "i10001"]);
  });

  it("gives background calls, and those that waited before, one turn of eight each while it lasts", () => {
    const calls = new NamedCalls("i0", "b0", "b1");
    calls.admission.interactive.begin(1, 1);
    for (let now = 1; now <= 20; now++) calls.push(`i${now}`);
    const order = calls.drain();
    assert.deepEqual([order.indexOf("i0"), order.indexOf("b0"), order.indexOf("b1")], [3, 7, 15]);
  });
});
