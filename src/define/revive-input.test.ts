import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { file } from "./file.js";
import { createRevive } from "./revive-input.js";
import type { Shape } from "./schema.js";
import { tensor } from "./tensor-schema.js";

const iso = "2026-01-31T12:00:00.000Z";
const at = new Date(iso);

function revive(shape: Shape, value: unknown): unknown {
  const found = createRevive(shape);
  assert.ok(found !== undefined, "there is no plan");
  return found(value);
}

const manyCount = 6_000;
const many = <T>(make: (i: number) => T, count = manyCount): T[] => Array.from({ length: count }, (_, i) => make(i));
const day = (i: number) => new Date(Date.UTC(2000, 0, 1 + i)).toISOString();

describe("createRevive", () => {
  it("is nothing where the schema wants only what JSON has, or can't be read", () => {
    const shapes: (Shape | undefined)[] = [
      undefined,
      z.object({ a: z.string(), b: z.array(z.number()) }),
      z.object({ f: file(), t: z.array(tensor("float32", ["n"])) }),
      z.coerce.date(),
      z.codec(z.iso.datetime(), z.date(), { decode: (text) => new Date(text), encode: (date) => date.toISOString() }),
      z.custom<Date>(),
      v.pipe(
        v.string(),
        v.transform((text) => new Date(text)),
      ),
      { a: z.string(), f: file() },
    ];
    for (const shape of shapes) assert.equal(createRevive(shape), undefined);
  });

  it("leaves what it is given as it is, and what does not fit to the schema", () => {
    const given = { at: iso, list: [{ at: iso }], other: { kept: true } };
    const before = structuredClone(given);
    const shape = z.object({ at: z.date(), list: z.array(z.object({ at: z.date() })), other: z.any() });
    const revived = revive(shape, given) as typeof given;
    assert.deepEqual(revived, { at, list: [{ at }], other: { kept: true } });
    assert.deepEqual(given, before);
    assert.equal(revived.other, given.other);
    for (const odd of [{ at: 1 }, { at: null }, { list: "x" }, "x", null, undefined, [iso]]) {
      assert.equal(revive(shape, odd), odd);
    }
  });

  it("goes through what wraps a schema, of every library", () => {
    const shapes: Shape[] = [
      z.object({ at: z.date().nullable().optional().default(null).readonly().describe("when").catch(at) }),
      z.object({ at: z.lazy(() => z.date()) }),
      z.object({ at: z.date().transform((date) => date.getTime()) }),
      z.intersection(z.object({ at: z.date() }), z.object({ b: z.string().optional() })),
      v.object({ at: v.nullish(v.fallback(v.date(), at)) }),
      v.object({ at: v.lazy(() => v.pipe(v.date(), v.minValue(new Date(0)))) }),
      v.record(v.string(), v.date()),
      type({ "at?": "Date" }),
      type({ "[string]": "Date" }),
      { at: z.date() },
    ];
    for (const shape of shapes) assert.deepEqual(revive(shape, { at: iso }), { at });
    assert.deepEqual(revive(z.tuple([z.string(), z.date()], z.bigint()), ["a", iso, "7", 8]), ["a", at, 7n, 8n]);
    assert.deepEqual(revive(type(["string", "Date"]), ["a", iso]), ["a", at]);
    interface Tree {
      at: Date;
      below: Tree[];
    }
    const tree: z.ZodType<Tree> = z.object({ at: z.date(), below: z.lazy(() => z.array(tree)) });
    assert.deepEqual(revive(tree, { at: iso, below: [{ at: iso, below: [] }] }), { at, below: [{ at, below: [] }] });
  });

  it("asks a function of the author's once at most, whatever it does with a value it does not expect", () => {
    const asked: unknown[] = [];
    const upper = type("unknown").pipe((value) => {
      asked.push(value);
      return (value as string).toUpperCase();
    });
    const plan = createRevive(type({ at: "Date", text: upper }));
    for (let i = 0; i < 3; i++) assert.deepEqual(plan?.({ at: iso, text: "x" }), { at, text: "x" });
    assert.ok(asked.length <= 1, `it was asked ${asked.length} times`);
  });

  it("picks the member of a union that the union will pick", () => {
    const late = z.union([z.string(), z.date()]);
    const early = z.union([z.date(), z.string(), z.bigint()]);
    assert.equal(revive(late, iso), iso);
    assert.deepEqual(
      [iso, "x", 5, true].map((value) => revive(early, value)),
      [at, "x", 5n, true],
    );
    const kinds = v.variant("kind", [
      v.object({ kind: v.literal("at"), value: v.date() }),
      v.object({ kind: v.literal("text"), value: v.string() }),
    ]);
    assert.deepEqual(revive(kinds, { kind: "at", value: iso }), { kind: "at", value: at });
    assert.deepEqual(revive(kinds, { kind: "text", value: iso }), { kind: "text", value: iso });
    const plain = z.union([z.object({ a: z.string() }), z.object({ a: z.string(), at: z.date() }), z.array(z.date())]);
    assert.deepEqual(revive(plain, { a: iso, at: iso }), { a: iso, at });
    assert.deepEqual(revive(plain, [iso]), [at]);
    const ark = type({ kind: "'at'", value: "Date" }).or({ kind: "'text'", value: "string" });
    assert.deepEqual(revive(ark, { kind: "at", value: iso }), { kind: "at", value: at });
  });

  it("asks no schema again for each level of nested unions", () => {
    let asked = 0;
    const counted = z.string().refine(() => ++asked > 0);
    const node: z.ZodType = z.lazy(() =>
      z.union([
        z.object({ at: z.date(), a: node.optional(), text: counted.optional() }),
        z.object({ id: z.bigint(), a: node.optional(), text: counted.optional() }),
      ]),
    );
    let value: unknown = { at: iso, text: "x" };
    for (let depth = 0; depth < 60; depth++) value = depth % 2 === 0 ? { id: 1, a: value } : { at: iso, a: value };
    let inner = revive(node, value) as { a?: unknown; at?: unknown; id?: unknown };
    assert.equal(asked, 0);
    for (let depth = 0; depth < 60; depth++) inner = inner.a as typeof inner;
    assert.deepEqual(inner, { at, text: "x" });
  });

  it("revives a large value in turns, to the same", async () => {
    const rows = Array.from({ length: 4_000 }, (_, i) => ({ at: iso, id: i, tags: ["a"] }));
    const row = z.object({ at: z.date(), id: z.bigint(), tags: z.set(z.string()) });
    const small = revive(z.array(row), rows.slice(0, 10)) as unknown[];
    for (const shape of [z.array(row), { list: z.array(row) }, z.object({ list: v.array(row as never) as never })]) {
      const given = shape instanceof z.ZodArray ? rows : { list: rows };
      const pending = revive(shape, given);
      if (!(pending instanceof Promise)) continue;
      const revived = (await pending) as { list?: unknown[] } | unknown[];
      const list = Array.isArray(revived) ? revived : revived.list;
      assert.deepEqual(list?.slice(0, 10), small);
      assert.equal(list?.length, rows.length);
    }
    assert.ok(revive(z.array(row), rows) instanceof Promise);
  });

  for (const [name, shape, given, expected] of [
    [
      "a map of an object",
      z.map(z.string(), z.date()),
      Object.fromEntries(many((i) => [`k${i}`, iso])),
      new Map(many((i) => [`k${i}`, at])),
    ],
    [
      "a map of pairs",
      z.map(z.date(), z.bigint()),
      many((i) => [day(i), i]),
      new Map(many((i) => [new Date(day(i)), BigInt(i)])),
    ],
    ["a list in a union", z.union([z.string(), z.array(z.date())]), many(() => iso), many(() => at)],
    [
      "a list in an object of a union",
      z.discriminatedUnion("kind", [
        z.object({ kind: z.literal("a"), list: z.array(z.date()) }),
        z.object({ kind: z.literal("b"), list: z.array(z.string()) }),
      ]),
      { kind: "a", list: many(() => iso) },
      { kind: "a", list: many(() => at) },
    ],
    [
      "an intersection",
      z.intersection(z.object({ a: z.array(z.date()) }), z.object({ b: z.array(z.bigint()) })),
      { a: many(() => iso), b: many((i) => i) },
      { a: many(() => at), b: many((i) => BigInt(i)) },
    ],
    ["a list in a catch", z.array(z.date()).catch([]), many(() => iso), many(() => at)],
  ] as [string, z.ZodType, unknown, unknown][]) {
    it(`lets the event loop turn within ${name}`, async (t) => {
      let now = 0;
      // Each look at the clock finds that a turn is due.
      t.mock.method(performance, "now", () => (now += 1_000));
      let turns = 0;
      let isOver = false;
      const count = () => {
        turns++;
        if (!isOver) setImmediate(count);
      };
      setImmediate(count);
      const pending = revive(shape, given);
      assert.ok(pending instanceof Promise);
      assert.deepEqual(await pending, expected);
      isOver = true;
      assert.ok(turns > manyCount, `${turns} turns`);
    });
  }

  it("leaves a large map whose pairs are none to the schema", async () => {
    const given = [...many((i) => [iso, i]), [iso]];
    assert.equal(await revive(z.map(z.date(), z.bigint()), given), given);
  });

  it("reads the members of a union once, and then only the one that has the value's literal", () => {
    let reads = 0;
    const watched = <T extends object>(fields: T) =>
      new Proxy(fields, {
        get: (target, name) => {
          reads++;
          return Reflect.get(target, name);
        },
        ownKeys: (target) => {
          reads++;
          return Reflect.ownKeys(target);
        },
        getOwnPropertyDescriptor: (target, name) => {
          reads++;
          return Reflect.getOwnPropertyDescriptor(target, name);
        },
      });
    const members = Array.from({ length: 50 }, (_, i) =>
      v.object(watched({ kind: v.literal(`k${i}`), at: v.date(), x: v.string(), y: v.string(), z: v.string() })),
    );
    const plan = createRevive(v.array(v.variant("kind", members as never)) as unknown as Shape);
    const value = (count: number) => Array.from({ length: count }, () => ({ kind: "k49", at: iso }));
    plan?.(value(1));
    reads = 0;
    assert.deepEqual(
      plan?.(value(100)),
      many(() => ({ kind: "k49", at }), 100),
    );
    // Two fields of each object are looked up in its own member: whether it is there, and its schema.
    assert.equal(reads, 100 * 2 * 2);
  });

  it("compares an object with the members that know its fields, however many there are", () => {
    const members = Array.from({ length: 40 }, (_, i) => z.object({ [`f${i}`]: z.date(), name: z.string() }));
    const shape = z.union(members as never) as z.ZodType;
    assert.deepEqual(revive(shape, { name: "n", f39: iso }), { name: "n", f39: at });
    assert.deepEqual(
      revive(shape, { name: "n", f0: iso, f1: iso }),
      { name: "n", f0: at, f1: iso },
      "the first of equals",
    );
    const tagged = z.union([
      z.object({ kind: z.literal("a"), value: z.string() }),
      z.object({ kind: z.literal(["a", "b"]), value: z.date(), extra: z.string() }),
      z.object({ value: z.bigint() }),
    ]);
    assert.deepEqual(revive(tagged, { kind: "a", value: iso }), { kind: "a", value: iso });
    assert.deepEqual(revive(tagged, { kind: "a", value: iso, extra: "" }), { kind: "a", value: at, extra: "" });
    assert.deepEqual(revive(tagged, { kind: "c", value: "5" }), { kind: "c", value: 5n });
    assert.deepEqual(revive(tagged, { kind: {}, value: "5" }), { kind: {}, value: 5n });
  });
});
