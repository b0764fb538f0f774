import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { concat, row, stack } from "./stack.js";
import { Tensor } from "./tensor.js";

const floats = <const S extends readonly number[]>(shape: S, ...elements: number[]) =>
  new Tensor("float32", shape, Float32Array.from(elements));

const partsOf = ({ dtype, shape, data }: Tensor) => [dtype, shape, [...data]];

describe("stack()", () => {
  it("joins tensors along a new first axis", () => {
    assert.deepEqual(partsOf(stack([floats([2], 1, 2), floats([2], 3, 4)])), ["float32", [2, 2], [1, 2, 3, 4]]);
    assert.deepEqual(stack([floats([1, 3], 1, 2, 3)]).shape, [1, 1, 3]);
    assert.deepEqual(partsOf(stack([floats([], 1), floats([], 2)])), ["float32", [2], [1, 2]]);
    const large = new Tensor("int64", [1], BigInt64Array.of(2n ** 62n));
    assert.deepEqual(partsOf(stack([large, large])), ["int64", [2, 1], [2n ** 62n, 2n ** 62n]]);
  });

  it("copies: a change of one of them does not show, and the shape is frozen", () => {
    const one = floats([2], 1, 2);
    const both = stack([one, one]);
    one.data[0] = 9;
    assert.deepEqual([...both.data], [1, 2, 1, 2]);
    assert.ok(Object.isFrozen(both.shape));
  });

  it("refuses tensors that differ, with their numbers", () => {
    const problemOf = (run: () => unknown) => {
      try {
        run();
      } catch (error) {
        const { id, message } = error as { id: string; message: string };
        return `${id}: ${message}`;
      }
      return "none";
    };
    assert.equal(
      problemOf(() => stack([])),
      "tensors_unfit: stack(): the list of tensors is empty",
    );
    assert.equal(
      problemOf(() => stack([floats([2], 1, 2), floats([1], 1) as never])),
      "tensors_unfit: stack(): tensor 1 is float32 [1], tensor 0 is float32 [2]",
    );
    assert.equal(
      problemOf(() => stack([floats([1], 1), new Tensor("int32", [1], Int32Array.of(1)) as never])),
      "tensors_unfit: stack(): tensor 1 is int32 [1], tensor 0 is float32 [1]",
    );
    const broken = { dtype: "float32", shape: [3], data: new Float32Array(2) } as const;
    assert.equal(
      problemOf(() => stack([floats([3], 1, 2, 3), broken as never])),
      "tensors_unfit: stack(): tensor 1: shape [3] needs 3 elements, data has 2",
    );
  });
});

describe("concat()", () => {
  it("joins tensors along an axis they have", () => {
    const [a, b] = [floats([1, 2], 1, 2), floats([2, 2], 3, 4, 5, 6)];
    assert.deepEqual(partsOf(concat([a, b])), ["float32", [3, 2], [1, 2, 3, 4, 5, 6]]);
    const [left, right] = [floats([2, 1], 1, 4), floats([2, 2], 2, 3, 5, 6)];
    assert.deepEqual(partsOf(concat([left, right], 1)), ["float32", [2, 3], [1, 2, 3, 4, 5, 6]]);
    assert.deepEqual(partsOf(concat([floats([0, 2]), b])), ["float32", [2, 2], [3, 4, 5, 6]]);
    assert.deepEqual(concat([floats([2, 0]), floats([3, 0])]).shape, [5, 0]);
  });

  it("refuses other sizes that differ, and an axis that is not there", () => {
    const unfit = (problem: string) => ({ id: "tensors_unfit", message: `concat(): ${problem}` });
    assert.throws(
      () => concat([floats([1, 2], 1, 2), floats([1, 1], 1)]),
      unfit("along axis 0, tensor 1 is float32 [1, 1], tensor 0 is float32 [1, 2]"),
    );
    assert.throws(() => concat([floats([1], 1)], 1), unfit("there is no axis 1 in float32 [1]"));
    assert.throws(() => concat([floats([1], 1)], -1), unfit("there is no axis -1 in float32 [1]"));
    assert.throws(() => concat([floats([], 1)]), unfit("there is no axis 0 in float32 []"));
    assert.throws(() => concat([]), unfit("the list of tensors is empty"));
  });
});

describe("row()", () => {
  it("gives one row, without the first axis, in memory of its own", () => {
    const all = floats([2, 1, 2], 1, 2, 3, 4);
    const second = row(all, 1);
    assert.deepEqual(partsOf(second), ["float32", [1, 2], [3, 4]]);
    assert.equal(second.data.buffer.byteLength, 8);
    assert.deepEqual(partsOf(row(floats([2], 1, 2), 0)), ["float32", [], [1]]);
    assert.deepEqual(partsOf(stack([row(all, 0)])), ["float32", [1, 1, 2], [1, 2]]);
  });

  it("refuses an index outside of the tensor", () => {
    const all = floats([2, 2], 1, 2, 3, 4);
    const unfit = (problem: string) => ({ id: "tensors_unfit", code: "internal", message: `row(): ${problem}` });
    for (const index of [2, -1, 0.5, Number.NaN]) {
      assert.throws(() => row(all, index), unfit(`index ${index} is outside of float32 [2, 2]`));
    }
    assert.throws(() => row(floats([0, 2]), 0), unfit("index 0 is outside of float32 [0, 2]"));
    assert.throws(() => row(floats([], 1), 0), unfit("a tensor of shape [] has no rows"));
  });
});
