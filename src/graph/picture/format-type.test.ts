import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { shapeJsonSchema } from "../../define/contract.js";
import { file } from "../../define/file.js";
import type { Shape } from "../../define/schema.js";
import { tensor } from "../../define/tensor-schema.js";
import { formatType } from "./format-service.js";

const words = (shape: Shape, maxLength?: number) => formatType(shapeJsonSchema(shape, "output"), maxLength);

describe("formatType", () => {
  it("says the types that models speak in", () => {
    assert.equal(words(tensor("float32", ["n", 64])), "float32[n, 64]");
    assert.equal(words(tensor("int64", [])), "int64[]");
    assert.equal(words(file({ contentType: "image/png" })), "file");
    assert.equal(words(z.instanceof(Uint8Array)), "bytes");
    assert.equal(words(z.object({ at: z.array(z.date()) })), "{ at }");
    assert.equal(words(z.array(z.optional(file()))), "file[]");
    assert.equal(words(z.map(z.string(), z.date())), "map");
    assert.equal(words({ image: file(), threshold: z.number().optional() }), "{ image, threshold? }");
  });

  it("says plain types, lists, tuples, records and unions", () => {
    assert.equal(words(z.string()), "string");
    assert.equal(words(z.int()), "integer");
    assert.equal(words(z.array(z.array(z.number()))), "number[][]");
    assert.equal(words(z.array(z.object({ label: z.string(), score: z.number() }))), "{ label, score }[]");
    assert.equal(words(z.tuple([z.string(), z.number()])), "[string, number]");
    assert.equal(words(z.record(z.string(), z.boolean())), "{ [key]: boolean }");
    assert.equal(words(z.enum(["a", "b"])), '"a" | "b"');
    assert.equal(words(z.array(z.enum(["a", "b"]))), '("a" | "b")[]');
    assert.equal(words(z.string().nullable()), "string | null");
    assert.equal(words(z.literal(3)), "3");
    assert.equal(words(z.enum(["a", "b", "c", "d", "e"])), '"a" | "b" | "c" | "d" | …');
  });

  it("reads the schemas of other libraries, and says any for what has no JSON Schema", () => {
    assert.equal(words(type({ text: "string", "lang?": "string" })), "{ text, lang? }");
    assert.equal(words(v.string()), "any");
    assert.equal(words(z.any()), "any");
  });

  it("follows references, also circular ones", () => {
    const tree: z.ZodType = z.object({ name: z.string(), children: z.lazy(() => z.array(tree)) });
    assert.equal(words(tree), "{ name, children }");
    const list: z.ZodType = z.lazy(() => z.array(list));
    assert.match(words(list), /\[\]$/);
    const node = z.object({ id: z.string() }).meta({ id: "Node" });
    assert.equal(words(z.array(node)), "{ id }[]");
    const nested = {
      type: "array",
      items: { $ref: "#/$defs/a/$defs/b" },
      $defs: { a: { $defs: { b: { type: "string" } } } },
    };
    assert.equal(formatType(nested), "string[]");
    assert.equal(formatType({ $ref: "#/$defs/missing" }), "any");
  });

  it("cuts long words at a whole field and closes what it opened", () => {
    const wide = z.object({ first: z.string(), second: z.string(), third: z.string(), fourth: z.string() });
    assert.equal(words(wide, 24), "{ first, second, … }");
    assert.equal(words(z.array(wide), 24), "{ first, second, … }[]");
    assert.ok(words(z.literal("x".repeat(100)), 20).length <= 20);
  });
});
