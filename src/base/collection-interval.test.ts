import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CollectionInterval } from "./collection-interval.js";

const MiB = 1024 ** 2;

describe("CollectionInterval", () => {
  it("stays short while what was counted is gone at the next collection", () => {
    const interval = new CollectionInterval();
    for (let round = 0; round < 500; round++) interval.collecting(100 * MiB + (round % 2) * MiB);
    assert.equal(interval.bytes, 4 * MiB);
  });

  it("grows until calls end within it, and not further than V8 would wait", () => {
    const interval = new CollectionInterval();
    const seen: number[] = [];
    let external = 20 * MiB;
    for (let round = 0; round < 5; round++) {
      external += interval.bytes;
      interval.collecting(external);
      seen.push(interval.bytes / MiB);
    }
    assert.deepEqual(seen, [4, 8, 16, 16, 16]);
  });

  it("is tried shorter again after a while, one step at a time", () => {
    const interval = new CollectionInterval();
    for (const external of [0, 10, 30]) interval.collecting(external * MiB);
    assert.equal(interval.bytes, 16 * MiB);
    const lengths = Array.from({ length: 130 }, () => {
      interval.collecting(30 * MiB + interval.bytes);
      return interval.bytes / MiB;
    });
    assert.deepEqual([lengths[63], lengths[64], lengths[127], lengths[128]], [16, 8, 8, 4]);
  });

  it("finds the length at which tensors die young, however many are in flight", () => {
    for (const [inFlight, best] of [
      [1, 4],
      [6, 8],
      [12, 16],
      [60, 16],
    ] as const) {
      const interval = new CollectionInterval();
      // Of tensors of 1 MiB: when they came, and how many collections they have survived. After two they are old, and stay.
      let tensors: { readonly at: number; survived: number }[] = [];
      const lengths: number[] = [];
      for (let at = 0, counted = 0; at < 800; at++) {
        tensors.push({ at, survived: 0 });
        counted += MiB;
        if (counted < interval.bytes) continue;
        counted = 0;
        interval.collecting(tensors.length * MiB);
        tensors = tensors.filter((tensor) => tensor.survived >= 2 || at - tensor.at < inFlight);
        for (const tensor of tensors) tensor.survived++;
        lengths.push(interval.bytes / MiB);
      }
      assert.equal(lengths.at(-1), best, `${inFlight} MiB in flight`);
    }
  });
});
