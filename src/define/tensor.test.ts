import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeBase64 } from "../base/base64.js";
import { isTensor, Tensor } from "./tensor.js";
import { tensorBytes, tensorFromBytes } from "./tensor-forms.js";
import { tensor } from "./tensor-schema.js";

function check(schema: ReturnType<typeof tensor>, value: unknown): { value?: Tensor; problem?: string } {
  const result = schema["~standard"].validate(value);
  if (result instanceof Promise) throw new Error("asynchronous");
  return result.issues === undefined ? { value: result.value as Tensor } : { problem: result.issues[0]?.message ?? "" };
}

describe("Tensor", () => {
  it("keeps the array it was given", () => {
    const data = Float32Array.from([1, 2, 3, 4]);
    assert.equal(new Tensor("float32", [2, 2], data).data, data);
  });

  it("refuses parts that disagree, with the numbers", () => {
    assert.throws(
      () => new Tensor("float32", [2, 3], new Float32Array(5)),
      /shape \[2,3\] needs 6 elements, data has 5/,
    );
    assert.throws(
      () => new Tensor("int32", [1], new Float32Array(1) as never),
      /data of a int32 tensor must be a Int32Array/,
    );
    assert.throws(() => new Tensor("float32", [-1], new Float32Array(1)), /entry -1 that is not a size/);
    assert.throws(() => new Tensor("half" as "float32", [1], new Float32Array(1)), /dtype half is not one of/);
  });

  it("is known by its parts, whoever made it", () => {
    assert.equal(isTensor({ dtype: "float32", shape: [1], data: new Float32Array(1) }), true);
    assert.equal(isTensor({ dtype: "float32", shape: [2], data: new Float32Array(1) }), false);
    assert.equal(isTensor({ shape: [1] }), false);
  });
});

describe("tensor()", () => {
  it("reads nested arrays", () => {
    const { value } = check(tensor("float32", [2, "n"]), [
      [1, 2, 3],
      [4, 5, 6],
    ]);
    assert.deepEqual(value?.shape, [2, 3]);
    assert.deepEqual([...(value?.data ?? [])], [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(check(tensor("float64", []), 1.5).value?.shape, []);
    assert.deepEqual(check(tensor("float32", ["n", "m"]), []).problem, "expected 2 dimensions, got 1");
  });

  it("reads base64 and tells what does not fit", () => {
    const data = Float32Array.from([1, 2, 3]);
    const encoded = { dtype: "float32", shape: [3], data: encodeBase64(new Uint8Array(data.buffer)) };
    assert.deepEqual([...(check(tensor("float32", ["n"]), encoded).value?.data ?? [])], [1, 2, 3]);
    assert.match(
      check(tensor("float32", ["n"]), { ...encoded, shape: [4] }).problem ?? "",
      /needs 4 elements, data has 3/,
    );
    assert.match(check(tensor("float32", ["n"]), { ...encoded, data: "###" }).problem ?? "", /not base64/);
    assert.match(check(tensor("int32", ["n"]), encoded).problem ?? "", /expected dtype int32, got a string|float32/);
  });

  it("carries 64-bit integers exactly", () => {
    const schema = tensor("int64", ["n"]);
    assert.deepEqual(
      [...(check(schema, [1, "9007199254740993", -5n]).value?.data ?? [])],
      [1n, 9007199254740993n, -5n],
    );
    assert.match(check(schema, ["9223372036854775808"]).problem ?? "", /outside int64/);
    assert.match(check(schema, [1.5]).problem ?? "", /expected an integer/);
  });

  const bad: [string, ReturnType<typeof tensor>, unknown, RegExp][] = [
    ["a ragged list", tensor("float32", [2, 2]), [[1, 2], [3]], /\[1\] has 1 elements, its neighbours 2/],
    ["a list where a number belongs", tensor("float32", [2]), [[1], 2], /expected 1 dimensions, got more/],
    ["a number where a list belongs", tensor("float32", [2, 1]), [[1], 2], /\[1\] is not a list/],
    ["text among numbers", tensor("float32", ["n"]), [1, "2"], /\[1\] is a string, expected a number/],
    ["null among numbers", tensor("float32", ["n"]), [null], /\[0\] is null, expected a number/],
    [
      "infinity",
      tensor("float32", ["n"]),
      [1, Number.POSITIVE_INFINITY],
      /\[1\] is Infinity, expected a finite number/,
    ],
    ["NaN", tensor("float64", ["n"]), [Number.NaN], /\[0\] is NaN, expected a finite number/],
    [
      "a number too large for its dtype",
      tensor("float32", ["n"]),
      [1, 1e300],
      /\[1\] is 1e\+300, too large for float32/,
    ],
    ["a byte out of range", tensor("uint8", ["n"]), [256], /\[0\] is 256, outside 0 to 255/],
    ["a wrong shape", tensor("float32", [3, "n"]), [[1], [2]], /expected shape \[3, n\], got \[2, 1\]/],
    ["an object", tensor("float32", ["n"]), { length: 1 }, /expected a tensor/],
    ["nothing", tensor("float32", ["n"]), undefined, /expected a tensor \(float32\), got undefined/],
  ];
  for (const [what, schema, value, message] of bad) {
    it(`refuses ${what}`, () => assert.match(check(schema, value).problem ?? "accepted", message));
  }

  it("refuses NaN in a binary form only when asked to", () => {
    const value = new Tensor("float32", [2], Float32Array.from([1, Number.NaN]));
    assert.equal(check(tensor("float32", [2]), value).problem, undefined);
    assert.match(check(tensor("float32", [2], { finite: true }), value).problem ?? "", /element 1 is NaN/);
  });

  it("does not recurse into a list deeper than its rank", () => {
    let deep: unknown = [];
    for (let i = 0; i < 100_000; i++) deep = [deep];
    assert.match(check(tensor("float32", ["n"]), deep).problem ?? "", /got more/);
  });
});

describe("tensorFromBytes", () => {
  it("reads bytes that do not start at a multiple of the element size", () => {
    const bytes = new Uint8Array(9);
    bytes.set(new Uint8Array(Float32Array.from([1, 2]).buffer), 1);
    const result = tensorFromBytes("float32", [2], bytes.subarray(1));
    assert.ok(isTensor(result));
    assert.deepEqual([...result.data], [1, 2]);
    assert.deepEqual([...tensorBytes(result)], [...bytes.subarray(1)]);
  });

  it("says what is wrong with a cut-off array", () => {
    assert.match(String(tensorFromBytes("float32", [1], new Uint8Array(3))), /3 bytes, not a multiple of 4/);
  });
});
