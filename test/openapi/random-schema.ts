import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import type { Schema } from "../../src/define/schema.js";
import { file, tensor } from "../../src/index.js";
import type { Random } from "../http/random.js";
import { tree } from "./tree.js";

/**
 * Names with a meaning in a JSON Schema, in a JSON pointer or in JavaScript. `$ref` is missing: validators take a
 * property of that name for a reference.
 */
const fieldNames = ["text", "n", "$defs", "a/b", "~", "constructor", "toString", "items", "properties", "default", "é"];

interface Named {
  next?: Named | undefined;
}
/** Makes a schema that is named and recursive: its JSON Schema is a reference at the root. */
const named: z.ZodType<Named> = z
  .object({
    get next() {
      return named.optional();
    },
  })
  .meta({ id: "Chain" });
const point = z.object({ x: z.number(), y: z.number() }).meta({ id: "Point" });
const segment = z.object({ from: point, to: point }).meta({ id: "Line/Segment", description: "Two points." });

const leaves: readonly (() => z.ZodType)[] = [
  () => z.string().min(1).max(9),
  () => z.iso.datetime(),
  () => z.email(),
  () => z.number().int(),
  () => z.boolean(),
  () => z.null(),
  () => z.literal(["a", 1, null]),
  () => z.enum(["x", "y"]),
  () => z.any(),
  () => z.unknown(),
  () => z.json(),
  () => z.date(),
  () => z.bigint(),
  () => z.map(z.string(), z.number()),
  () => z.file(),
  () => z.custom<Uint8Array>(),
  () => z.templateLiteral(["v", z.number()]),
  () => z.coerce.date(),
  () => z.codec(z.iso.datetime(), z.date(), { decode: (text) => new Date(text), encode: (date) => date.toISOString() }),
  () => z.preprocess((value) => value, z.number()),
  () => z.string().transform((text) => text.length),
  () => tree,
  () => named,
  () => point,
  () => segment,
];

const branches: readonly ((inner: () => z.ZodType, random: Random) => z.ZodType)[] = [
  (inner) => z.array(inner()).max(3),
  (inner) => z.tuple([inner(), inner()], inner()),
  (inner) => z.record(z.string(), inner()),
  (inner) => z.union([inner(), inner()]),
  (inner) =>
    z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("a"), value: inner() }),
      z.object({ kind: z.literal("b"), value: inner() }),
    ]),
  (inner) => z.intersection(z.object({ left: inner() }), z.object({ right: inner() })),
  (inner) => inner().nullable(),
  (inner) => inner().optional(),
  (inner) => inner().catch(undefined as never),
  (inner) => z.lazy(inner),
  (inner) => inner().describe("What it is."),
  (inner) => inner().brand("own"),
  (inner, random) => createObject(random, inner),
  (inner, random) => createObject(random, inner),
];

function createObject(random: Random, inner: () => z.ZodType): z.ZodType {
  const names = Array.from({ length: random.between(0, 4) }, () => random.pick(fieldNames));
  const shape = Object.fromEntries(names.map((name) => [name, inner()]));
  return random.chance(0.3) ? z.strictObject(shape) : z.object(shape);
}

/** Creates a zod schema of any kind, each time with its own small parts. */
function createSchema(random: Random, depth = 0): z.ZodType {
  if (depth > 3 || random.chance(0.35)) return random.pick(leaves)();
  return random.pick(branches)(() => createSchema(random, depth + 1), random);
}

const others: readonly (() => Schema)[] = [
  () => file({ contentType: "image/*" }),
  () => tensor("float32", ["n", 3]),
  () => v.object({ a: v.optional(v.string()) }),
  () => type({ name: "string", "age?": "number" }),
  () => type("string | number[]"),
];

/** Creates an input or output of a contract: a schema of any library, or an object of them. */
export function createShape(random: Random): Schema | Record<string, Schema> {
  if (random.chance(0.1)) return random.pick(others)();
  if (random.chance(0.6)) return createSchema(random);
  const names = Array.from({ length: random.between(1, 4) }, () => random.pick(fieldNames));
  return Object.fromEntries(
    names.map((name) => [name, random.chance(0.3) ? random.pick(others)() : createSchema(random)]),
  );
}
