import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseJson, printJson, splitTokens } from "./print-json.js";

describe("printJson", () => {
  it("prints short values on one line and fills lines with long lists of numbers", () => {
    assert.equal(
      printJson({ scores: [{ label: "a", score: 0.5 }] }),
      '{\n  "scores": [{ "label": "a", "score": 0.5 }]\n}',
    );
    const numbers = Array.from({ length: 100 }, (_, i) => i / 7);
    const long = printJson(numbers);
    assert.deepEqual(JSON.parse(long), JSON.parse(JSON.stringify(numbers)));
    assert.ok(long.split("\n").length < 40 && long.split("\n").every((line) => line.length <= 70));
  });

  it("prints an object on one line where that is asked for", () => {
    assert.equal(printJson({ i: 1 }), '{\n  "i": 1\n}');
    assert.equal(printJson({ i: 1 }, "", true), '{ "i": 1 }');
  });
});

describe("parseJson", () => {
  it("tells a text that is not JSON from the value null", () => {
    assert.deepEqual(parseJson("null"), { value: null });
    assert.equal(parseJson("nul"), undefined);
  });
});

describe("splitTokens", () => {
  it("tells keys, strings, literals and numbers apart and loses no character", () => {
    const text = '{ "a": ["b\\"", -1.5e3, true] }';
    const tokens = splitTokens(text);
    assert.equal(tokens.map((token) => token.text).join(""), text);
    assert.deepEqual(
      tokens.filter((token) => token.kind !== undefined).map((token) => [token.kind, token.text]),
      [
        ["key", '"a"'],
        ["string", '"b\\""'],
        ["number", "-1.5e3"],
        ["literal", "true"],
      ],
    );
  });
});
