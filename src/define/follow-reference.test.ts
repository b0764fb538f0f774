import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { followReference } from "./follow-reference.js";

describe("followReference", () => {
  const root = { $defs: { "a/b~c": { type: "string" }, list: [{ type: "null" }] } };

  it("finds the root, and what names and places lead to", () => {
    assert.equal(followReference("#", root), root);
    assert.deepEqual(followReference("#/$defs/a~1b~0c", root), { type: "string" });
    assert.deepEqual(followReference("#/$defs/list/0", root), { type: "null" });
  });

  it("finds nothing where there is nothing, or in another document", () => {
    for (const reference of ["#/$defs/x/y", "#/toString", "other.json#/$defs", ""]) {
      assert.equal(followReference(reference, root), undefined, reference);
    }
  });
});
