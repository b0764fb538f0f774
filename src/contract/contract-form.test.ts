import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { api, task } from "../define/api.js";
import { compileService } from "../define/descriptor.js";
import { file } from "../define/file.js";
import { type Shape, stream } from "../define/schema.js";
import { Service } from "../define/service.js";
import { tensor } from "../define/tensor-schema.js";
import { type ApiForm, contractDigest, contractForm } from "./contract-form.js";
import { readContractForm } from "./read-contract-form.js";
import { serviceOfContract } from "./service-of-contract.js";
import { formOfShape } from "./type-form.js";

interface Tree {
  readonly left?: Tree | undefined;
  readonly value: number;
}
const tree: z.ZodType<Tree> = z.object({ value: z.number(), left: z.lazy(() => tree.optional()) });

class Everything extends Service({ name: "All", timeoutMs: 9000 }) {
  plain = api(
    { input: z.object({ n: z.int(), at: z.date().optional() }), output: z.string(), idempotent: true },
    () => "",
  );
  nothing = api({ output: z.void(), timeoutMs: 50, route: "/none" }, () => undefined);
  tokens = api({ input: z.string(), yields: z.object({ text: z.string() }) }, async function* () {});
  sums = api(
    { input: stream({ x: tensor("float32", ["n", 2]) }), output: file({ contentType: "image/*" }) },
    () => new File([], "a"),
  );
  index = task({ input: tree, output: z.map(z.string(), z.bigint()) }, () => new Map());
}

const form = contractForm(compileService(Everything));
const apiOf = (name: string) => form.apis.find((own) => own.name === name) as ApiForm;

describe("contractForm", () => {
  it("describes each kind of api, its types and what its callers rely on", () => {
    assert.equal(form.service, "All");
    assert.deepEqual(
      form.apis.map(({ name, kind, takesStream, idempotent, timeoutMs, route }) => [
        name,
        kind,
        takesStream,
        idempotent,
        timeoutMs,
        route,
      ]),
      [
        ["index", "task", false, false, 9000, "/index"],
        ["nothing", "unary", false, false, 50, "/none"],
        ["plain", "unary", false, true, 9000, "/plain"],
        ["sums", "unary", true, false, 9000, "/sums"],
        ["tokens", "stream", false, false, 9000, "/tokens"],
      ],
    );
    assert.equal(apiOf("nothing").input, undefined);
    assert.deepEqual(apiOf("nothing").output, { "x-ekiben": { type: "nothing" } });
    assert.deepEqual(apiOf("tokens").output, {
      properties: { text: { type: "string" } },
      required: ["text"],
      type: "object",
    });
    assert.deepEqual(apiOf("sums").input?.["properties"], {
      x: { "x-ekiben": { type: "tensor", dtype: "float32", shape: ["n", 2] } },
    });
    assert.deepEqual(apiOf("sums").output, { "x-ekiben": { type: "file", contentTypes: ["image/*"] } });
    assert.deepEqual(apiOf("plain").input?.["required"], ["n"]);
    assert.deepEqual((apiOf("plain").input as { properties: Record<string, unknown> }).properties["at"], {
      "x-ekiben": { type: "date" },
    });
    assert.deepEqual(apiOf("index").output, {
      additionalProperties: { "x-ekiben": { type: "bigint" } },
      propertyNames: { type: "string" },
      "x-ekiben": { type: "map" },
    });
  });

  it("is plain JSON", () => {
    assert.deepEqual(JSON.parse(JSON.stringify(form)), form);
  });

  it("has a digest that depends on no order and no text for people", () => {
    const make = (input: Shape, output: Shape) =>
      contractDigest(
        contractForm(
          compileService(
            class Same extends Service() {
              score = api({ input, output }, () => undefined as never);
            },
          ),
        ),
      );
    const first = make(z.object({ a: z.string(), b: z.enum(["x", "y"]) }), z.union([z.string(), z.null()]));
    const second = make(
      z.object({ b: z.enum(["y", "x"]).describe("one of two"), a: z.string().meta({ title: "A", examples: ["a"] }) }),
      z.union([z.null(), z.string()]),
    );
    assert.match(first, /^[0-9a-f]{32}$/);
    assert.equal(second, first);
    assert.notEqual(make(z.object({ a: z.string(), b: z.enum(["x"]) }), z.union([z.string(), z.null()])), first);
  });

  it("has the same digest each time, also where a default is made anew", () => {
    const digest = () =>
      contractDigest(
        contractForm(
          compileService(
            class Fresh extends Service() {
              get = api(
                { input: z.object({ id: z.string().default(() => String(Math.random())) }), output: z.number() },
                () => 1,
              );
            },
          ),
        ),
      );
    assert.equal(digest(), digest());
  });
});

describe("formOfShape", () => {
  const cases: readonly (readonly [what: string, shape: Shape, side: "input" | "output", expected: unknown])[] = [
    ["a constant", z.literal("a"), "input", { enum: ["a"] }],
    [
      "a recursive type",
      tree,
      "input",
      {
        properties: { left: { $ref: "#" }, value: { type: "number" } },
        required: ["value"],
        type: "object",
      },
    ],
    [
      "an optional item",
      z.array(z.string().optional()),
      "input",
      {
        items: { anyOf: [{ type: "string" }, { "x-ekiben": { type: "nothing" } }] },
        type: "array",
      },
    ],
    [
      "a field with a default, as it is given",
      z.object({ n: z.number().default(1) }),
      "input",
      {
        properties: { n: { type: "number" } },
        type: "object",
      },
    ],
    [
      "a field with a default, as it comes out",
      z.object({ n: z.number().default(1) }),
      "output",
      {
        properties: { n: { type: "number" } },
        required: ["n"],
        type: "object",
      },
    ],
    ["fields of any name", z.looseObject({}), "input", { additionalProperties: {}, type: "object" }],
    [
      "a function of the author",
      z.string().refine(() => true),
      "input",
      { type: "string", "x-ekiben": { checks: ["custom"] } },
    ],
    ["a pattern with flags", z.string().regex(/a/i), "input", { type: "string", "x-ekiben": { checks: ["/a/i"] } }],
    [
      "a transformed input",
      z.string().transform(Number),
      "input",
      { type: "string", "x-ekiben": { checks: ["pipe"] } },
    ],
    [
      "a transformed output",
      z.string().transform(Number),
      "output",
      { "x-ekiben": { of: "zod transform", type: "opaque" } },
    ],
    ["a fallback", z.number().catch(1), "input", {}],
    [
      "limits of a set",
      z.set(z.int()).max(3),
      "input",
      {
        items: { maximum: 9007199254740991, minimum: -9007199254740991, type: "integer" },
        "x-ekiben": { checks: ["max_size 3"], type: "set" },
      },
    ],
    [
      "an object of schemas",
      { a: z.string(), b: z.string().optional() },
      "input",
      {
        properties: { a: { type: "string" }, b: { type: "string" } },
        required: ["a"],
        type: "object",
      },
    ],
    [
      "valibot",
      v.object({ a: v.optional(v.string()), b: v.picklist(["x", "y"]) }),
      "input",
      {
        properties: { a: { type: "string" }, b: { enum: ["x", "y"] } },
        required: ["b"],
        type: "object",
      },
    ],
    [
      "a limit in valibot",
      v.pipe(v.string(), v.maxLength(5)),
      "input",
      { type: "string", "x-ekiben": { checks: ["max_length 5"] } },
    ],
    [
      "arktype",
      type({ a: "string", "b?": "number" }),
      "input",
      {
        properties: { a: { type: "string" }, b: { type: "number" } },
        required: ["a"],
        type: "object",
      },
    ],
    [
      "arktype with a function",
      type("string").narrow(() => true),
      "input",
      { type: "string", "x-ekiben": { checks: ["predicate"] } },
    ],
    [
      "arktype with a made value",
      type("string").pipe((text) => text.length),
      "output",
      { "x-ekiben": { of: "arktype", type: "opaque" } },
    ],
  ];
  for (const [what, shape, side, expected] of cases) {
    it(`writes ${what}`, () => {
      assert.deepEqual(formOfShape(shape, side), expected);
    });
  }
});

describe("readContractForm", () => {
  it("reads what contractForm wrote", () => {
    assert.deepEqual(readContractForm(JSON.parse(JSON.stringify(form))), form);
  });

  const [plain] = form.apis;
  const deep = (depth: number): unknown => (depth === 0 ? {} : { items: deep(depth - 1) });
  const refused: readonly (readonly [what: string, value: unknown, problem: RegExp])[] = [
    ["nothing", null, /it is not an object/],
    ["a list", [], /it is not an object/],
    ["another version", { ...form, contract: 2 }, /version 2; this ekiben reads version 1/],
    ["a further field", { ...form, code: "x" }, /unknown field "code"/],
    ["a service without a name", { ...form, service: "" }, /at service: "" is no name/],
    ["a name that reaches a prototype", { ...form, service: "__proto__" }, /no name/],
    ["too many apis", { ...form, apis: Array.from({ length: 1001 }, () => plain) }, /1001 apis/],
    ["two apis of one name", { ...form, apis: [plain, plain] }, /the same name/],
    ["an unknown kind", { ...form, apis: [{ ...plain, kind: "x" }] }, /at apis\[0\]\.kind: it is "x"/],
    [
      "no output",
      { ...form, apis: [{ ...plain, output: undefined }] },
      /at apis\[0\]\.output: it is not a JSON Schema/,
    ],
    ["a type that is nested too deep", { ...form, apis: [{ ...plain, output: deep(70) }] }, /nested deeper than 64/],
    [
      "a type of too many values",
      { ...form, apis: [{ ...plain, output: { enum: Array(200_001).fill(1) } }] },
      /more than 200000 values/,
    ],
    [
      "a field that replaces a prototype",
      { ...form, apis: [{ ...plain, output: JSON.parse('{"__proto__":{"a":1}}') }] },
      /__proto__/,
    ],
    [
      "a value that is not JSON",
      { ...form, apis: [{ ...plain, output: { minimum: Number.NaN } }] },
      /JSON can't carry/,
    ],
  ];
  for (const [what, value, problem] of refused) {
    // RCF1, RCF2
    it(`refuses ${what}`, () => {
      assert.throws(() => readContractForm(value), { id: "invalid_contract_form", message: problem });
    });
  }
});

describe("serviceOfContract", () => {
  const made = serviceOfContract(form);

  it("makes a class that a graph may depend on, with the same contract", () => {
    const descriptor = compileService(made);
    assert.deepEqual(descriptor.faults, []);
    assert.equal(descriptor.name, "All");
    assert.deepEqual(contractForm(descriptor), form);
    const own = [...descriptor.apis.values()].map(({ name, kind, takesStream, route }) => [
      name,
      kind,
      takesStream,
      route,
    ]);
    assert.deepEqual(
      own.sort(),
      form.apis.map(({ name, kind, takesStream, route }) => [name, kind, takesStream, route]),
    );
  });

  it("can't run, and says where the code is", async () => {
    const instance = new made() as unknown as Record<string, (input?: unknown) => Promise<unknown>>;
    await assert.rejects(async () => instance["plain"]?.({}), {
      id: "contract_without_code",
      message: /All can't run here/,
    });
    assert.throws(() => (instance["start"] as () => void)(), { id: "contract_without_code", fix: /--at All=tls:/ });
  });
});
