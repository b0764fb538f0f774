import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { shapeJsonSchema } from "../define/contract.js";
import { file } from "../define/file.js";
import type { Shape } from "../define/schema.js";
import { isTensor, Tensor } from "../define/tensor.js";
import { tensor } from "../define/tensor-schema.js";
import { reviveValue } from "./encode-input.js";

const encoded = { dtype: "float32", shape: [2], data: "AACAPwAAAEA=" };
const expected = new Tensor("float32", [2], new Float32Array([1, 2]));
const revive = (value: unknown, shape: Shape) => reviveValue(structuredClone(value), shapeJsonSchema(shape, "output"));

describe("reviveValue", () => {
  it("makes tensors where the schema has them, from the form that the client asks for", () => {
    assert.deepEqual(revive(encoded, tensor("float32", ["n"])), expected);
    assert.deepEqual(revive({ scores: encoded, label: "x" }, { scores: tensor("float32", ["n"]), label: z.string() }), {
      scores: expected,
      label: "x",
    });
    const seven = { dtype: "int64", shape: [], data: "BwAAAAAAAAA=" };
    const scalar = revive(seven, tensor("int64", [])) as Tensor<"int64">;
    assert.deepEqual([scalar.shape, scalar.data[0]], [[], 7n]);
    assert.throws(() => revive([1, 2], tensor("float32", [2])), /expected a tensor: nested arrays, or/);
  });

  it("makes files where the schema has them", async () => {
    const value = { name: "a.txt", contentType: "text/plain", data: "aGk=" };
    const { text } = revive({ text: value }, { text: file() }) as { text: File };
    assert.ok(text instanceof File);
    assert.deepEqual([text.name, text.type, await text.text()], ["a.txt", "text/plain", "hi"]);
  });

  it("leaves an object alone that only looks like a tensor, where the schema says what it is", () => {
    const plain = z.object({ dtype: z.string(), shape: z.array(z.number()), data: z.string() });
    assert.deepEqual(revive(encoded, plain), encoded);
    assert.equal(isTensor(revive(encoded, plain)), false);
  });

  it("makes tensors where the schema says nothing and the form is unmistakable", () => {
    const value = { list: [encoded, { ...encoded, extra: 1 }], odd: { ...encoded, dtype: "complex64" } };
    const revived = revive(value, z.any()) as typeof value;
    assert.deepEqual(revived.list[0], expected);
    assert.deepEqual(revived.list[1], value.list[1]);
    assert.deepEqual(revived.odd, value.odd);
    assert.deepEqual(revive({ a: encoded }, z.record(z.string(), z.any())), { a: expected });
  });

  it("follows unions, lists, tuples and references", () => {
    const vector = { title: "float32[n]" };
    const either = { anyOf: [{ title: "int64[n]" }, vector, { type: "null" }] };
    const node = {
      type: "object",
      properties: { value: { $ref: "#/$defs/a~1b" }, next: { anyOf: [{ $ref: "#" }, { type: "null" }] } },
      $defs: { "a/b": vector },
    };
    assert.deepEqual(reviveValue(structuredClone(encoded), either), expected);
    assert.equal(reviveValue(null, either), null);
    assert.deepEqual(reviveValue([structuredClone(encoded)], { type: "array", items: either }), [expected]);
    const tuple = { type: "array", prefixItems: [{ type: "string" }, vector] };
    assert.deepEqual(reviveValue(["a", structuredClone(encoded)], tuple), ["a", expected]);
    const chain = { value: structuredClone(encoded), next: { value: structuredClone(encoded), next: null } };
    assert.deepEqual(reviveValue(chain, node), { value: expected, next: { value: expected, next: null } });
  });

  it("refuses a tensor whose shape lies, but for unions, where another branch may be meant", () => {
    const lying = { ...encoded, shape: [1e8, 0] };
    assert.throws(() => revive(lying, tensor("float32", ["n", "m"])), /it has an invalid tensor: data|needs|rows/);
    assert.throws(
      () => revive({ scores: { ...encoded, shape: [3] } }, { scores: tensor("float32", ["n"]) }),
      /needs 3/,
    );
    assert.deepEqual(reviveValue(lying, { anyOf: [{ title: "float32[n, m]" }, { type: "object" }] }), lying);
    const referring = { anyOf: [{ $ref: "#/$defs/v" }, { type: "null" }], $defs: { v: { title: "float32[n]" } } };
    assert.equal(reviveValue(null, referring), null);
  });

  it("gives plain answers as they are", () => {
    const value = { label: "cat", scores: [0.5, 0.25], box: null };
    const schema = z.object({ label: z.string(), scores: z.array(z.number()), box: z.string().nullable() });
    assert.deepEqual(revive(value, schema), value);
    const list = [1, 2, 3];
    assert.equal(reviveValue(list, { type: "array", items: { type: "number" } }), list);
  });

  it("takes a key __proto__ for only a key", () => {
    const value: unknown = JSON.parse(`{"__proto__":${JSON.stringify(encoded)}}`);
    const revived = reviveValue(value, {}) as object;
    assert.equal(Object.getPrototypeOf(revived), Object.prototype);
    assert.ok(isTensor(Object.getOwnPropertyDescriptor(revived, "__proto__")?.value));
  });
});
