import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { writeJson } from "./write-reply.js";

const many = <T>(item: T, count: number): T[] => new Array<T>(count).fill(item);

describe("writeJson", () => {
  it("writes what JSON.stringify writes, whatever of it is long", async () => {
    const values: unknown[] = [
      null,
      "text",
      [],
      {},
      many(1.5, 100_000),
      many("x", 20_000),
      many([1, [2]], 20_000),
      many({ a: 1, b: undefined, c: 'é"\n' }, 20_000),
      { a: many(0, 20_000), b: undefined, c: { d: many(many(1, 100), 1_000) }, e: null },
      [many(0, 20_000), 1, many(0, 20_000), "x", []],
      Object.fromEntries(many(0, 20_000).map((_, i) => [`key "${i}`, i % 2 === 0 ? i : undefined])),
      { a: undefined, b: { c: undefined }, d: many(undefined, 6_000).map(() => ({ e: undefined })) },
      "a".repeat(1_000_000),
      ["a".repeat(1_000_000), "b"],
    ];
    for (const value of values)
      assert.ok((await writeJson(value)) === JSON.stringify(value), JSON.stringify(value).slice(0, 60));
  });

  it("gives a short text at once", () => {
    assert.equal(
      writeJson({ label: "cat", scores: many(0.5, 1_000) }),
      JSON.stringify({ label: "cat", scores: many(0.5, 1_000) }),
    );
  });

  it("lets others have a turn while it writes a long one", async () => {
    let turns = 0;
    const count = () => {
      turns++;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    await writeJson(many(many(0.123456789, 100), 10_000));
    clearImmediate(next);
    assert.ok(turns > 1, `${turns} turns`);
  });
});
