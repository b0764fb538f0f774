import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CollectionInterval } from "./new-bytes.js";

const MiB = 1024 ** 2;

/** MiB that are in flight, and up to which V8 lets buffers grow before it collects the whole heap. */
interface Load {
  readonly inFlight: number;
  readonly limit: number;
}

/**
 * Tensors of 1 MiB that live until `inFlight` more have come; of those that two collections have found alive V8 takes
 * none back until it collects the whole heap.
 *
 * @returns The interval after each collection, in MiB.
 */
function simulate(interval: CollectionInterval, { inFlight, limit }: Load): number[] {
  const lengths: number[] = [];
  let tensors: { readonly at: number; survived: number }[] = [];
  for (let at = 0, counted = 0; at < 4000; at++) {
    tensors.push({ at, survived: 0 });
    counted += MiB;
    const lives = (tensor: { at: number }) => at - tensor.at < inFlight;
    if (tensors.length > limit) tensors = tensors.filter(lives);
    if (counted < interval.bytes) continue;
    counted = 0;
    interval.collecting(tensors.length * MiB);
    tensors = tensors.filter((tensor) => tensor.survived >= 2 || lives(tensor));
    for (const tensor of tensors) tensor.survived++;
    lengths.push(interval.bytes / MiB);
  }
  return lengths;
}

/** The share of the last hundred collections that came at this interval. */
const shareOf = (lengths: readonly number[], bytes: number) =>
  lengths.slice(-100).filter((length) => length === bytes).length / 100;

describe("CollectionInterval", () => {
  it("is short while what was counted is gone at the next collection", () => {
    assert.equal(shareOf(simulate(new CollectionInterval(), { inFlight: 1, limit: 40 }), 4), 1);
  });

  it("is as long as tensors live, nearly all the time", () => {
    for (const [inFlight, best] of [
      [6, 8],
      [12, 16],
      [15, 16],
    ] as const) {
      const share = shareOf(simulate(new CollectionInterval(), { inFlight, limit: 60 }), best);
      assert.ok(share > 0.8, `${inFlight} MiB in flight: ${share}`);
    }
  });

  it("never is longer than 16 MiB, nor shorter than 4", () => {
    const lengths = simulate(new CollectionInterval(), { inFlight: 100, limit: 200 });
    assert.deepEqual([Math.min(...lengths), Math.max(...lengths)], [4, 16]);
  });

  it("is short again when the load is, and when V8 collects the whole heap before it", () => {
    for (const limit of [12, 40]) {
      const interval = new CollectionInterval();
      simulate(interval, { inFlight: 15, limit: 60 });
      assert.equal(interval.bytes, 16 * MiB);
      assert.ok(shareOf(simulate(interval, { inFlight: 1, limit }), 4) > 0.9, `${limit} MiB`);
    }
  });

  it("takes no notice of memory that others take", () => {
    const interval = new CollectionInterval();
    for (let round = 1; round < 100; round++) interval.collecting(round * 50 * MiB);
    assert.equal(interval.bytes, 4 * MiB);
  });
});
