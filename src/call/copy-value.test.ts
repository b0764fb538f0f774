import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "../define/tensor.js";
import { ServingError } from "../failure/serving-error.js";
import { copyValue } from "./copy-value.js";

describe("copyValue", () => {
  it("copies every kind of value that may cross, and shares none that could change", () => {
    const blob = new Blob(["x"]);
    const value = {
      text: "a",
      number: Number.NaN,
      big: 12n,
      nothing: null,
      missing: undefined,
      list: [1, [2, { three: 3 }]],
      bytes: new Uint8Array([1, 2]),
      floats: new Float32Array([1.5]),
      tensor: new Tensor("float32", [2], new Float32Array([1, 2])),
      date: new Date(5),
      map: new Map<unknown, unknown>([["k", { v: 1 }]]),
      set: new Set([[1]]),
      blob,
    };
    const copy = copyValue(value, "input") as typeof value;
    assert.deepEqual(copy, value);
    assert.equal(copy.blob, blob);
    assert.equal(Object.hasOwn(copy, "missing"), true);
    for (const key of ["list", "bytes", "floats", "tensor", "date", "map", "set"] as const) {
      assert.notEqual(copy[key], value[key]);
    }
    copy.tensor.data[0] = 9;
    (copy.map.get("k") as { v: number }).v = 9;
    (copy.list[1] as unknown[])[0] = 9;
    assert.equal(value.tensor.data[0], 1);
    assert.deepEqual(value.map.get("k"), { v: 1 });
    assert.deepEqual(value.list, [1, [2, { three: 3 }]]);
  });

  it("gives a Buffer as the Uint8Array a process border would make of it", () => {
    const copy = copyValue({ bytes: Buffer.from("abc") }, "input") as { bytes: Uint8Array };
    assert.equal(Object.getPrototypeOf(copy.bytes), Uint8Array.prototype);
    assert.deepEqual([...copy.bytes], [97, 98, 99]);
  });

  const cycle: Record<string, unknown> = {};
  cycle["self"] = { cycle };
  class Model {}
  const refused: [string, unknown, RegExp][] = [
    ["a function", { a: [{ run: () => 1 }] }, /^input\.a\[0\]\.run is a function/],
    ["a symbol", Symbol("s"), /^input is a symbol/],
    ["a promise", { later: Promise.resolve(1) }, /^input\.later is a Promise \(await it first\)/],
    ["a class instance", [new Model()], /^input\[0\] is an instance of class Model/],
    ["a typed array that no tensor has", { x: new Uint16Array(1) }, /^input\.x is a Uint16Array/],
    ["a key __proto__", JSON.parse('{"a":{"__proto__":{"x":1}}}'), /^input\.a is an object with a key __proto__/],
    ["a cycle", cycle, /nested more than 100 levels deep, or contains itself/],
    ["an item of a map", new Map([["k", () => 1]]), /^input\[value\] is a function/],
  ];
  for (const [what, value, message] of refused) {
    it(`refuses ${what} and says where it is`, () => {
      assert.throws(
        () => copyValue(value, "input"),
        (error) => {
          assert.ok(error instanceof ServingError);
          assert.equal(error.id, "not_transferable");
          assert.equal(error.code, "invalid_argument");
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  it("blames the callee for an output that can't cross", () => {
    assert.throws(() => copyValue(() => 1, "output"), { id: "output_not_transferable", code: "internal" });
  });

  it("refuses a tensor whose data was replaced by something else", () => {
    for (const data of [[1, 2], Float64Array.of(1, 2), Float32Array.of(1), undefined]) {
      const tensor = new Tensor("float32", [2], Float32Array.of(1, 2));
      Object.assign(tensor, { data });
      assert.throws(() => copyValue({ tensor }, "input"), { id: "invalid_input" });
    }
  });
});
