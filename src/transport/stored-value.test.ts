import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createLargeOldValue, oldValues } from "../../test/tasks/old-values.js";
import { Tensor } from "../define/tensor.js";
import type { ServingError } from "../failure/serving-error.js";
import { fingerprintValue, packValue, unpackValue } from "./stored-value.js";

const isMalformed = (error: ServingError) => error.id === "malformed_frame";

describe("a value that is kept", () => {
  it("comes back as it was: plain, marked, with tensors, and none", async () => {
    const tensor = new Tensor("float32", [2, 2], new Float32Array([1, 2, 3, 4]));
    for (const value of [{ text: "ä", list: [1, null] }, new Map([["at", new Date(5)]]), tensor, undefined, 7n]) {
      assert.deepEqual(unpackValue(await packValue(value, "output")), value);
    }
  });

  it("keeps the bytes of a file", async () => {
    const read = unpackValue(await packValue(new File(["hello"], "a.txt", { type: "text/plain" }), "input")) as File;
    assert.deepEqual([read.name, read.type, await read.text()], ["a.txt", "text/plain", "hello"]);
  });

  it("may stand anywhere in a larger buffer", async () => {
    const bytes = await packValue({ a: new Uint8Array([1, 2, 3]) }, "input");
    const larger = new Uint8Array(bytes.length + 5);
    larger.set(bytes, 3);
    assert.deepEqual(unpackValue(larger.subarray(3, 3 + bytes.length)), { a: new Uint8Array([1, 2, 3]) });
  });

  it("is refused when it is cut short, too long, or something else", async () => {
    const bytes = await packValue({ a: new Uint8Array([1, 2, 3]) }, "input");
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    for (const wrong of [
      bytes.subarray(0, bytes.length - 1),
      longer,
      new Uint8Array(3),
      new Uint8Array(64).fill(127),
    ]) {
      assert.throws(() => unpackValue(wrong), isMalformed);
    }
  });

  it("carries its version, by which no value without one can be taken for it", async () => {
    for (const { name, value, bytes } of [...oldValues, createLargeOldValue()]) {
      const packed = Buffer.from(await packValue(value, "input"));
      assert.equal(packed[4], 0x81, name);
      packed[4] = 3;
      assert.deepEqual(packed, bytes, name);
    }
  });

  it("that was stored before values had a version is read, and has the fingerprint it had", () => {
    for (const { name, value, bytes, fingerprint } of oldValues) {
      assert.deepEqual(unpackValue(bytes), value, name);
      assert.equal(fingerprintValue(bytes), fingerprint, name);
    }
  });

  it("has one fingerprint in every version", async () => {
    for (const { value, fingerprint } of oldValues) {
      assert.equal(fingerprintValue(await packValue(value, "input")), fingerprint);
    }
  });

  it("of a newer version is refused with both versions, and one that never was a stored value as malformed", async () => {
    const bytes = await packValue({ a: 1 }, "output");
    const withByte = (byte: number) => Uint8Array.from(bytes, (own, at) => (at === 4 ? byte : own));
    for (const [byte, version] of [
      [0x82, 2],
      [0xff, 127],
    ] as const) {
      for (const read of [unpackValue, fingerprintValue]) {
        assert.throws(
          () => read(withByte(byte)),
          ({ id, details }: ServingError) =>
            id === "stored_value_newer" && details.version === version && details.known === 1,
        );
      }
    }
    for (const byte of [0, 1, 2, 4, 14, 0x7f, 0x80]) assert.throws(() => unpackValue(withByte(byte)), isMalformed);
  });

  it("is refused when it can't cross to another service either", () => {
    assert.throws(
      () => packValue(() => {}, "output"),
      (error: ServingError) => error.id === "output_not_transferable",
    );
  });
});
