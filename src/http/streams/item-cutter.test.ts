import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../../test/http/random.js";
import { ChunkCutter, LineCutter } from "./item-cutter.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const create = (maxBodyBytes = 1000) => new LineCutter({ maxBodyBytes, maxBodyDepth: 8, maxBodyValues: 1000 }, "utf-8");

/** Returns all items of a body that comes in these chunks. */
function cut(chunks: readonly Uint8Array[], cutter = create()): unknown[] {
  const items: unknown[] = [];
  const takeAll = () => {
    for (let item = cutter.take(); item !== undefined; item = cutter.take()) items.push(item.value);
  };
  for (const chunk of chunks) {
    cutter.push(chunk);
    takeAll();
  }
  cutter.end();
  takeAll();
  return items;
}

describe("LineCutter", () => {
  it("gives the same items wherever the chunks begin and end", () => {
    const random = new Random(1);
    const items = Array.from({ length: 40 }, (_, i) => ({ i, text: "é€𝄞\n".repeat(random.between(0, 8)) }));
    for (let round = 0; round < 200; round++) {
      const newline = random.pick(["\n", "\r\n", "\n\n", "\n \r\n"]);
      const end = random.pick(["", newline]);
      const body = bytes(items.map((item) => JSON.stringify(item)).join(newline) + end);
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < body.length; ) {
        const length = random.between(1, random.pick([1, 7, 200, 5000]));
        chunks.push(body.subarray(at, at + length));
        at += length;
      }
      assert.deepEqual(cut(chunks), items);
    }
  });

  it("takes a body without items", () => {
    for (const text of ["", "\n", "\r\n \t\n"]) assert.deepEqual(cut([bytes(text)]), []);
  });

  it("refuses a line beyond the limit as soon as that is known, whether or not it has ended", () => {
    const limited = { id: "line_too_large", details: { line: 3, maxBodyBytes: 10 } };
    assert.deepEqual(cut([bytes("1\n2\n12345678")], create(10)), [1, 2, 12_345_678]);
    assert.throws(() => cut([bytes("1\n2\n12345678901\n")], create(10)), limited);
    const endless = create(10);
    endless.push(bytes("1\n2\n12345"));
    assert.deepEqual([endless.take()?.value, endless.take()?.value, endless.take()], [1, 2, undefined]);
    endless.push(bytes("67890"));
    assert.throws(() => endless.push(bytes("1")), limited);
  });

  it("names the line that is no JSON, counting blank ones", () => {
    for (const [text, line] of [
      ["x", 1],
      ["1\n\n{", 3],
      ["[[[[[[[[[1]]]]]]]]]", 1],
      ['1\n{"__proto__":{}}', 2],
    ] as const) {
      assert.throws(() => cut([bytes(text)]), { id: "invalid_line", message: new RegExp(`^line ${line} of`) });
    }
    assert.throws(() => cut([new Uint8Array([0x31, 0x0a, 0xff, 0x0a])]), { id: "invalid_line" });
  });
});

describe("ChunkCutter", () => {
  it("gives each chunk, in memory of its own", () => {
    const cutter = new ChunkCutter();
    const chunk = Buffer.from([1, 2, 3]);
    cutter.push(chunk);
    const item = cutter.take()?.value as Uint8Array;
    chunk.fill(9);
    assert.deepEqual(item, new Uint8Array([1, 2, 3]));
    assert.equal(cutter.take(), undefined);
  });
});
