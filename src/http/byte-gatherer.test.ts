import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { ByteGatherer } from "./byte-gatherer.js";

/** The chunks a body of `length` random bytes may come in. */
function cut(random: Random, length: number): Uint8Array[] {
  const bytes = random.bytes(length);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < length; ) {
    const size = random.between(1, random.pick([1, 50, 5000, 40_000, 100_000]));
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

describe("ByteGatherer", () => {
  it("gives back what came, wherever the chunks begin and end", () => {
    const random = new Random(7);
    const gatherer = new ByteGatherer();
    for (let round = 0; round < 30; round++) {
      const chunks = cut(random, random.between(0, 200_000));
      for (const chunk of chunks) gatherer.push(chunk);
      const whole = Buffer.concat(chunks);
      assert.equal(gatherer.size, whole.length);
      assert.ok(whole.equals(gatherer.take()));
      assert.equal(gatherer.size, 0);
    }
  });

  it("keeps a single chunk as it is", () => {
    const chunk = new Uint8Array([1]);
    const gatherer = new ByteGatherer();
    gatherer.push(chunk);
    assert.equal(gatherer.take(), chunk);
  });

  it("keeps none of many small chunks", () => {
    const gatherer = new ByteGatherer();
    const large = new Uint8Array(1000);
    for (let i = 0; i < 1000; i++) gatherer.push(large.subarray(i, i + 1));
    large.fill(9);
    // All but the first were copied as they came.
    assert.deepEqual([...gatherer.take()].slice(0, 4), [9, 0, 0, 0]);
  });

  it("counts chunks as well as bytes", () => {
    const gatherer = new ByteGatherer();
    const byte = new Uint8Array(1);
    let count = 0;
    while (!gatherer.exceeds(1000)) {
      gatherer.push(byte);
      count++;
    }
    assert.equal(count, 1001);
    gatherer.clear();
    for (count = 0; !gatherer.exceeds(16 * 1024 ** 2); count++) gatherer.push(byte);
    assert.ok(count < 600_000, `${count} chunks`);
  });
});
