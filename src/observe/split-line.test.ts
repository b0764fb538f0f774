import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { splitLine } from "./line-writer.js";

const maxBytes = 4096;

interface Part {
  readonly line: string;
  readonly part: number;
  readonly parts: number;
  readonly text: string;
  readonly cut?: number;
  readonly [field: string]: unknown;
}

/** The parts of a line, each of which is one line and no longer than allowed. */
function split(line: string): Part[] {
  return splitLine(line, maxBytes).map((part) => {
    assert.ok(Buffer.byteLength(part) <= maxBytes, `${Buffer.byteLength(part)} bytes`);
    assert.equal(part.indexOf("\n"), part.length - 1);
    return JSON.parse(part);
  });
}

const join = (parts: readonly Part[]): string => parts.map(({ text }) => text).join("");

describe("splitLine", () => {
  const fields = { level: 50, time: 1, service: "Model", requestId: "r1" };
  const texts = {
    plain: "x".repeat(20_000),
    "full of quotes": '"\\'.repeat(10_000),
    "of three bytes a character": "語".repeat(9_000),
    "of pairs of surrogates, at an odd place": `a${"😀".repeat(5_000)}`,
    "of characters that JSON escapes": "\u0001\n\u2028\ud800".repeat(3_000),
  };
  for (const [name, text] of Object.entries(texts)) {
    it(`gives parts that are JSON and together the whole line, of a text ${name}`, () => {
      const line = JSON.stringify({ ...fields, msg: "failed", err: { stack: text }, last: true });
      const parts = split(`${line}\n`);
      assert.equal(join(parts), line);
      assert.ok(parts.length > 1);
      for (const [index, part] of parts.entries()) {
        const { level, service, requestId, msg, last } = part;
        assert.deepEqual([level, service, requestId, msg, last], [50, "Model", "r1", "failed", true]);
        assert.deepEqual([part.part, part.parts, part.line], [index + 1, parts.length, parts[0]?.line]);
      }
    });
  }

  it("shows the beginning of a long message, and no more fields than leave room", () => {
    const many = Object.fromEntries(
      Array.from({ length: 90 }, (_, i) => [`field ${i} ${"é".repeat(90)}`, "é".repeat(120)]),
    );
    const line = JSON.stringify({ msg: "m".repeat(9_000), ...many });
    const parts = split(line);
    assert.equal(join(parts), line);
    assert.equal(parts[0]?.["msg"], "m".repeat(128));
  });

  it("tells lines from one another, and takes what is no JSON", () => {
    const [one, other] = [split("x".repeat(9_000)), split(`[${"1,".repeat(5_000)}1]`)];
    assert.equal(join(one), "x".repeat(9_000));
    assert.notEqual(one[0]?.line, other[0]?.line);
  });

  it("keeps no more of a line than a bound, and says how much is missing", () => {
    const line = JSON.stringify({ text: '"'.repeat(2_000_000) });
    const parts = split(line);
    assert.equal(parts.length, 256);
    assert.equal(join(parts), line.slice(0, join(parts).length));
    assert.equal(join(parts).length + (parts.at(-1)?.cut ?? 0), line.length);
    assert.ok(parts.slice(0, -1).every(({ cut }) => cut === undefined));
  });
});
