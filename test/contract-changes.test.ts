import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { z } from "zod";
import { type Fit, findTypeChanges, type TypeChange } from "../src/contract/find-type-changes.js";
import { typeOf } from "../src/contract/fold-type.js";
import { formOfShape } from "../src/contract/type-form.js";
import { noSample } from "../src/contract/type-values.js";
import { changePlan, createPlan, createValue, type Plan, toSchema } from "./contracts/random-plan.js";
import { Random } from "./http/random.js";

/** Pairs of versions for each side. */
const pairs = 1500;
/** Values of each version that are tried. */
const values = 25;

/** Two versions of a type, and their differences. */
interface Pair {
  readonly seed: number;
  readonly older: Version;
  readonly newer: Version;
  readonly changes: readonly TypeChange[];
}

interface Version {
  readonly plan: Plan;
  readonly schema: z.ZodType;
  /** The same for a giver. */
  readonly closed: z.ZodType;
}

function createPair(seed: number, side: "input" | "output"): Pair {
  const random = new Random(seed);
  const settings = { isOutput: side === "output" };
  const plan = createPlan(random, settings);
  let next = changePlan(plan, random, settings);
  if (random.chance(0.3)) next = changePlan(next, random, settings);
  const [older, newer] = [plan, next].map((own) => ({
    plan: own,
    schema: toSchema(own),
    closed: toSchema(own, true),
  })) as [Version, Version];
  const [from, to] = [older, newer].map(({ schema }) => typeOf(formOfShape(schema, side)));
  const trust = { runsPatterns: true, effort: { left: 1_000_000 } };
  return { seed, older, newer, changes: findTypeChanges(from as never, to as never, trust) };
}

const describePair = ({ seed, older, newer, changes }: Pair, value: unknown) =>
  inspect({ seed, value, older: older.plan, newer: newer.plan, changes }, { depth: 12, breakLength: 140 });

function accepts(schema: z.ZodType, value: unknown): boolean {
  try {
    return z.safeParse(schema, value).success;
  } catch {
    // An intersection whose two sides make different values of one throws.
    return false;
  }
}

/** Checks one direction: values of one version against the other. */
function checkDirection(pair: Pair, given: Version, taken: Version, fitOf: (change: TypeChange) => Fit): void {
  for (const { example, answer } of pair.changes.map(fitOf)) {
    if (answer !== "no") continue;
    assert.notEqual(example, noSample, describePair(pair, "no example"));
    assert.ok(accepts(given.schema, example), `the version refuses its own example: ${describePair(pair, example)}`);
    assert.ok(!accepts(taken.schema, example), `the other version accepts the example: ${describePair(pair, example)}`);
  }
  if (pair.changes.some((change) => fitOf(change).answer !== "yes")) return;
  const random = new Random(pair.seed + 1);
  for (let i = 0; i < values; i++) {
    const value = createValue(given.plan, random);
    if (accepts(given.closed, value)) assert.ok(accepts(taken.schema, value), describePair(pair, value));
  }
}

describe("a comparison of two versions of a type", () => {
  for (const side of ["input", "output"] as const) {
    const all = Array.from({ length: pairs }, (_, seed) => createPair(seed, side));

    // TV1, IS1, ALT1
    it(`calls compatible what accepts all values, and shows a value for each break (${side})`, () => {
      for (const pair of all) {
        checkDirection(pair, pair.older, pair.newer, ({ forward }) => forward);
        checkDirection(pair, pair.newer, pair.older, ({ backward }) => backward);
      }
    });

    it(`decides nearly all pairs, and finds changes in both directions (${side})`, () => {
      const answers = all.flatMap(({ changes }) => changes.flatMap(({ forward, backward }) => [forward, backward]));
      const count = (wanted: string) => answers.filter(({ answer }) => answer === wanted).length;
      assert.ok(count("unknown") < 0.1 * answers.length, `${count("unknown")} of ${answers.length} are unknown`);
      assert.ok(count("no") > 0.3 * answers.length, `${count("no")} of ${answers.length} break`);
      assert.ok(count("yes") > 0.2 * answers.length, `${count("yes")} of ${answers.length} fit`);
    });

    it(`finds no change between a type and itself (${side})`, () => {
      for (const { older } of all.slice(0, 300)) {
        const [from, to] = [toSchema(older.plan), toSchema(older.plan)].map((schema) => formOfShape(schema, side));
        assert.deepEqual(from, to);
        const trust = { runsPatterns: true, effort: { left: 1_000_000 } };
        assert.deepEqual(findTypeChanges(typeOf(from as never), typeOf(to as never), trust), []);
      }
    });
  }
});
