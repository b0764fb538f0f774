import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as v from "valibot";
import { z } from "zod";
import { acceptsNow, rebaseRefs } from "./schema.js";

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

describe("acceptsNow", () => {
  it("is true for a value that fits, and false for one that does not or that can't be told at once", async () => {
    const unheard: unknown[] = [];
    const hear = (error: unknown) => unheard.push(error);
    process.on("unhandledRejection", hear);
    try {
      assert.deepEqual(
        [acceptsNow(z.string(), "a"), acceptsNow(z.string(), 1), acceptsNow({}, 1)],
        [true, false, false],
      );
      const later = v.pipeAsync(
        v.string(),
        v.checkAsync(async () => {
          throw new Error("no database");
        }),
      );
      assert.equal(acceptsNow(later, "a"), false);
      await new Promise(setImmediate);
      await new Promise(setImmediate);
    } finally {
      process.off("unhandledRejection", hear);
    }
    assert.deepEqual(unheard, []);
  });
});
