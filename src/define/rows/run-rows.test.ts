import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { ServingError } from "../../failure/serving-error.js";
import { api } from "../api.js";
import { Service } from "../service.js";
import { Tensor } from "../tensor.js";
import { tensor } from "../tensor-schema.js";

const texts = z.array(z.string());

class Model extends Service() {
  readonly sizes: number[] = [];
  model = (rows: readonly string[]): readonly (string | ServingError)[] => rows.map((row) => row.toUpperCase());

  upper = api({ input: texts, output: texts, batch: { maxRows: 2 } }, async (rows) => {
    this.sizes.push(rows.length);
    return this.model(rows);
  });
  double = api(
    { input: tensor("int64", ["n", 2]), output: tensor("int64", ["n", 2]), batch: { maxRows: 3 } },
    ({ shape, data }) => {
      this.sizes.push(shape[0]);
      return new Tensor(
        "int64",
        [shape[0], 2],
        data.map((value) => 2n * value),
      );
    },
  );
  unbounded = api({ input: texts, output: texts, batch: { maxRows: 0 } }, (rows) => rows);
}

describe("an api that batches, called on an instance", () => {
  it("runs the rows of its call in batches of at most maxRows, and answers in order", async () => {
    const model = new Model();
    assert.deepEqual(await model.upper(["a", "b", "c", "d", "e"]), ["A", "B", "C", "D", "E"]);
    const rows = new Tensor(
      "int64",
      [4, 2],
      BigInt64Array.from({ length: 8 }, (_, i) => BigInt(i)),
    );
    const { shape, data } = await model.double(rows);
    assert.deepEqual(
      [shape, [...data]],
      [
        [4, 2],
        [0n, 2n, 4n, 6n, 8n, 10n, 12n, 14n],
      ],
    );
    assert.deepEqual(model.sizes, [2, 2, 1, 3, 1]);
  });

  it("answers a call without rows without running", async () => {
    const model = new Model();
    assert.deepEqual([await model.upper([]), model.sizes], [[], []]);
  });

  it("checks its input, the number of rows and its output", async () => {
    const model = new Model();
    await assert.rejects(model.upper([1] as never), { id: "invalid_input" });
    model.model = () => ["one", "two", "three"];
    await assert.rejects(model.upper(["a"]), {
      id: "batch_size_changed",
      details: { rowsIn: 1, rowsOut: 3, field: "" },
    });
    model.model = () => [7 as never];
    await assert.rejects(model.upper(["a"]), { id: "invalid_output" });
  });

  it("fails by the failure in a row's place, and says which row it was", async () => {
    const model = new Model();
    model.model = (rows) =>
      rows.map((row) =>
        row === "x" ? new ServingError({ code: "not_found", message: "no x", details: { a: 1 } }) : row,
      );
    await assert.rejects(model.upper(["x"]), { code: "not_found", details: { a: 1 } });
    await assert.rejects(model.upper(["a", "b", "c", "x"]), { code: "not_found", details: { a: 1, row: 3 } });
  });

  it("treats an invalid maxRows as no limit: the graph has reported the fault", async () => {
    assert.deepEqual(await new Model().unbounded(["a", "b"]), ["a", "b"]);
  });
});
