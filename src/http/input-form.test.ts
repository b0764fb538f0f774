import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import type { JsonSchema } from "../define/schema.js";
import { createInputForm, InnerPlaces, readPartPath } from "./input-form.js";

/** Schema of a tree of unions, which counts how often its fields are read. */
class CountedSchema {
  reads = 0;
  readonly json: JsonSchema;

  constructor(members: number) {
    const count = <T extends object>(value: T): T =>
      new Proxy(value, {
        get: (target, name) => {
          if (typeof name === "string") this.reads++;
          return Reflect.get(target, name);
        },
      });
    const node = { $ref: "#/$defs/node" };
    const branch = () => count({ type: "object", properties: { a: count({ ...node }), b: count({ ...node }) } });
    const anyOf = Array.from({ length: members }, branch);
    this.json = count({
      type: "object",
      properties: { node: count({ ...node }) },
      $defs: { node: count({ anyOf }) },
    });
  }
}

const form = createInputForm(z.object({ node: z.any() }));

/** Paths of 63 steps, no two alike. */
const pathsOf = (count: number) =>
  Array.from({ length: count }, (_, i) => {
    const steps = Array.from({ length: 62 }, (__, at) => ((i >> (at % 16)) & 1 ? "a" : "b"));
    return `node.${steps.join(".")}`;
  });

describe("readPartPath", () => {
  it("reads each part of the schema once, however many names come and whatever they are", () => {
    for (const members of [1, 10]) {
      const counted = new CountedSchema(members);
      const input = { ...form, places: new InnerPlaces(counted.json) };
      const read = (names: readonly string[]) => {
        counted.reads = 0;
        for (const name of names) assert.equal(readPartPath(input, name)?.steps.length, 63);
        return counted.reads;
      };
      const first = read(pathsOf(2));
      assert.ok(first > 0);
      // The other steps of the tree, once; then none.
      read(pathsOf(1_000));
      assert.equal(read(pathsOf(1_000)), 0, `${members} members`);
    }
  });

  it("finds the same place for names that no branch knows, and for items after the first ones", () => {
    const schema = {
      type: "object",
      properties: {
        node: {
          anyOf: [
            { type: "object", additionalProperties: { type: "string" } },
            { type: "object", properties: { known: { title: "file", type: "object" } } },
            { type: "array", prefixItems: [{ type: "number" }], items: { type: "string" } },
          ],
        },
      },
    };
    const places = new InnerPlaces(schema);
    const kindOf = (name: string) => readPartPath({ ...form, places }, name)?.form.kind;
    for (let i = 0; i < 3; i++) {
      const kinds = ["node.one", "node.__proto__", "node.toString", "node.known", "node[0]", "node[1]", "node[7]"].map(
        kindOf,
      );
      assert.deepEqual(kinds, ["text", "text", "text", "unsure", "json", "text", "text"]);
      assert.equal(kindOf("node.one.more"), undefined);
    }
    const node = places.follow(places.root, "node");
    assert.ok(node !== undefined);
    assert.equal(places.follow(node, "one"), places.follow(node, "two"));
    assert.equal(places.follow(node, 1), places.follow(node, 9_999));
    assert.deepEqual([...node.next.keys()].length, 4, "one, known, [0] and [1]");
  });
});
