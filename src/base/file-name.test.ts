import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cleanFileName, formatDisposition, readFileName } from "./file-name.js";

/** Encodes a text as Node gives headers: one character for each byte. */
const wire = (text: string) => Buffer.from(text).toString("latin1");

describe("the name of a file", () => {
  it("is read from filename=, in whatever way quotes and charsets are written", () => {
    const cases: [string, string | undefined][] = [
      ["attachment", undefined],
      ["attachment; filename=plain.txt", "plain.txt"],
      ["attachment; filename=two words.txt ; x=1", "two words.txt"],
      ['form-data; name="f"; filename=""', ""],
      ['form-data; filename="a;b.txt"; name="f"', "a;b.txt"],
      [String.raw`attachment; filename="a\"b\\c.txt"`, String.raw`a"b\c.txt`],
      ['form-data; filename="a%22b%0A%20.txt"', 'a"b\n%20.txt'],
      [String.raw`form-data; filename="C:\new\y.png"`, String.raw`C:\new\y.png`],
      [String.raw`form-data; filename="ends in\"`, "ends in\\"],
      [wire('form-data; filename="日本é😀.png"'), "日本é😀.png"],
      ['form-data; filename="\xe9.png"', "é.png"],
      ['form-data; FileName = "x"; filename="y"', "x"],
    ];
    for (const [header, name] of cases) assert.equal(readFileName(header), name, header);
  });

  it("is that of filename*= where there is one that can be read", () => {
    const cases: [string, string][] = [
      [`attachment; filename="a"; filename*=UTF-8''%e6%97%a5.png`, "日.png"],
      [`attachment; filename*=utf-8'en'%e6%97%a5.png; filename="a"`, "日.png"],
      [`attachment; filename*=ISO-8859-1''%e9.png`, "é.png"],
      [`attachment; filename*="UTF-8''%41"`, "A"],
      [`attachment; filename*=UTF-8''%zz; filename="a"`, "a"],
      [`attachment; filename*=UTF-8''%e6%97; filename="a"`, "a"],
      [`attachment; filename*=klingon''a; filename="a"`, "a"],
    ];
    for (const [header, name] of cases) assert.equal(readFileName(header), name, header);
  });

  it("has no folders, no control characters and no end of its length", () => {
    const cases: [string, string][] = [
      ["../../x", "x"],
      ["C:\\x\\y.png", "y.png"],
      ["/", "file"],
      ["..", "file"],
      ["a/..", "file"],
      ["", "file"],
      [".hidden", ".hidden"],
      ["a\r\nb\0c\x85.txt", "a__b_c_.txt"],
      ["a\"b; c%20'é日本😀", "a\"b; c%20'é日本😀"],
      ["\ud800a", "\ufffda"],
      [`${"a".repeat(20_000)}.tar`, `${"a".repeat(496)}.tar`],
      [`${"a".repeat(495)}😀😀.tar`, `${"a".repeat(495)}.tar`],
      ["b".repeat(500), "b".repeat(500)],
    ];
    for (const [name, expected] of cases) assert.equal(cleanFileName(name), expected, name.slice(0, 40));
  });

  it("comes back from the header made of it", () => {
    for (const name of [
      "a.txt",
      'a"b',
      "a%22b",
      "é",
      "日本.png",
      "😀'()*!",
      "a;b",
      "300".repeat(100),
      "\ud800",
      "a\nb",
    ]) {
      const header = formatDisposition(name);
      assert.match(header, /^[\x20-\x7e]+$/);
      assert.equal(readFileName(header), cleanFileName(name));
    }
    assert.ok(formatDisposition("日".repeat(20_000)).length < 6000);
  });
});
