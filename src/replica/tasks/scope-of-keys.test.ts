import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { scopeOfKeys } from "./scope-of-keys.js";

const scopeOf = (context: unknown, ...fields: string[]) => scopeOfKeys(context, fields);
const claims = { sub: "ann", iss: "id", exp: 1, iat: 1, jti: "a", roles: ["x", "y"] };

describe("scopeOfKeys", () => {
  it("is none without a context (SK1)", () => {
    assert.equal(scopeOf(undefined), undefined);
    assert.equal(scopeOf(undefined, "user"), undefined);
    for (const context of [null, "", 0, false, {}]) assert.match(scopeOf(context) as string, /^[\w-]{43}$/);
  });

  it("is one for equal contexts, in any order of fields, and another for all others (SK2)", () => {
    const contexts = [
      ...[null, "", "ann", "bob", ["ann"], {}, { user: "ann" }, { user: "bob" }, { user: ["ann"] }],
      ...[{ user: "ann", roles: ["a", "b"] }, { user: "ann", roles: ["b", "a"] }, { name: "ann" }],
    ];
    assert.equal(new Set(contexts.map((context) => scopeOf(context))).size, contexts.length);
    assert.equal(scopeOf({ a: 1, b: { c: 2, d: 3 } }), scopeOf({ b: { d: 3, c: 2 }, a: 1 }));
  });

  it("stays the same for a new token of a user (SK3)", () => {
    const later = { ...claims, exp: 2, iat: 2, jti: "b", nbf: 2, sid: "s" };
    assert.equal(scopeOf({ subject: "ann", claims }), scopeOf({ subject: "ann", claims: later }));
    assert.equal(scopeOf(claims), scopeOf(later), "claims that are the context itself");
    for (const other of [{ sub: "bob" }, { iss: "other" }, { roles: ["x"] }]) {
      assert.notEqual(scopeOf({ claims }), scopeOf({ claims: { ...later, ...other } }));
    }
  });

  it("counts the same names where they are no claims of a token: they may name the user", () => {
    assert.notEqual(scopeOf({ sid: "one" }), scopeOf({ sid: "two" }));
    assert.notEqual(scopeOf({ sub: "", exp: 1, sid: "one" }), scopeOf({ sub: "", exp: 1, sid: "two" }));
    assert.notEqual(scopeOf({ sub: "a", exp: "1", jti: "one" }), scopeOf({ sub: "a", exp: "1", jti: "two" }));
  });

  it("counts only the fields that are named, and the whole context where one of them is missing (SK2)", () => {
    const ann = { user: "ann", shop: { id: 7 }, at: 1 };
    assert.equal(scopeOf(ann, "user", "shop.id"), scopeOf({ ...ann, at: 2 }, "user", "shop.id"));
    assert.notEqual(scopeOf(ann, "user", "shop.id"), scopeOf({ ...ann, shop: { id: 8 } }, "user", "shop.id"));
    for (const lost of [{ user: null }, { user: "" }, { shop: {} }, { shop: "x" }]) {
      const [one, two] = [1, 2].map((at) => scopeOf({ ...ann, ...lost, at }, "user", "shop.id"));
      assert.notEqual(one, two, JSON.stringify(lost));
    }
    assert.notEqual(scopeOf({ fields: [["user", "ann"]] }), scopeOf({ user: "ann" }, "user"));
    assert.equal(scopeOf({ a: 1 }, "__proto__.x"), scopeOf({ a: 1 }));
  });
});
