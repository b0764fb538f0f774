import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import { findMisfits, maxIssues } from "./find-misfits.js";
import { type CheckResult, createSchemaCheck, type Schema } from "./schema.js";

const many = <T>(item: T, count = 100_000): T[] => new Array<T>(count).fill(item);
const line = { a: 1, b: "x" };
const Line = z.object({ a: z.number(), b: z.string() });

/** Counts how often the schema made by `create` checks an item of a large value. */
function countChecks(create: (item: Schema<any>) => Schema, value: unknown): number {
  let count = 0;
  const item = z.any().refine((item) => {
    count++;
    return item !== null;
  });
  assert.equal((createSchemaCheck(create(item as Schema))(value) as CheckResult).issues?.length, maxIssues);
  return count;
}

describe("findMisfits", () => {
  it("looks again at a schema of which a part could not be had yet", () => {
    let Later: z.ZodType | undefined;
    const parts = [
      z.lazy(() => {
        if (Later === undefined) throw new ReferenceError("Cannot access 'Later' before initialization");
        return Later;
      }),
    ] as const;
    const early = z.object({ a: z.union(parts) });
    assert.deepEqual(findMisfits(early, { a: many(1) }), []);
    Later = z.array(z.string());
    assert.equal(findMisfits(early, { a: many(1) }).length > 0, true);
    assert.equal(findMisfits(z.object({ a: parts[0] }), { a: many(1) }).length, maxIssues);
  });

  it("stops after the sample or the first issues, however deep the invalid items are (DM2)", () => {
    const wrong = many(null);
    const cases: [(item: any) => Schema, unknown][] = [
      [(item) => z.array(item), wrong],
      [(item) => z.object({ a: z.object({ b: z.array(item) }) }), { a: { b: wrong } }],
      [(item) => z.array(z.array(item)), many(many(null, 100), 1_000)],
      [(item) => z.array(z.object({ a: z.string(), b: item })), many({ a: "x", b: null })],
      [(item) => z.record(z.string(), item), Object.fromEntries(wrong.map((_, i) => [`k${i}`, null]))],
      [(item) => z.tuple([z.string()], item), ["x", ...wrong]],
      [(item) => z.array(item).min(1).optional().nullable().readonly(), wrong],
      [(item) => z.array(item).transform((items) => items.length), wrong],
      [(item) => z.intersection(z.any(), z.object({ a: z.array(item) })), { a: wrong }],
      [(item) => z.object({ a: z.lazy(() => z.array(item)) }), { a: wrong }],
      [(item) => z.object({}).catchall(z.array(item)), { a: wrong }],
    ];
    for (const [create, value] of cases) {
      const count = countChecks(create, value);
      assert.ok(count <= 200, `${count} checks of ${create}`);
    }
  });

  it("reports what the validator would report, in its words (DM3)", () => {
    const cases: [Schema, unknown][] = [
      [z.array(z.number()), many({})],
      [z.object({ lines: z.array(Line) }), { lines: [...many(line, 5_000), ...many({ a: "1", b: 2 }, 5_000)] }],
      [z.array(z.string().min(3)), many("ab")],
      [z.record(z.string().max(2), z.number()), Object.fromEntries(many(0, 5_000).map((_, i) => [`key${i}`, i]))],
      [v.array(v.object({ a: v.number(), b: v.string() })), many({})],
      [v.object({ a: v.optional(v.array(v.pipe(v.string(), v.minLength(3)))) }), { a: many("ab") }],
      [v.record(v.string(), v.number()), Object.fromEntries(many("", 5_000).map((text, i) => [`k${i}`, text]))],
    ];
    for (const [schema, value] of cases) {
      const found = findMisfits(schema, value);
      const all = schema["~standard"].validate(value) as { issues: readonly { message: string; path: unknown[] }[] };
      assert.ok(all.issues.length > maxIssues);
      assert.deepEqual(
        found.map(({ message }) => message),
        all.issues.slice(0, maxIssues).map(({ message }) => message),
      );
      assert.equal(found.length, maxIssues);
    }
    const [first] = findMisfits(z.object({ lines: z.array(Line) }), {
      lines: [...many(line, 50_000), ...many({}, 50_000)],
    });
    assert.equal(first?.path, "lines[50000].a");
  });

  it("refuses a union only if none of its members accepts the value (DM1)", () => {
    const Either = z.union([z.array(z.number()), z.array(z.string())]);
    assert.deepEqual(findMisfits(Either, many("x")), []);
    assert.equal(findMisfits(Either, many(null)).length, 1);
    assert.equal(findMisfits(v.union([v.array(v.number()), v.array(v.string())]), many(null)).length, 1);
    assert.equal(findMisfits(z.array(z.union([Line, z.string()])), many({})).length, maxIssues);
  });

  it("leaves to the validator what may accept wrong items, what it can't look into, and what is small", () => {
    const schemas: Schema[] = [
      z.array(z.number()).catch([]),
      z.preprocess(() => [], z.array(z.number())),
      z.array(z.number().catch(0)),
      z.array(z.any()),
      z.any(),
      v.fallback(v.array(v.number()), []),
      v.pipe(
        v.unknown(),
        v.transform(() => []),
      ),
      v.array(v.unknown()),
    ];
    for (const schema of schemas) {
      assert.deepEqual(findMisfits(schema, many({})), []);
      assert.equal((createSchemaCheck(schema)(many({})) as CheckResult).issues, undefined);
    }
    assert.deepEqual(findMisfits(z.array(z.number()), many({}, 100)), []);
    assert.deepEqual(findMisfits(z.array(z.number()), many(1)), []);
    const keys = Object.fromEntries(many({}, 5_000).map((item, i) => [`k${i}`, item]));
    assert.deepEqual(findMisfits(z.looseRecord(z.string().regex(/^x/), z.number()), keys), []);
    const cyclic: unknown[] = [];
    cyclic.push(...many(cyclic, 10));
    assert.deepEqual(findMisfits(z.any(), cyclic), []);
  });

  it("asks a schema that answers later about one item at most", async () => {
    let count = 0;
    const item = z.any().refine(async () => {
      count++;
      return true;
    });
    assert.deepEqual(findMisfits(z.array(item), many({})), []);
    // zod tries at once before it waits.
    assert.ok(count <= 2, `${count} times`);
    assert.equal((await createSchemaCheck(z.array(item))(many({}, 3))).issues, undefined);
  });

  it("asks arktype whether a value fits before it asks why not", () => {
    const Lines = type({ lines: type({ a: "number", b: "string" }).array() });
    assert.deepEqual(findMisfits(Lines, { lines: many(line) }), []);
    const found = findMisfits(Lines, { lines: many({ a: "x", b: "y" }) });
    assert.equal(found.length, maxIssues);
    assert.equal(found[0]?.path, "lines[0].a");
    const late = findMisfits(Lines, { lines: [...many(line), {}] });
    assert.deepEqual(late, [{ path: "", message: "one of its many values does not fit the schema" }]);
    assert.deepEqual(findMisfits(type("string.numeric.parse").array(), many("12")), []);
  });

  it("tells of unknown keys in few words", () => {
    const keys = Object.fromEntries(many(0, 50_000).map((_, i) => [`key ${i}`, i]));
    const result = createSchemaCheck(z.strictObject({ a: z.number() }))(keys) as CheckResult;
    assert.ok(JSON.stringify(result.issues).length < 2_000);
    assert.match(String(result.issues?.[1]?.message), /^Unrecognized keys/);
  });
});
