// An api that batches: authors and callers see the same signature, except that only authors may return failures in
// rows.
import { type Api, api, type Handle, Service, ServingError, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { expectType } from "./expect.js";

const texts = z.array(z.string());
const failure = new ServingError({ code: "not_found", message: "no such row" });
const batch = { maxRows: 8 };

class Model extends Service() {
  embed = api({ input: texts, output: z.array(z.number()), batch: { maxRows: 8, targetLatencyMs: 50 } }, (rows) => {
    expectType<string[]>()(rows);
    return rows.map((row) => (row === "" ? failure : row.length));
  });
  /** Fields that are arrays may hold failures; tensors may not. */
  describe = api(
    {
      input: { ids: tensor("int64", ["n", 128]), names: texts },
      output: { scores: tensor("float32", ["n"]), labels: z.array(z.enum(["a", "b"])) },
      batch,
    },
    async ({ ids, names }) => {
      expectType<readonly [number, 128]>()(ids.shape);
      expectType<string[]>()(names);
      return { scores: new Tensor("float32", [1], new Float32Array(1)), labels: [failure, "a"] };
    },
  );
  score = api(
    { input: tensor("float32", ["n", 4]), output: tensor("float32", ["n", 2]), batch: { maxRows: 8, windowMs: 0 } },
    (rows) => new Tensor("float32", [rows.shape[0], 2], new Float32Array(2 * rows.shape[0])),
  );
}

// Callers see rows, as without batches.
expectType<Api<string[], number[]>>()(new Model().embed);
declare const model: Handle<Model>;
expectType<Promise<number[]>>()(model.embed(["a"], { priority: "background" }));
// @ts-expect-error rows, not one row
model.embed("a");
// @ts-expect-error neither of the two priorities
model.embed(["a"], { priority: "urgent" });

// @ts-expect-error a failure in a row's place needs batch
api({ input: texts, output: z.array(z.number()) }, (rows) => rows.map((row) => (row === "" ? failure : row.length)));
// @ts-expect-error the wrong rows
api({ input: texts, output: z.array(z.number()), batch }, (rows) => rows);
// @ts-expect-error none of the labels
api({ input: texts, output: z.array(z.enum(["spam", "ham"])), batch }, () => ["spma"]);
api({ input: texts, output: z.array(z.enum(["spam", "ham"])), batch }, () => ["spam", failure]);
// @ts-expect-error a tensor has no room for a failure
api({ input: texts, output: tensor("float32", ["n", 2]), batch }, () => [failure]);
// @ts-expect-error the bound is required
api({ input: texts, output: texts, batch: {} }, (rows) => rows);
// @ts-expect-error an option that does not exist
api({ input: texts, output: texts, batch: { maxRows: 8, maxRow: 8 } }, (rows) => rows);
