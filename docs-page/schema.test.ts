import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { readApis, readTaskPaths } from "./documented-api.js";
import { sample } from "./sample.js";
import { resolve, type Schema, setDocument } from "./schema.js";
import { notesOf, typeWords } from "./schema-words.js";

afterEach(() => setDocument({}));

describe("resolve", () => {
  it("follows references and merges the parts of allOf", () => {
    setDocument({ $defs: { "a/b": { type: "object", properties: { x: { type: "string" } }, required: ["x"] } } });
    const merged = resolve<Schema>({ allOf: [{ $ref: "#/$defs/a~1b" }, { properties: { y: {} }, required: ["y"] }] });
    assert.deepEqual(Object.keys(merged.properties ?? {}), ["x", "y"]);
    assert.deepEqual(merged.required, ["x", "y"]);
    assert.equal(merged.type, "object");
  });

  it("ends at a reference to itself and at one to nowhere", () => {
    setDocument({ loop: { $ref: "#/loop" } });
    assert.ok(resolve({ $ref: "#/loop" }));
    assert.deepEqual(resolve({ $ref: "#/nowhere" }), {});
  });
});

describe("typeWords", () => {
  it("writes schemas as types", () => {
    assert.equal(
      typeWords({ type: "array", items: { anyOf: [{ type: "string" }, { type: "null" }] } }),
      "(string | null)[]",
    );
    assert.equal(typeWords({ enum: ["a", 1] }), '"a" | 1');
    assert.equal(typeWords({ title: "float32[n, 2]" }), "float32[n, 2]");
    assert.equal(typeWords({ type: "object", additionalProperties: { type: "number" } }), "{ [key]: number }");
    assert.equal(typeWords({ type: "array", prefixItems: [{ type: "string" }, {}] }), "[string, any]");
    assert.equal(typeWords({ format: "binary" }), "file");
  });

  it("ends in a schema that contains itself", () => {
    setDocument({ tree: { type: "array", items: { $ref: "#/tree" } } });
    assert.equal(typeWords({ $ref: "#/tree" }), "…[][][][][][]");
  });
});

describe("notesOf", () => {
  it("lists bounds, and drops those of every integer", () => {
    assert.deepEqual(notesOf({ type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER }), ["≥ 1"]);
    assert.deepEqual(notesOf({ type: "array", minItems: 2, maxItems: 2, items: { type: "string", maxLength: 1 } }), [
      "exactly 2 items",
      "each at most 1 character",
    ]);
  });
});

describe("sample", () => {
  it("makes a value that fits", () => {
    const schema = {
      type: "object",
      required: ["mail", "count", "rows", "image"],
      properties: {
        mail: { type: "string", format: "email" },
        count: { type: "integer", exclusiveMinimum: 4 },
        rows: { type: "array", minItems: 2, items: { enum: ["x", "y"] } },
        image: { title: "uint8[2,n]" },
        note: { type: "string" },
      },
    };
    const zeros = [0, 0];
    assert.deepEqual(sample(schema), { mail: "name@example.com", count: 5, rows: ["x", "x"], image: [zeros, zeros] });
    assert.deepEqual(sample({ title: "float32[300]" }), {
      dtype: "float32",
      shape: [300],
      data: Buffer.alloc(1200).toString("base64"),
    });
  });
});

describe("readApis", () => {
  const media = { "application/json": { schema: {} } };
  const train = { operationId: "train", "x-ekiben-kind": "task", responses: { 200: { content: media } } };
  const document = { paths: { "/train": { post: train }, "/train/submit": { post: { "x-ekiben-task-of": "train" } } } };

  it("lists apis, and the paths of a task beside its api", () => {
    const apis = readApis(document);
    assert.deepEqual(
      apis.map(({ name, path, isTask, answers }) => ({ name, path, isTask, answers })),
      [{ name: "train", path: "/train", isTask: true, answers: media }],
    );
    assert.deepEqual(
      apis.flatMap((api) => readTaskPaths(document, api)).map(({ path, method }) => `${method} ${path}`),
      ["post /train/submit"],
    );
  });
});
