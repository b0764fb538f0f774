import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { rebaseRefs } from "./schema.js";

describe("rebaseRefs", () => {
  it("moves the references of schemas, wherever schemas stand", () => {
    const own = { $ref: "#/$defs/a" };
    const moved = { $ref: "#/properties/x/$defs/a" };
    const create = (inner: object) => ({
      $defs: { a: { type: "string" }, b: inner },
      definitions: { c: inner },
      properties: { $ref: inner, list: { items: inner, prefixItems: [inner, true] } },
      patternProperties: { "^a": inner },
      anyOf: [inner, { not: inner }],
      items: [inner],
      additionalProperties: inner,
    });
    assert.deepEqual(rebaseRefs(create(own), "#/properties/x"), create(moved));
    assert.deepEqual(rebaseRefs({ $ref: "#" }, "#/items"), { $ref: "#/items" });
  });

  it("leaves alone what only looks like one, and references that lead out of the schema or to an anchor", () => {
    const schema = {
      default: { $ref: "#/$defs/a" },
      examples: [{ properties: { a: { $ref: "#/x" } } }],
      const: { $ref: "#" },
      enum: [{ $ref: "#/y" }],
      properties: { far: { $ref: "https://example.com/a.json#/b" }, near: { $ref: "#node" } },
    };
    assert.deepEqual(rebaseRefs(schema, "#/items"), schema);
  });
});
