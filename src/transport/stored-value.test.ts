import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "../define/tensor.js";
import type { ServingError } from "../failure/serving-error.js";
import { packValue, unpackValue } from "./stored-value.js";

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
      new Uint8Array(64).fill(255),
    ]) {
      assert.throws(() => unpackValue(wrong), isMalformed);
    }
  });

  it("is refused when it can't cross to another service either", () => {
    assert.throws(
      () => packValue(() => {}, "output"),
      (error: ServingError) => error.id === "output_not_transferable",
    );
  });
});
