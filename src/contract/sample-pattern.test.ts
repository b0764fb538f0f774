import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { samplePattern } from "./sample-pattern.js";

describe("samplePattern", () => {
  const read = [
    ...[
      "^[a-z]+$",
      "^\\d{2,4}$",
      "^(yes|no)$",
      "^(?:a|b)c?$",
      "^[A-Z]{2}-\\d{6}$",
      "^[^a]+$",
      "^\\w+@\\w+\\.[a-z]{2,}$",
    ],
    ...["^(?<year>\\d{4})-(0[1-9]|1[0-2])$", "^#[0-9a-fA-F]{6}$", "^\\s*$", "^.{3}$", "^x*?y$", "^[\\w.]+$", "a", ""],
  ];
  for (const pattern of read) {
    it(`makes a text that fits ${pattern}`, () => {
      const text = samplePattern(pattern);
      assert.ok(text !== undefined);
      assert.match(text, new RegExp(pattern));
    });
  }

  for (const pattern of ["^(?=a)b", "^(?!a)b", "(a)\\1", "^\\p{L}+$", "^a{999}$", "a".repeat(300), "(a", "[a"]) {
    it(`leaves ${pattern.slice(0, 20)} alone`, () => {
      assert.equal(samplePattern(pattern), undefined);
    });
  }

  it("needs no time for a pattern that takes long to run", () => {
    assert.equal(samplePattern("^(a+)+b$"), "ab");
  });
});
