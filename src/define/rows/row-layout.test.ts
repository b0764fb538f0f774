import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as v from "valibot";
import { z } from "zod";
import { ServingError } from "../../failure/serving-error.js";
import { type Shape, stream } from "../schema.js";
import { Tensor } from "../tensor.js";
import { tensor } from "../tensor-schema.js";
import { batchProblem, createRowLayout } from "./row-layout.js";

const texts = z.array(z.string());
const vectors = tensor("float32", ["n", 2]);
const matrix = (...rows: number[][]) =>
  new Tensor("float32", [rows.length, rows[0]?.length ?? 0], Float32Array.from(rows.flat()));
const tokens = { ids: tensor("int64", ["n", "length"]), names: texts };
const createTokens = (rows: number, length: number) => ({
  ids: new Tensor(
    "int64",
    [rows, length],
    BigInt64Array.from({ length: rows * length }, (_, i) => BigInt(i)),
  ),
  names: Array.from({ length: rows }, (_, i) => `${length}.${i}`),
});

describe("batchProblem", () => {
  const problem = (input: Shape | undefined, output: Shape | undefined = texts) =>
    batchProblem({ ...(input && { input }), ...(output && { output }) });

  it("finds nothing wrong with arrays, tensors whose first axis has a name, and objects of such", () => {
    for (const shape of [texts, vectors, tokens, { ids: vectors, mask: vectors }]) {
      assert.equal(problem(shape, shape), undefined);
    }
  });

  it("takes the word of a schema that can't be told as JSON Schema", () => {
    assert.equal(problem(v.array(v.string()), z.any()), undefined);
  });

  it("names what has no rows, and why", () => {
    assert.match(problem(undefined) ?? "", /there is no input to have any/);
    assert.match(problem({}) ?? "", /input has no field/);
    assert.match(problem(z.string()) ?? "", /input is neither an array nor a tensor but of type string/);
    assert.match(
      problem(texts, z.object({ a: texts })) ?? "",
      /output is neither an array nor a tensor but of type obj/,
    );
    assert.match(problem({ a: texts, top: z.number() }) ?? "", /input\.top is neither an array .* of type number/);
    assert.match(problem(tensor("float32", [8, 2])) ?? "", /first axis is always 8 long; it needs a name/);
    assert.match(problem(tensor("float32", [])) ?? "", /a tensor without axes/);
    assert.match(problem(tensor("float32", ["n", "n"])) ?? "", /the name of its first axis, "n", at another axis too/);
    const differing = { a: vectors, b: tensor("float32", ["m", 2]) };
    assert.match(problem(differing) ?? "", /the fields of input have different names: n, m/);
    assert.match(batchProblem({ input: texts }) ?? "", /yields a stream answers each by itself/);
    assert.match(problem(stream(z.string())) ?? "", /takes a stream reads each by itself/);
  });

  it("looks at what a schema makes of an input, and at what it takes of an output", () => {
    const split = z.string().transform((text) => text.split(" "));
    assert.equal(problem(split.pipe(texts)), undefined);
    assert.match(problem(texts, split.pipe(texts)) ?? "", /output is neither an array nor a tensor but of type string/);
  });
});

describe("createRowLayout", () => {
  it("counts rows, and refuses an object whose fields have different numbers of them", () => {
    assert.equal(createRowLayout({ input: texts, output: texts }).countRows(["a", "b"]), 2);
    const layout = createRowLayout({ input: tokens, output: texts });
    assert.equal(layout.countRows(createTokens(3, 2)), 3);
    assert.throws(() => layout.countRows({ ...createTokens(3, 2), names: ["a"] }), {
      id: "invalid_input",
      message: /names: has 1 rows, ids has 3/,
    });
  });

  it("puts inputs into groups by the sizes of their other axes, and into one where those are fixed", () => {
    const layout = createRowLayout({ input: tokens, output: texts });
    const group = (rows: number, length: number) => layout.groupOf(createTokens(rows, length));
    assert.equal(group(1, 4), group(7, 4));
    assert.notEqual(group(1, 4), group(1, 5));
    assert.equal(createRowLayout({ input: vectors, output: texts }).groupOf(matrix([1, 2])), "");
  });

  it("joins arrays, tensors and objects, and cuts them again", () => {
    const layout = createRowLayout({ input: tokens, output: tokens });
    const pieces = [createTokens(2, 3), createTokens(1, 3), createTokens(3, 3)];
    const joined = layout.joinInputs(pieces, false) as ReturnType<typeof createTokens>;
    assert.deepEqual(joined.ids.shape, [6, 3]);
    assert.deepEqual(joined.names, ["3.0", "3.1", "3.0", "3.0", "3.1", "3.2"]);
    assert.deepEqual(layout.splitOutput(joined, [2, 1, 3]), pieces);
    assert.deepEqual(layout.sliceInput(joined, 2, 3), createTokens(1, 3));
    assert.deepEqual(layout.joinOutputs(pieces), joined);
  });

  it("hands a single input, and the output of a single call, through as they are", () => {
    const layout = createRowLayout({ input: vectors, output: vectors });
    const input = matrix([1, 2], [3, 4]);
    assert.equal(layout.joinInputs([input], false), input);
    assert.equal(layout.splitOutput(input, [2])[0], input);
  });

  it("copies each row once when it joins, and cuts views", () => {
    const layout = createRowLayout({ input: vectors, output: vectors });
    const inputs = [matrix([1, 2]), matrix([3, 4])];
    const joined = layout.joinInputs(inputs, false) as Tensor<"float32">;
    inputs[0]?.data.fill(9);
    assert.deepEqual([...joined.data], [1, 2, 3, 4]);
    const [first] = layout.splitOutput(joined, [1, 1]) as [Tensor<"float32">];
    assert.equal(first.data.buffer, joined.data.buffer);
  });

  it("refuses an output with another number of rows, with the numbers", () => {
    const layout = createRowLayout({ input: texts, output: tokens });
    const changed = (output: unknown) => () => layout.splitOutput(output, [2, 2]);
    assert.throws(changed({ ...createTokens(4, 1), names: ["a"] }), {
      code: "internal",
      id: "batch_size_changed",
      message: "a batch of 4 rows came back with 1 in names, so no row can be matched to its call",
      details: { rowsIn: 4, rowsOut: 1, field: "names" },
    });
    assert.throws(changed({ names: ["a"] }), { id: "invalid_output", message: /ids: expected a tensor/ });
    assert.throws(changed(undefined), { id: "invalid_output" });
  });

  it("finds a failure in a row's place, in any array", () => {
    const layout = createRowLayout({ input: texts, output: { ids: vectors, names: texts } });
    const error = new ServingError({ code: "not_found", message: "no such row" });
    assert.deepEqual(layout.findFailure({ ids: matrix([1, 2], [3, 4]), names: ["a", error] }), { error, row: 1 });
    assert.equal(layout.findFailure({ ids: matrix([1, 2]), names: ["a"] }), undefined);
  });

  it("says which pieces of an output don't fit together", () => {
    const layout = createRowLayout({ input: texts, output: tensor("float32", ["n", "m"]) });
    assert.throws(() => layout.joinOutputs([matrix([1]), matrix([1, 2])]), {
      id: "invalid_output",
      message: /its pieces don't fit together: not all rows have shape \[1\]/,
    });
  });

  it("makes an output without rows, with the sizes that the input knows", () => {
    const output = { names: texts, scores: tensor("float32", ["n", "length", "unknown", 8]) };
    const empty = createRowLayout({ input: tokens, output }).emptyOutput(createTokens(0, 5)) as {
      names: string[];
      scores: Tensor;
    };
    assert.deepEqual([empty.names, empty.scores.shape, empty.scores.data.length], [[], [0, 5, 0, 8], 0]);
  });
});
