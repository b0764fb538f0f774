import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServingError } from "../failure/serving-error.js";
import { parseJson } from "./parse-json.js";

const refuses = (text: string, id: string, pattern: RegExp, maxDepth = 8) =>
  assert.throws(
    () => parseJson(text, maxDepth),
    (error) => error instanceof ServingError && error.id === id && pattern.test(error.message),
    text.slice(0, 60),
  );

describe("parseJson", () => {
  it("reads what JSON.parse reads", () => {
    const texts = ["1", '"a"', "null", "[]", '{"a":[1,{"b":null}]}', ' {"constructor":1} ', '{"a":"__proto__"}'];
    for (const text of texts) assert.deepEqual(parseJson(text, 8), JSON.parse(text));
  });

  it("refuses what is no JSON, and says where", () => {
    for (const text of ["", "{", "NaN", "[1,]", "{'a':1}", "// x\n1", "undefined"]) {
      refuses(text, "invalid_json", /is not JSON: /);
    }
  });

  it("refuses keys that could reach a prototype, however they are spelt and wherever they are", () => {
    refuses('{"__proto__":{"a":1}}', "forbidden_key", /__proto__/);
    refuses('[{"a":{"__proto__":1}}]', "forbidden_key", /__proto__/);
    refuses(String.raw`{"\u005f_proto__":{}}`, "forbidden_key", /__proto__/);
    refuses(String.raw`{"__\u0070roto__":{}}`, "forbidden_key", /__proto__/);
    refuses('{"constructor":{"prototype":{"a":1}}}', "forbidden_key", /constructor\.prototype/);
    refuses(String.raw`{"constr\u0075ctor":{"prototype":{}}}`, "forbidden_key", /constructor\.prototype/);
    assert.equal(({} as { a?: unknown }).a, undefined);
  });

  it("refuses numbers that would become infinite, and says where", () => {
    refuses("1e999", "invalid_json", /at its root is too large/);
    refuses(`[${"9".repeat(400)}]`, "invalid_json", /at \[0\] is too large/);
    refuses('{"a":[1,{"b":-1E+400}]}', "invalid_json", /at a\[1\]\.b is too large/);
    assert.deepEqual(parseJson('[1e300, 1e-999, "1e999", "e123"]', 8), [1e300, 0, "1e999", "e123"]);
  });

  it("counts levels, not brackets, and none inside strings", () => {
    assert.equal((parseJson("[[[[[[[[]]]]]]]]", 8) as unknown[]).length, 1);
    assert.equal((parseJson(`[${"[],".repeat(100)}[]]`, 8) as unknown[]).length, 101);
    const text = '["[[[[[[[[[[", "\\"[[[[[[[[[[", "\\\\", {"{{{{{{{{{{": "\\\\\\"{{{{{{"}]';
    assert.deepEqual(parseJson(text, 8), JSON.parse(text));
    refuses("[[[[[[[[[]]]]]]]]]", "body_too_deep", /more than 8 levels/);
    refuses('{"a":[{"a":[{"a":[{"a":[{}]}]}]}]}', "body_too_deep", /more than 8 levels/);
  });

  it("refuses a million levels without parsing them", () => {
    refuses("[".repeat(1_000_000), "body_too_deep", /levels deep/);
    refuses('{"a":'.repeat(1_000_000), "body_too_deep", /levels deep/);
  });
});
