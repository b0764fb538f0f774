import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as v from "valibot";
import { z } from "zod";
import { createPacedCheck, createSchemaCheck, type Schema } from "./schema.js";

const count = 30_000;
const many = <T>(create: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => create(i));
const wrongFrom = (first: number) => many((i) => (i >= first ? {} : { a: i }));

const values = [many((a) => ({ a })), wrongFrom(0), wrongFrom(count - 3), wrongFrom(count - 500)];

const schemas: [string, Schema, (readonly unknown[])?][] = [
  ["zod", z.array(z.object({ a: z.number() }))],
  ["a transforming zod", z.array(z.object({ a: z.number().transform(String), b: z.string().default("x") }))],
  ["an asynchronous zod", z.array(z.object({ a: z.number() }).refine(async () => true)), [wrongFrom(count - 3)]],
  ["valibot", v.array(v.object({ a: v.number() }))],
];

describe("createPacedCheck", () => {
  for (const [name, schema, own = values] of schemas) {
    it(`gives what the schema gives: ${name}`, async () => {
      for (const value of own) {
        const paced = await createPacedCheck(schema)(value);
        const whole = await createSchemaCheck(schema)(value);
        // Texts, since a difference between two such lists takes half a minute to show.
        assert.ok(JSON.stringify([paced.value, paced.issues]) === JSON.stringify([whole.value, whole.issues]));
      }
    });
  }

  it("lets others have their turn meanwhile", async () => {
    let turns = 0;
    const looked: number[] = [];
    const Slow = z.number().refine((value) => {
      if (looked.at(-1) !== turns) looked.push(turns);
      // As long as a turn may last, however fast the machine is.
      if (value % 1_000 === 0) for (const end = performance.now() + 4; performance.now() < end; );
      return true;
    });
    const isOver = new AbortController();
    const turn = () => {
      turns++;
      if (!isOver.signal.aborted) setImmediate(turn);
    };
    turn();
    await createPacedCheck(z.array(Slow))(many((i) => i));
    isOver.abort();
    assert.ok(looked.length >= 20, `it was checked in ${looked.length} turns`);
  });

  it("checks a list whole where its schema says more than what the items are, and short ones at once", () => {
    let lists = 0;
    const once = (list: unknown[]) => {
      lists++;
      return list.length === count;
    };
    const whole = [
      z.array(z.number()).refine(once),
      v.pipe(v.array(v.number()), v.check(once as () => boolean, "too few")),
      z.array(z.number()).max(5),
    ];
    for (const schema of whole) assert.ok(!(createPacedCheck(schema)(many((i) => i)) instanceof Promise));
    assert.equal(lists, 2);
    assert.deepEqual(createPacedCheck(z.array(z.number()))([1, 2]), { value: [1, 2] });
  });
});
