import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { api, task } from "../define/api.js";
import { compileService } from "../define/descriptor.js";
import { file } from "../define/file.js";
import { type Shape, stream } from "../define/schema.js";
import { Service, type ServiceHooks } from "../define/service.js";
import { tensor } from "../define/tensor-schema.js";
import { alternativesOf } from "./alternatives.js";
import { type ContractChange, compareContracts, judgeContract, rolloutOf } from "./compare-contracts.js";
import { type ContractForm, contractForm } from "./contract-form.js";
import { typeOf } from "./fold-type.js";

/** Contract of a service with these fields. */
function contractOf(fields: Readonly<Record<string, unknown>>, name = "Ranker"): ContractForm {
  class Made extends Service({ name }) {
    constructor() {
      super();
      Object.assign(this, fields);
    }
  }
  return contractForm(compileService(Made as unknown as new () => ServiceHooks));
}

const none = () => undefined as never;
const withInput = (input: Shape) => contractOf({ score: api({ input, output: z.string() }, none) });
const withOutput = (output: Shape) => contractOf({ score: api({ output }, none) });

/** Writes a change in one line: severity, place, order of rollout. */
const summarise = ({ severity, api: name, field, rollout }: ContractChange): string =>
  `${severity} ${[name, field].filter(Boolean).join(".")} (${rollout})`;

type Case = readonly [what: string, older: Shape, newer: Shape, expected: readonly string[]];

const point = z.object({ x: z.number(), y: z.number() });
type Tree = { readonly value: number | string; readonly children: readonly Tree[] };
const treeOf = (value: z.ZodType) => {
  const tree: z.ZodType<Tree> = z.object({ value, children: z.lazy(() => z.array(tree)) }) as never;
  return tree;
};

const inputs: readonly Case[] = [
  ["nothing new", point, z.object({ y: z.number(), x: z.number() }), []],
  [
    "a wider range",
    z.object({ n: z.int().max(10) }),
    z.object({ n: z.int().max(20) }),
    ["compatible score.input.n (callee first)"],
  ],
  [
    "a narrower range",
    z.object({ n: z.int().max(20) }),
    z.object({ n: z.int().max(10) }),
    ["breaking score.input.n (callers first)"],
  ],
  [
    "a moved range",
    z.object({ n: z.int().min(0).max(5) }),
    z.object({ n: z.int().min(3).max(9) }),
    ["breaking score.input.n (none)"],
  ],
  [
    "integer to number",
    z.object({ n: z.int() }),
    z.object({ n: z.number() }),
    ["compatible score.input.n (callee first)"],
  ],
  [
    "number to integer",
    z.object({ n: z.number() }),
    z.object({ n: z.int() }),
    ["breaking score.input.n (callers first)"],
  ],
  ["a field with a default", point, point.extend({ z: z.number().default(0) }), ["compatible score.input.z (any)"]],
  ["an optional field", point, point.extend({ z: z.number().optional() }), ["compatible score.input.z (any)"]],
  ["a required field", point, point.extend({ z: z.number() }), ["breaking score.input.z (callers first)"]],
  ["a field less, which is dropped", point, point.omit({ y: true }), ["compatible score.input.y (callee first)"]],
  [
    "a field less, which is refused",
    z.strictObject({ x: z.number(), y: z.number() }),
    z.strictObject({ x: z.number() }),
    ["breaking score.input.y (none)"],
  ],
  [
    "an optional field that callers may already send",
    z.looseObject({}),
    z.looseObject({ n: z.number().optional() }),
    ["breaking score.input.n (callers first)"],
  ],
  ["a field that is optional now", point, point.partial({ y: true }), ["compatible score.input.y (callee first)"]],
  [
    "one more member of an enum",
    z.enum(["a", "b"]),
    z.enum(["a", "b", "c"]),
    ["compatible score.input (callee first)"],
  ],
  ["one member less", z.enum(["a", "b", "c"]), z.enum(["a", "b"]), ["breaking score.input (callers first)"]],
  ["an enum that any text replaces", z.enum(["a", "b"]), z.string(), ["compatible score.input (callee first)"]],
  [
    "null as well",
    z.object({ n: z.number() }),
    z.object({ n: z.number().nullable() }),
    ["compatible score.input.n (callee first)"],
  ],
  ["a longer list", z.array(z.string()).max(3), z.array(z.string()).max(5), ["compatible score.input (callee first)"]],
  [
    "a shorter list of other items",
    z.array(z.string()).max(5),
    z.array(z.string().nullable()).max(3),
    ["breaking score.input (callers first)", "compatible score.input[] (callee first)"],
  ],
  [
    "a tuple with a further item",
    z.tuple([z.string()]),
    z.tuple([z.string(), z.number()]),
    ["breaking score.input (none)"],
  ],
  [
    "other values of a record",
    z.record(z.string(), z.int()),
    z.record(z.string(), z.string()),
    ["breaking score.input{} (none)"],
  ],
  [
    "a pattern",
    z.object({ id: z.string() }),
    z.object({ id: z.string().regex(/^[a-z]+$/) }),
    ["breaking score.input.id (callers first)"],
  ],
  [
    "a format",
    z.object({ mail: z.string() }),
    z.object({ mail: z.email() }),
    ["breaking score.input.mail (callers first)"],
  ],
  [
    "text in place of a number",
    z.object({ n: z.number() }),
    z.object({ n: z.string() }),
    ["breaking score.input.n (none)"],
  ],
  [
    "text in place of a date",
    z.object({ at: z.date() }),
    z.object({ at: z.string() }),
    ["breaking score.input.at (none)"],
  ],
  [
    "a further member of a union",
    z.discriminatedUnion("kind", [z.object({ kind: z.literal("a") })]),
    z.discriminatedUnion("kind", [z.object({ kind: z.literal("a") }), z.object({ kind: z.literal("b") })]),
    ["compatible score.input (callee first)"],
  ],
  [
    "a field of one member of a union",
    z.discriminatedUnion("kind", [z.object({ kind: z.literal("a") }), z.object({ kind: z.literal("b"), n: z.int() })]),
    z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("a") }),
      z.object({ kind: z.literal("b"), n: z.string() }),
    ]),
    ["breaking score.input.n (none)"],
  ],
  [
    "a union written as one object",
    z.union([z.object({ kind: z.literal("a") }), z.object({ kind: z.literal("b") })]),
    z.object({ kind: z.enum(["a", "b"]) }),
    [],
  ],
  [
    "a recursive type, wider",
    treeOf(z.number()),
    treeOf(z.union([z.number(), z.string()])),
    ["compatible score.input.value (callee first)"],
  ],
  [
    "a recursive type, unrolled once",
    treeOf(z.number()),
    z.object({ value: z.number(), children: z.array(treeOf(z.number())) }),
    [],
  ],
  [
    "an intersection, written as one object",
    z.intersection(z.object({ a: z.string() }), z.object({ b: z.date() })),
    z.object({ a: z.string(), b: z.date() }),
    [],
  ],
  ["another element type", tensor("float32", ["n", 3]), tensor("int32", ["n", 3]), ["breaking score.input (none)"]],
  [
    "a fixed size that is free now",
    tensor("float32", [1, 3]),
    tensor("float32", ["n", 3]),
    ["compatible score.input (callee first)"],
  ],
  [
    "a free size that is fixed now",
    tensor("float32", ["n", 3]),
    tensor("float32", [8, 3]),
    ["breaking score.input (callers first)"],
  ],
  ["a further axis", tensor("float32", ["n"]), tensor("float32", ["n", "m"]), ["breaking score.input (none)"]],
  [
    "a size with another name",
    { a: tensor("float32", ["n"]), b: tensor("uint8", ["n"]) },
    { a: tensor("float32", ["k"]), b: tensor("uint8", ["k"]) },
    [],
  ],
  [
    "sizes that must be equal now",
    { a: tensor("float32", ["n"]), b: tensor("uint8", ["m"]) },
    { a: tensor("float32", ["n"]), b: tensor("uint8", ["n"]) },
    ["breaking score.input.b (callers first)"],
  ],
  [
    "sizes that may differ now",
    { a: tensor("float32", ["n"]), b: tensor("uint8", ["n"]) },
    { a: tensor("float32", ["n"]), b: tensor("uint8", ["m"]) },
    ["compatible score.input.b (callee first)"],
  ],
  [
    "further types of files",
    file({ contentType: "image/png" }),
    file({ contentType: "image/*" }),
    ["compatible score.input (callee first)"],
  ],
  ["smaller files", file(), file({ maxBytes: 100 }), ["breaking score.input (callers first)"]],
  [
    "the same function of the author",
    z.object({ id: z.string().refine(() => true) }),
    z.object({ id: z.string().refine(() => true) }),
    [],
  ],
  [
    "a function of the author",
    z.object({ id: z.string() }),
    z.object({ id: z.string().refine(() => true) }),
    ["unknown score.input.id (callers first)"],
  ],
  [
    "a required field beside a function of the author",
    point.refine(() => true),
    point.extend({ z: z.number() }).refine(() => true),
    ["breaking score.input.z (callers first)"],
  ],
];

const outputs: readonly Case[] = [
  ["a field more", point, point.extend({ z: z.number() }), ["compatible score.output.z (callee first)"]],
  ["a field less", point, point.omit({ y: true }), ["breaking score.output.y (callers first)"]],
  ["a field that may be absent now", point, point.partial({ y: true }), ["breaking score.output.y (callers first)"]],
  ["a field with a default", point, z.object({ x: z.number(), y: z.number().default(1) }), []],
  ["a narrower range", z.number(), z.number().min(0), ["compatible score.output (callee first)"]],
  ["a further member of an enum", z.enum(["a"]), z.enum(["a", "b"]), ["breaking score.output (callers first)"]],
  ["null as well", z.string(), z.string().nullable(), ["breaking score.output (callers first)"]],
  ["nothing as well", z.string(), z.string().optional(), ["breaking score.output (callers first)"]],
  ["a free size", tensor("float32", [4]), tensor("float32", ["n"]), ["breaking score.output (callers first)"]],
  ["another function of the author", z.string().transform(Number), z.string().transform((text) => text.length), []],
];

describe("compareContracts", () => {
  for (const [what, older, newer, expected] of inputs) {
    it(`judges an input with ${what}`, () => {
      assert.deepEqual(compareContracts(withInput(older), withInput(newer)).map(summarise), expected);
    });
  }

  for (const [what, older, newer, expected] of outputs) {
    it(`judges an output with ${what}`, () => {
      assert.deepEqual(compareContracts(withOutput(older), withOutput(newer)).map(summarise), expected);
    });
  }

  it("names both types and a value that shows the break", () => {
    const [change] = compareContracts(
      withInput(z.object({ n: z.int().min(0) })),
      withInput(z.object({ n: z.int().min(0).max(9) })),
    );
    assert.deepEqual(change, {
      ...{ service: "Ranker", api: "score", field: "input.n", from: "integer >= 0", to: "integer >= 0 and <= 9" },
      ...{ severity: "breaking", breaks: ["old callers"], unsure: [], rollout: "callers first", example: '{"n":10}' },
    });
  });

  it("compares a size of the output with one of the input", () => {
    const make = (size: string) =>
      contractOf({
        score: api({ input: { a: tensor("float32", ["n"]) }, output: { b: tensor("float32", [size]) } }, none),
      });
    assert.deepEqual(compareContracts(make("n"), make("m")).map(summarise), [
      "breaking score.output.b (callers first)",
    ]);
    assert.deepEqual(compareContracts(make("m"), make("n")).map(summarise), [
      "compatible score.output.b (callee first)",
    ]);
  });

  it("judges apis that come, go, change their name or their kind", () => {
    const text = { input: z.string(), output: z.string() };
    const older = contractOf({
      a: api(text, none),
      b: api({ output: z.number() }, none),
      c: api(text, none),
      d: api({ ...text, idempotent: true }, none),
    });
    const newer = contractOf({
      a: task(text, none),
      b2: api({ output: z.number() }, none),
      c: api({ input: stream(z.string()), output: z.string() }, none),
      d: api(text, none),
    });
    const changes = compareContracts(older, newer);
    assert.deepEqual(changes.map(summarise), [
      "breaking a (none)",
      "breaking b (callers first)",
      "compatible b2 (callee first)",
      "breaking c.input (none)",
      "breaking d.idempotent (callers first)",
    ]);
    assert.equal(changes[1]?.to, "absent; b2 has the same types");
    assert.equal(rolloutOf(changes), "none");
  });

  it("keeps the tasks of the older version in mind", () => {
    const make = (input: z.ZodType, output: z.ZodType) => contractOf({ run: task({ input, output }, none) });
    const [input] = compareContracts(make(z.number(), z.string()), make(z.int(), z.string()));
    assert.deepEqual(input?.breaks, ["old callers", "stored tasks"]);
    const [output] = compareContracts(make(z.number(), z.number()), make(z.number(), z.int()));
    assert.deepEqual(
      [output?.severity, output?.breaks, output?.rollout],
      ["breaking", ["new callers", "stored tasks"], "none"],
    );
  });

  it("compares items of streams, and inputs that come or go", () => {
    const streams = (item: z.ZodType, yields: z.ZodType) =>
      contractOf({ s: api({ input: stream(item), yields }, none) });
    assert.deepEqual(compareContracts(streams(z.number(), z.number()), streams(z.int(), z.int())).map(summarise), [
      "breaking s.input[] (callers first)",
      "compatible s.yields (callee first)",
    ]);
    const bare = contractOf({ score: api({ output: z.string() }, none) });
    assert.deepEqual(compareContracts(bare, withInput(z.string())).map(summarise), ["breaking score.input (none)"]);
    assert.deepEqual(compareContracts(bare, withInput(z.string().optional())).map(summarise), [
      "compatible score.input (callee first)",
    ]);
  });

  it("compares HTTP paths only where callers use them", () => {
    const make = (route: string) => contractOf({ score: api({ output: z.string(), route }, none) });
    assert.deepEqual(compareContracts(make("/a"), make("/b")), []);
    assert.deepEqual(compareContracts(make("/a"), make("/b"), { comparesRoutes: true }).map(summarise), [
      "breaking score.route (none)",
    ]);
  });
});

describe("judgeContract", () => {
  it("refuses only what the apis of the caller can't live with", () => {
    const caller = withInput(z.object({ n: z.int() }));
    const callee = contractOf({
      score: api({ input: z.object({ n: z.number() }), output: z.string() }, none),
      other: api({ output: z.string() }, none),
    });
    assert.deepEqual(judgeContract(caller, callee), []);
    const [change] = judgeContract(withInput(z.object({ n: z.number() })), withInput(z.object({ n: z.int() })));
    assert.deepEqual([change?.api, change?.field, change?.from, change?.to], ["score", "input.n", "number", "integer"]);
    assert.deepEqual(judgeContract(contractOf({ gone: api({ output: z.string() }, none) }), callee).map(summarise), [
      "breaking gone (callers first)",
    ]);
  });

  // TV2
  it("runs no pattern of a peer", () => {
    const slow = (pattern: string) => {
      const form = withInput(z.object({ id: z.string() }));
      return JSON.parse(
        JSON.stringify(form).replace('{"type":"string"}', JSON.stringify({ type: "string", pattern })),
      ) as ContractForm;
    };
    assert.deepEqual(judgeContract(slow("^(a+)+$"), slow("^((a+)+)+b$")), []);
    const [change] = compareContracts(slow("^(a+)+$"), slow("^b$"));
    assert.equal(change?.severity, "breaking");
  });

  // ALT2, IS2
  it("ends in bounded time for types that unfold without end", () => {
    const members = (depth: number): unknown =>
      depth === 0
        ? { type: "string" }
        : { allOf: [0, 1].map(() => ({ anyOf: [members(depth - 1), { type: "number" }] })) };
    const endless = {
      $defs: { t0: { anyOf: [{ $ref: "#/$defs/t0" }, { allOf: [{ $ref: "#/$defs/t0" }, { $ref: "#" }] }] } },
      $ref: "#/$defs/t0",
    };
    for (const type of [members(8), endless] as Record<string, unknown>[]) {
      const caller = withInput(z.any());
      const [own] = caller.apis;
      const callee = { ...caller, apis: [{ ...own, input: type }] } as ContractForm;
      assert.ok(Array.isArray(judgeContract(caller, callee)));
      assert.ok(alternativesOf(typeOf(type)).length <= 100);
    }
  });
});
