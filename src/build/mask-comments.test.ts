import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { maskComments } from "./mask-comments.js";

describe("maskComments", () => {
  it("blanks comments and keeps every other character in its place", () => {
    const text = 'a // one\n/* two\nthree */ b\n"// no" + `/* no */ $c`;';
    const masked = maskComments(text);
    assert.equal(masked, 'a       \n      \n         b\n"// no" + `/* no */ $c`;');
    assert.equal(masked.length, text.length);
  });

  it("tells a regular expression from a division", () => {
    assert.equal(maskComments("x = /[/*]/; y // end"), "x = /[/*]/; y       ");
    assert.equal(maskComments("x = a / b / c; // end"), "x = a / b / c;       ");
    assert.equal(maskComments("return /\\/\\/ x/.test(y)"), "return /\\/\\/ x/.test(y)");
  });

  it("ends texts that are not closed", () => {
    assert.equal(maskComments("'open\n// gone"), "'open\n       ");
    assert.equal(maskComments("/* open"), "       ");
  });
});
