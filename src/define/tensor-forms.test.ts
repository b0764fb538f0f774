import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isTensor, Tensor } from "./tensor.js";
import { readTensor } from "./tensor-forms.js";

describe("readTensor", () => {
  it("refuses sizes that no data backs, whichever form they come in", () => {
    for (const shape of [
      [1e8, 0],
      [1e15, 0],
      [10_001, 0, 5],
      [200, 200, 0],
    ]) {
      assert.match(
        String(readTensor({ dtype: "float32", shape, data: "" }, "float32", shape.length)),
        /without an element/,
      );
      assert.throws(() => new Tensor("float32", shape, new Float32Array(0)), /without an element/);
      assert.equal(isTensor({ dtype: "float32", shape, data: new Float32Array(0) }), false);
    }
    for (const shape of [[0, 1e8], [0], [10_000, 0], [3, 0, 224]]) {
      assert.ok(isTensor(readTensor({ dtype: "float32", shape, data: "" }, "float32", shape.length)), String(shape));
    }
  });

  it("tells of a long shape in few words", () => {
    const shape = new Array(7_000_000).fill(1);
    assert.ok(String(readTensor({ dtype: "float32", shape, data: "AAAAAA==" }, "float32", 2)).length < 200);
    assert.match(String(readTensor({ dtype: "uint8", shape, data: "AA==" }, "uint8", shape.length)), /at most 64/);
  });

  it("makes room for elements only when all lists are there", () => {
    const long = new Array(100_000).fill(0);
    const claimed = [long, ...new Array<unknown>(99_999).fill([])];
    // 10^10 elements, had the first list been believed.
    assert.match(String(readTensor(claimed, "float32", 2)), /^\[1\] has 0 elements, its neighbours 100000/);
    assert.match(String(readTensor([[1], 2], "float32", 2)), /^\[1\] is not a list/);
    assert.match(String(readTensor([[1, "x"]], "float32", 2)), /^\[0\]\[1\] is a string/);
    assert.match(String(readTensor("x", "float32", 0)), /got string/);
  });

  it("names the cast that mends another dtype", () => {
    const double = new Tensor("float64", [1], new Float64Array(1));
    assert.match(String(readTensor(double, "float32", 1)), /got float64; in NumPy, send x\.astype\("float32"\)/);
    assert.match(String(readTensor({ dtype: "f", shape: [0], data: "" }, "float32", 1)), /got a string/);
  });

  it("does not call an integer something else because a JSON number does not carry it", () => {
    assert.match(
      String(readTensor([2 ** 53], "int64", 1)),
      /\[0\] is an integer that a JSON number .* send its digits as text/,
    );
    assert.deepEqual(
      (readTensor(["9007199254740993"], "int64", 1) as Tensor).data,
      new BigInt64Array([9007199254740993n]),
    );
  });
});
