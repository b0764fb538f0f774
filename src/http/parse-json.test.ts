import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServingError } from "../failure/serving-error.js";
import { parseJson } from "./json-slices.js";

const limits = { maxBodyDepth: 8, maxBodyValues: 1e6 };
const refuses = (text: string, id: string, pattern: RegExp, maxBodyDepth = 8) =>
  assert.throws(
    () => parseJson(text, { maxBodyDepth, maxBodyValues: 1e6 }),
    (error) => error instanceof ServingError && error.id === id && pattern.test(error.message),
    text.slice(0, 60),
  );

describe("parseJson", () => {
  it("reads what JSON.parse reads", () => {
    const texts = ["1", '"a"', "null", "[]", '{"a":[1,{"b":null}]}', ' {"constructor":1} ', '{"a":"__proto__"}'];
    for (const text of texts) assert.deepEqual(parseJson(text, limits), JSON.parse(text));
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
    assert.deepEqual(parseJson('[1e300, 1e-999, "1e999", "e123"]', limits), [1e300, 0, "1e999", "e123"]);
  });

  it("refuses integers that would arrive as other ones, and says where and what to do", () => {
    refuses("9007199254740993", "inexact_number", /9007199254740993 at its root would arrive as another one/);
    refuses('{"a":[1,{"b":-4634343214213523454}]}', "inexact_number", /-4634343214213523454 at a\[1\]\.b would/);
    refuses(`["x:[{",{"k\\"":"9007199254740993","id":${"1".repeat(300)}}]`, "inexact_number", /1… at \[1\]\.id would/);
    // What is exact, what JavaScript itself writes for a double, and fractions, which are rounded everywhere.
    const texts = [
      "9007199254740992",
      "-9007199254740994",
      `1${"0".repeat(22)}`,
      "18446744073709551616",
      "4634343214213523000",
    ];
    texts.push(
      '"9007199254740993"',
      "1.2345678901234567e18",
      "9007199254740993.0",
      `0.${"1".repeat(40)}`,
      "1e-400",
      "-0",
      "1e22",
    );
    for (const text of texts) assert.ok(Object.is(parseJson(text, limits), JSON.parse(text)), text);
  });

  it("counts levels, not brackets, and none inside strings", () => {
    assert.equal((parseJson("[[[[[[[[]]]]]]]]", limits) as unknown[]).length, 1);
    assert.equal((parseJson(`[${"[],".repeat(100)}[]]`, limits) as unknown[]).length, 101);
    const text = '["[[[[[[[[[[", "\\"[[[[[[[[[[", "\\\\", {"{{{{{{{{{{": "\\\\\\"{{{{{{"}]';
    assert.deepEqual(parseJson(text, limits), JSON.parse(text));
    refuses("[[[[[[[[[]]]]]]]]]", "body_too_deep", /more than 8 levels/);
    refuses('{"a":[{"a":[{"a":[{"a":[{}]}]}]}]}', "body_too_deep", /more than 8 levels/);
  });

  it("refuses a million levels without parsing them", () => {
    refuses("[".repeat(1_000_000), "body_too_deep", /levels deep/);
    refuses('{"a":'.repeat(1_000_000), "body_too_deep", /levels deep/);
  });
});
