import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readHeaders } from "./handle-request.js";

describe("headers of a request", () => {
  it("are texts under names in lower case, however they came or were set", () => {
    const given = { host: "x", "set-cookie": ["a=1", "b=2"], "X-Count": 5, "x-on": true, constructor: "c", "x-é": "ÿ" };
    const expected = {
      host: "x",
      "set-cookie": "a=1, b=2",
      "x-count": "5",
      "x-on": "true",
      constructor: "c",
      "x-é": "ÿ",
    };
    assert.deepEqual(readHeaders(given), expected);
  });

  it("lose what was taken away, and follow what was set last under the same name", () => {
    assert.deepEqual(readHeaders({ "x-user": "client's", "X-User": "hook's", a: "1", b: "2", B: null, A: undefined }), {
      "x-user": "hook's",
    });
  });

  it("are an object of their own, which nobody can change", () => {
    const given: Record<string, string> = { a: "1" };
    const headers = readHeaders(given);
    given["a"] = "2";
    given["b"] = "3";
    assert.deepEqual(headers, { a: "1" });
    assert.equal(Object.isFrozen(headers), true);
    assert.equal(Object.isFrozen(given), false);
  });

  it("are refused, by name, where a hook set what is no text", () => {
    for (const value of [{ id: 1 }, [{ id: 1 }], () => 1, Symbol("s")]) {
      assert.throws(() => readHeaders({ "x-user": value }), { id: "header_not_text", message: /x-user/ });
    }
  });
});
