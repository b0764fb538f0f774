import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import type { Issue } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { type Contract, contractProblem, createChecks, shapeJsonSchema } from "./contract.js";
import { file } from "./file.js";
import { type Shape, stream } from "./schema.js";
import { Tensor } from "./tensor.js";
import { tensor } from "./tensor-schema.js";

async function issuesOf(run: () => unknown): Promise<readonly Issue[]> {
  try {
    await run();
  } catch (error) {
    assert.ok(error instanceof ServingError);
    return error.details["issues"] as readonly Issue[];
  }
  throw new Error("nothing was refused");
}

const vector = (...values: number[]) => new Tensor("float32", [values.length], Float32Array.from(values));

describe("createChecks", () => {
  it("checks fields of any validator side by side, and names each that is wrong", async () => {
    const contract: Contract = {
      input: {
        name: z.string().min(2),
        age: v.pipe(v.number(), v.minValue(0)),
        mail: type("string.email"),
        x: tensor("int32", [2]),
      },
      output: z.string(),
    };
    const { input } = createChecks(contract);
    const good = { name: "Bo", age: 3, mail: "a@b.co", x: [1, 2] };
    const checked = (await input({ ...good, extra: 1 })) as { x: Tensor };
    assert.deepEqual({ ...checked, x: [...checked.x.data] }, good);
    const issues = await issuesOf(() => input({ name: "B", age: -1, mail: "no", x: [1, 2, 3] }));
    assert.deepEqual(
      issues.map((issue) => issue.path),
      ["name", "age", "mail", "x"],
    );
    assert.match(issues[3]?.message ?? "", /expected shape \[2\], got \[3\]/);
  });

  it("gives nested paths as a reader would write them", async () => {
    const { input } = createChecks({
      input: z.object({ lines: z.array(z.object({ text: z.string() })) }),
      output: z.any(),
    });
    const issues = await issuesOf(() => input({ lines: [{ text: "a" }, { text: 1 }] }));
    assert.equal(issues[0]?.path, "lines[1].text");
  });

  it("waits for an asynchronous schema", async () => {
    const schema = z.string().refine(async (text) => text !== "taken", "is taken");
    const asynchronous = {
      "~standard": {
        ...z.string()["~standard"],
        validate: (value: unknown) =>
          schema.safeParseAsync(value).then((r) => (r.success ? { value: r.data } : { issues: r.error.issues })),
      },
    };
    const { input } = createChecks({ input: asynchronous as never, output: z.any() });
    assert.equal(await input("free"), "free");
    assert.deepEqual((await issuesOf(() => input("taken")))[0]?.message, "is taken");
  });

  it("wants named sizes equal within one call, between fields and between input and output", async () => {
    const { input, output } = createChecks({
      input: { a: tensor("float32", ["n"]), b: tensor("float32", ["n"]) },
      output: tensor("float32", ["n", 2]),
    });
    const checked = await input({ a: vector(1, 2), b: vector(3, 4) });
    assert.match(
      (await issuesOf(() => input({ a: vector(1), b: vector(1, 2) })))[0]?.message ?? "",
      /size "n" is 2 here and 1 elsewhere/,
    );
    await output(new Tensor("float32", [2, 2], new Float32Array(4)), checked);
    const wrong = await issuesOf(() => output(new Tensor("float32", [3, 2], new Float32Array(6)), checked));
    assert.match(wrong[0]?.message ?? "", /size "n" is 3 here and 2 elsewhere/);
  });

  it("compares named sizes inside the schemas of libraries, each item of a list by itself", async () => {
    const vectors = (...sizes: number[]) => sizes.map((size) => vector(...new Array<number>(size).fill(0)));
    const refusal = async (shape: Shape, value: unknown) => {
      const { input } = createChecks({ input: shape, output: z.any() });
      try {
        await input(value);
        return "accepted";
      } catch (error) {
        const [issue] = (error as { details: { issues: { path: string; message: string }[] } }).details.issues;
        return `${issue?.path}: ${issue?.message}`;
      }
    };
    const n = tensor("float32", ["n"]);
    const [one, two] = vectors(1, 2);
    const pair = z.object({ a: n, b: z.optional(n) });
    const elsewhere = "elsewhere in the same call";
    assert.equal(await refusal(pair, { a: one, b: two }), `b: size "n" is 2 here and 1 ${elsewhere}`);
    assert.equal(await refusal(pair, { a: one }), "accepted");
    assert.equal(await refusal(z.array(n), vectors(1, 2, 3)), "accepted");
    const items = z.array(pair);
    assert.equal(
      await refusal(items, [
        { a: one, b: one },
        { a: two, b: two },
      ]),
      "accepted",
    );
    assert.equal(
      await refusal(items, [{ a: one }, { a: one, b: two }]),
      `[1].b: size "n" is 2 here and 1 ${elsewhere}`,
    );
    const around = { list: v.array(n), size: n };
    assert.equal(await refusal(around, { list: [two], size: two }), "accepted");
    assert.equal(
      await refusal(around, { list: [two, one], size: two }),
      `list[1]: size "n" is 1 here and 2 ${elsewhere}`,
    );
    const record = z.object({ size: n, named: z.record(z.string(), n) });
    assert.match(await refusal(record, { size: one, named: { x: two } }), /^named\[x\]: size "n" is 2/);
    assert.match(await refusal(type({ a: n, b: n }), { a: one, b: two }), /^b: size "n" is 2/);
    const unsure = z.object({ a: n, b: z.union([n, tensor("float32", ["m"])]) });
    assert.equal(await refusal(unsure, { a: one, b: two }), "accepted");
    const { input, output } = createChecks({ input: pair, output: z.object({ c: z.nullable(n) }) });
    const checked = await input({ a: one });
    assert.deepEqual(await output({ c: one }, checked), { c: one });
    assert.match((await issuesOf(() => output({ c: two }, checked)))[0]?.message ?? "", /size "n" is 2 here and 1/);
  });

  it("lets an api without input be called with nothing, and with nothing else", async () => {
    const { input } = createChecks({ output: z.string() });
    for (const nothing of [undefined, null, {}]) assert.equal(await input(nothing), undefined);
    assert.match((await issuesOf(() => input({ a: 1 })))[0]?.message ?? "", /takes no input/);
  });

  it("says what a missing or foreign object lacks", async () => {
    const { input } = createChecks({ input: { text: z.string() }, output: z.any() });
    assert.match((await issuesOf(() => input([1])))[0]?.message ?? "", /expected an object with text, got a list/);
    assert.equal((await issuesOf(() => input({ __proto__: { text: "inherited" } })))[0]?.path, "text");
  });
});

describe("contractProblem", () => {
  it("names what is wrong with a contract", () => {
    assert.match(contractProblem({}) ?? "", /neither output nor yields/);
    assert.match(contractProblem({ output: z.string(), yields: z.string() }) ?? "", /both output and yields/);
    assert.match(contractProblem({ output: "string" as never }) ?? "", /output is not a schema/);
    assert.match(contractProblem({ input: { a: 1 as never }, output: z.any() }) ?? "", /input\.a is not a schema/);
    assert.equal(contractProblem({ input: {}, output: z.any() }), undefined);
  });

  it("names a schema that stands inside one of another library, and what to write instead", () => {
    const problemOf = (input: unknown) => contractProblem({ input: input as never, output: z.string() });
    const cases: [unknown, RegExp][] = [
      [z.object({ a: v.string() as never }), /^input\.a is a schema of valibot inside a schema of zod, which can't/],
      [z.object({ a: z.array(z.object({ b: v.string() as never })) }), /^input\.a\[\]\.b is a schema of valibot/],
      [v.optional(v.array(z.string() as never)), /^input\[\] is a schema of zod inside a schema of valibot/],
      [stream(z.array(v.string() as never)), /^stream\(\)\[\] is a schema of valibot/],
      [z.object({ s: stream(z.string()) as never }), /^input\.s is a stream\(\); only a whole input or output/],
    ];
    for (const [input, message] of cases) assert.match(problemOf(input) ?? "nothing", message);
    const tree = z.object({
      name: z.string(),
      get children() {
        return z.array(tree);
      },
    });
    for (const fine of [
      tree,
      z.lazy(() => z.string()),
      z.json(),
      z.custom<File>(),
      { photo: file(), note: v.string() },
      z.object({ f: file(), t: z.optional(tensor("float32", ["n"])) }),
      v.object({ f: v.optional(file()), t: v.array(tensor("float32", ["n"])) }),
      type({ f: file(), "t?": tensor("float32", ["n"]) }),
    ]) {
      assert.equal(problemOf(fine), undefined);
    }
  });

  it("names what a task can't have", () => {
    assert.match(contractProblem(undefined as never, "task") ?? "", /^task\(\) was given no contract/);
    assert.match(contractProblem({ yields: z.any() }, "task") ?? "", /a task can't have yields/);
    assert.match(contractProblem({ output: z.any(), batch: {} } as never, "task") ?? "", /a task can't have batch/);
    assert.equal(contractProblem({ output: z.any() }, "task"), undefined);
  });
});

describe("shapeJsonSchema", () => {
  it("uses each schema's own converter and knows which fields may be left out", () => {
    const shape = {
      text: z.string(),
      n: z.number().default(1),
      image: file({ contentType: "image/png" }),
      x: tensor("float32", ["n", 2]),
    };
    const schema = shapeJsonSchema(shape, "input") as {
      required: string[];
      properties: Record<string, { title?: string; type?: string; default?: number }>;
    };
    assert.deepEqual(schema.required, ["text", "image", "x"]);
    assert.equal(schema.properties["text"]?.type, "string");
    assert.equal(schema.properties["n"]?.default, 1);
    assert.equal(schema.properties["x"]?.title, "float32[n, 2]");
  });

  it("says anything for a schema without a converter, but for what it holds", () => {
    assert.deepEqual(shapeJsonSchema(v.string(), "input"), {});
    const schema = v.object({ q: v.string(), at: v.optional(v.date()), list: v.array(tensor("uint8", [2])) });
    assert.deepEqual(shapeJsonSchema(schema, "input"), {
      type: "object",
      properties: {
        q: { type: "string" },
        at: { title: "date", type: "string", format: "date-time" },
        list: { type: "array", items: shapeJsonSchema(tensor("uint8", [2]), "input") },
      },
      required: ["q", "list"],
    });
  });
});
