import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "../define/tensor.js";
import { ServingError } from "../failure/serving-error.js";
import { holdError, holdValue } from "./copy-value.js";

class Own {
  at = 1;
}

describe("holdValue", () => {
  it("copies all that its author can change, however deep", () => {
    const make = () => ({
      list: [1, { deep: [2] }],
      map: new Map([["k", { v: 1 }]]),
      set: new Set([{ s: 1 }]),
      when: new Date(77),
      bytes: new Uint8Array([1, 2]),
      tensor: new Tensor("float32", [2], new Float32Array([1, 2])),
      plain: { dtype: "float32", shape: [1], data: new Float32Array([1]) },
    });
    const value = make();
    const held = holdValue(value);
    (value.list[1] as { deep: number[] }).deep.push(3);
    (value.map.get("k") as { v: number }).v = 2;
    for (const item of value.set) item.s = 2;
    value.when.setTime(1);
    value.bytes.fill(9);
    value.tensor.data.fill(9);
    value.plain.data.fill(9);
    value.plain.shape.push(9);
    assert.deepEqual(held, make());
  });

  it("copies only what a view shows of a larger buffer", () => {
    const large = new Float32Array(1000);
    const held = holdValue(large.subarray(10, 12)) as Float32Array;
    assert.deepEqual([held.length, held.buffer.byteLength], [2, 8]);
  });

  it("leaves what can't be copied to its schema, and refuses nothing", () => {
    const own = new Own();
    const run = () => 1;
    const words = new Uint16Array([1]);
    const held = holdValue({ own, run, words, none: undefined, nil: null }) as Record<string, unknown>;
    assert.deepEqual([held["own"], held["run"], held["words"]], [own, run, words]);
    assert.equal(holdValue("text"), "text");
    const endless: unknown[] = [];
    endless.push(endless);
    assert.doesNotThrow(() => holdValue(endless));
  });

  it("keeps a Buffer what it is, over bytes of its own", () => {
    const buffer = Buffer.from("abc");
    const held = holdValue(buffer) as Buffer;
    buffer.fill(0);
    assert.deepEqual([Buffer.isBuffer(held), held.toString()], [true, "abc"]);
  });
});

describe("holdError", () => {
  it("gives a failure its own details, and leaves anything else", () => {
    const kept = new ServingError({ code: "not_found", id: "none", message: "none", details: { tried: [1] } });
    const held = holdError(kept) as ServingError;
    (kept.details["tried"] as number[]).push(2);
    assert.deepEqual([held.id, held.details, held.stack], ["none", { tried: [1] }, kept.stack]);
    const plain = new Error("plain");
    assert.equal(holdError(plain), plain);
  });
});
