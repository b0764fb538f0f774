import { file, tensor } from "ekiben";
import { z } from "zod";
import { Tensor } from "../../src/define/tensor.js";
import type { Random } from "../http/random.js";

// Random schemas with random values for them, and small changes of schemas. A plan knows nothing of the code that
// compares contracts: its schemas are zod's, and its values come from the plan itself.

/** Field of an object. */
interface PlannedField {
  readonly plan: Plan;
  readonly presence: "required" | "optional" | "default";
}

/** Description of a schema. */
export type Plan =
  | { readonly kind: "string"; readonly min?: number; readonly max?: number; readonly pattern?: keyof typeof patterns }
  | {
      readonly kind: "number";
      readonly isInteger: boolean;
      readonly min?: number;
      readonly max?: number;
      readonly step?: number;
    }
  | { readonly kind: "boolean" | "null" | "date" | "bigint" | "bytes" | "any" | "tree" }
  | { readonly kind: "enum"; readonly members: readonly string[] }
  | { readonly kind: "literal"; readonly value: string | number | boolean }
  | { readonly kind: "array"; readonly item: Plan; readonly min?: number; readonly max?: number }
  | { readonly kind: "tuple"; readonly items: readonly Plan[]; readonly rest?: Plan }
  | { readonly kind: "record" | "set" | "map" | "nullable"; readonly inner: Plan }
  | {
      readonly kind: "object";
      readonly fields: Readonly<Record<string, PlannedField>>;
      readonly mode: "strip" | "strict" | "loose";
    }
  | { readonly kind: "union"; readonly members: readonly Plan[] }
  | { readonly kind: "tagged"; readonly members: Readonly<Record<string, Plan & { readonly kind: "object" }>> }
  | {
      readonly kind: "both";
      readonly left: Plan & { readonly kind: "object" };
      readonly right: Plan & { readonly kind: "object" };
    }
  | {
      readonly kind: "tensor";
      readonly dtype: "float32" | "int32" | "uint8";
      readonly shape: readonly (number | string)[];
    }
  | { readonly kind: "file"; readonly contentType?: string; readonly maxBytes?: number };

const patterns = {
  "^[a-z]+$": ["a", "abc", "zebra"],
  "^\\d{2,4}$": ["12", "123", "2024"],
  "^(yes|no)$": ["yes", "no"],
} as const;

const numberBounds = [-100, -1, 0, 1, 5, 10, 100];
const sizes = [0, 1, 2, 3, 5];
const words = ["red", "green", "blue", "small", "large", "", "a b"];
const names = ["id", "text", "limit", "tags", "box", "score"];

/** Settings of plans. */
export interface PlanSettings {
  /** True for an output: what comes out of a schema has no absent defaults, and callers see no unknown fields. */
  readonly isOutput: boolean;
}

/** Makes a random plan. */
export function createPlan(random: Random, settings: PlanSettings, depth = 0): Plan {
  const inner = () => createPlan(random, settings, depth + 1);
  const leaves = [
    "string",
    "string",
    "number",
    "number",
    "boolean",
    "enum",
    "literal",
    "null",
    "date",
    "bigint",
    "bytes",
    "tensor",
    "file",
  ];
  const parts = [
    "object",
    "object",
    "object",
    "array",
    "tuple",
    "union",
    "tagged",
    "nullable",
    "record",
    "set",
    "map",
    "both",
    "tree",
    "any",
  ];
  const kind = random.pick(
    depth === 0 ? ["object", "object", "tagged", "union", "array"] : depth > 2 ? leaves : [...leaves, ...parts],
  );
  switch (kind) {
    case "string":
      return createString(random);
    case "number":
      return createNumber(random);
    case "enum":
      return { kind, members: pickSome(random, words, 1) };
    case "literal":
      return { kind, value: random.pick(["on", "off", 1, 2, true] as const) };
    case "array":
      return { kind, item: inner(), ...pickBounds(random, sizes) };
    case "tuple":
      return {
        kind,
        items: [inner(), ...(random.chance(0.5) ? [inner()] : [])],
        ...(random.chance(0.3) && { rest: inner() }),
      };
    case "record":
    case "set":
    case "map":
    case "nullable":
      return { kind, inner: inner() };
    case "object":
      return createObject(random, settings, depth);
    case "both":
      return createBoth(createObject(random, settings, depth + 1), createObject(random, settings, depth + 1));
    case "union":
      return { kind, members: [inner(), inner(), ...(random.chance(0.3) ? [inner()] : [])] };
    case "tagged": {
      const tags = pickSome(random, ["cat", "dog", "fish"], 2);
      return { kind, members: Object.fromEntries(tags.map((tag) => [tag, createObject(random, settings, depth + 1)])) };
    }
    case "tensor":
      return { kind, dtype: random.pick(["float32", "int32", "uint8"] as const), shape: createShape(random) };
    case "file":
      return {
        kind,
        ...(random.chance(0.5) && { contentType: random.pick(["image/png", "image/*", "text/plain"]) }),
        ...(random.chance(0.4) && { maxBytes: random.pick([10, 1000]) }),
      };
    default:
      return { kind: kind as "boolean" };
  }
}

/** Joins two objects without a field in common: two types of one field mostly exclude each other. */
function createBoth(left: Plan & { readonly kind: "object" }, right: Plan & { readonly kind: "object" }): Plan {
  const own = Object.entries(right.fields).filter(([name]) => !Object.hasOwn(left.fields, name));
  return { kind: "both", left, right: { ...right, fields: Object.fromEntries(own) } };
}

const createString = (random: Random): Plan =>
  random.chance(0.3)
    ? { kind: "string", pattern: random.pick(Object.keys(patterns) as (keyof typeof patterns)[]) }
    : { kind: "string", ...pickBounds(random, sizes) };

const createNumber = (random: Random): Plan => ({
  ...{ kind: "number", isInteger: random.chance(0.5) },
  ...pickBounds(random, numberBounds),
  ...(random.chance(0.15) && { step: random.pick([2, 3, 4]) }),
});

const createShape = (random: Random): (number | string)[] =>
  Array.from({ length: random.between(0, 3) }, () => random.pick<number | string>([1, 2, 3, "n", "m"]));

function createObject(random: Random, settings: PlanSettings, depth: number): Plan & { readonly kind: "object" } {
  const fields = pickSome(random, names, 1).map((name) => [name, createField(random, settings, depth)] as const);
  const mode = settings.isOutput ? "strip" : random.pick(["strip", "strip", "strict", "loose"] as const);
  return { kind: "object", fields: Object.fromEntries(fields), mode };
}

const createField = (random: Random, settings: PlanSettings, depth: number): PlannedField => ({
  plan: createPlan(random, settings, depth + 1),
  presence: random.pick(settings.isOutput ? ["required", "optional"] : ["required", "required", "optional", "default"]),
});

function pickBounds(random: Random, from: readonly number[]): { readonly min?: number; readonly max?: number } {
  const [a, b] = [random.pick(from), random.pick(from)];
  return { ...(random.chance(0.4) && { min: Math.min(a, b) }), ...(random.chance(0.4) && { max: Math.max(a, b) }) };
}

function pickSome<T>(random: Random, from: readonly T[], least: number): T[] {
  const left = [...from];
  const count = random.between(least, Math.min(4, from.length));
  return Array.from({ length: count }, () => left.splice(random.between(0, left.length - 1), 1)[0] as T);
}

type Tree = { readonly value: number; readonly children: readonly Tree[] };
const tree: z.ZodType<Tree> = z.object({ value: z.number(), children: z.lazy(() => z.array(tree)) });

/**
 * Makes the zod schema of a plan.
 *
 * @param isClosed True for one that also refuses the fields that the plan's schema would drop: a giver sends none.
 */
export function toSchema(plan: Plan, isClosed = false): z.ZodType {
  const inner = (own: Plan) => toSchema(own, isClosed);
  switch (plan.kind) {
    case "string": {
      const bounded = bound(z.string(), plan);
      return plan.pattern === undefined ? bounded : bounded.regex(new RegExp(plan.pattern));
    }
    case "number": {
      const bounded = bound(plan.isInteger ? z.int() : z.number(), plan);
      return plan.step === undefined ? bounded : bounded.multipleOf(plan.step);
    }
    case "boolean":
      return z.boolean();
    case "null":
      return z.null();
    case "date":
      return z.date();
    case "bigint":
      return z.bigint();
    case "bytes":
      return z.instanceof(Uint8Array);
    case "any":
      return z.any();
    case "tree":
      return tree;
    case "enum":
      return z.enum(plan.members as [string]);
    case "literal":
      return z.literal(plan.value);
    case "array":
      return bound(z.array(inner(plan.item)), plan);
    case "tuple": {
      const items = plan.items.map(inner) as [z.ZodType];
      return plan.rest === undefined ? z.tuple(items) : z.tuple(items, inner(plan.rest));
    }
    case "record":
      return z.record(z.string(), inner(plan.inner));
    case "set":
      return z.set(inner(plan.inner));
    case "map":
      return z.map(z.string(), inner(plan.inner));
    case "nullable":
      return z.nullable(inner(plan.inner));
    case "object":
      return toObject(plan, isClosed);
    case "both":
      return z.intersection(toObject(plan.left, isClosed), toObject(plan.right, isClosed));
    case "union":
      return z.union(plan.members.map(inner) as [z.ZodType]);
    case "tagged":
      return z.discriminatedUnion(
        "kind",
        Object.entries(plan.members).map(([tag, own]) => toObject(own, isClosed, { kind: z.literal(tag) })) as never,
      );
    case "tensor":
      return tensor(plan.dtype, plan.shape) as unknown as z.ZodType;
    case "file": {
      const { kind: _, ...options } = plan;
      return file(options) as unknown as z.ZodType;
    }
  }
}

interface Bounded<S> {
  min(at: number): S;
  max(at: number): S;
}

function bound<S extends Bounded<S>>(schema: S, { min, max }: { readonly min?: number; readonly max?: number }): S {
  const low = min === undefined ? schema : schema.min(min);
  return max === undefined ? low : low.max(max);
}

function toObject(
  { fields, mode }: Plan & { readonly kind: "object" },
  isClosed: boolean,
  more: Record<string, z.ZodType> = {},
): z.ZodObject {
  const shape = Object.entries(fields).map(([name, { plan, presence }]): [string, z.ZodType] => {
    const schema = toSchema(plan, isClosed);
    if (presence === "required") return [name, schema];
    if (presence === "optional") return [name, z.optional(schema)];
    return [name, z._default(schema, null as never)];
  });
  const all = { ...more, ...Object.fromEntries(shape) };
  if (mode === "strict" || (isClosed && mode === "strip")) return z.strictObject(all);
  return mode === "loose" ? z.looseObject(all) : z.object(all);
}

/** Makes a random value for a plan. It mostly fits: bounds may exclude each other. */
export function createValue(plan: Plan, random: Random, depth = 0): unknown {
  const inner = (own: Plan) => createValue(own, random, depth + 1);
  const many = (least: number, most: number) => Array.from({ length: random.between(least, Math.max(least, most)) });
  switch (plan.kind) {
    case "string": {
      if (plan.pattern !== undefined) return random.pick<string>(patterns[plan.pattern]);
      const { min = 0, max = min + 4 } = plan;
      return many(min, max)
        .map(() => random.pick(["a", "b", " ", "9", "Z", "é"]))
        .join("");
    }
    case "number":
      return createNumberValue(plan, random);
    case "boolean":
      return random.chance(0.5);
    case "null":
      return null;
    case "date":
      return new Date(random.between(0, 2 ** 40));
    case "bigint":
      return BigInt(random.between(-1000, 1000));
    case "bytes":
      return new Uint8Array(random.between(0, 4));
    case "any":
      return random.pick<unknown>([null, 1, "x", true, [], { a: 1 }]);
    case "tree":
      return { value: random.next(), children: depth > 4 ? [] : many(0, 2).map(() => inner(plan)) };
    case "enum":
      return random.pick(plan.members);
    case "literal":
      return plan.value;
    case "array":
      return many(plan.min ?? 0, Math.min(plan.max ?? 3, 5)).map(() => inner(plan.item));
    case "tuple":
      return [
        ...plan.items.map(inner),
        ...(plan.rest === undefined ? [] : many(0, 2).map(() => inner(plan.rest as Plan))),
      ];
    case "record":
      return Object.fromEntries(many(0, 3).map((_, i) => [random.pick(names) + i, inner(plan.inner)]));
    case "set":
      return new Set(many(0, 3).map(() => inner(plan.inner)));
    case "map":
      return new Map(many(0, 3).map((_, i) => [`key${i}`, inner(plan.inner)]));
    case "nullable":
      return random.chance(0.3) ? null : inner(plan.inner);
    case "object":
      return createFields(plan, random, depth);
    case "both":
      return { ...createFields(plan.left, random, depth), ...createFields(plan.right, random, depth) };
    case "union":
      return inner(random.pick(plan.members));
    case "tagged": {
      const [tag, own] = random.pick(Object.entries(plan.members));
      return { ...createFields(own, random, depth), kind: tag };
    }
    case "tensor": {
      const shape = plan.shape.map((size) => (typeof size === "number" ? size : 2));
      const length = shape.reduce((product, size) => product * size, 1);
      const array = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array }[plan.dtype];
      return new Tensor(plan.dtype, shape, new array(length) as never);
    }
    case "file": {
      const type = (plan.contentType ?? random.pick(["image/png", "a/b"])).replace("*", "gif");
      return new File([new Uint8Array(random.between(0, Math.min(plan.maxBytes ?? 20, 20)))], "f", { type });
    }
  }
}

function createNumberValue(plan: Plan & { readonly kind: "number" }, random: Random): number {
  const { min = (plan.max ?? 0) - 10, max = min + 20, step, isInteger } = plan;
  const edge = random.pick([min, max, random.between(min, Math.max(min, max)), min + random.next() * (max - min)]);
  if (step !== undefined) return Math.ceil(edge / step) * step;
  return isInteger ? Math.round(edge) : edge;
}

function createFields({ fields, mode }: Plan & { readonly kind: "object" }, random: Random, depth: number) {
  const given = Object.entries(fields).flatMap(([name, { plan, presence }]) =>
    presence !== "required" && random.chance(0.4) ? [] : [[name, createValue(plan, random, depth + 1)] as const],
  );
  const more =
    mode === "loose" && random.chance(0.5) ? { [random.pick(names)]: random.pick<unknown>([1, "x", null]) } : {};
  return { ...more, ...Object.fromEntries(given) };
}

/** Changes one place of a plan. */
export function changePlan(plan: Plan, random: Random, settings: PlanSettings): Plan {
  const inner = (own: Plan) => changePlan(own, random, settings);
  if (random.chance(0.06)) return createPlan(random, settings, 2);
  if (random.chance(0.04)) return { kind: "nullable", inner: plan };
  switch (plan.kind) {
    case "string":
      return createString(random);
    case "number":
      return { ...(createNumber(random) as typeof plan), ...(random.chance(0.5) && { isInteger: plan.isInteger }) };
    case "enum":
      return random.chance(0.5) && plan.members.length > 1
        ? { ...plan, members: plan.members.slice(1) }
        : { ...plan, members: [...new Set([...plan.members, random.pick(words)])] };
    case "array":
      return random.chance(0.6)
        ? { ...plan, item: inner(plan.item) }
        : { kind: "array", item: plan.item, ...pickBounds(random, sizes) };
    case "tuple":
      return { ...plan, items: plan.items.map((own, i) => (i === 0 ? inner(own) : own)) };
    case "record":
    case "set":
    case "map":
      return { ...plan, inner: inner(plan.inner) };
    case "nullable":
      return random.chance(0.5) ? plan.inner : { ...plan, inner: inner(plan.inner) };
    case "object":
      return changeObject(plan, random, settings);
    case "both":
      return createBoth(changeObject(plan.left, random, settings), plan.right);
    case "union":
      return random.chance(0.5)
        ? { ...plan, members: plan.members.map((own, i) => (i === 0 ? inner(own) : own)) }
        : {
            ...plan,
            members:
              random.chance(0.5) && plan.members.length > 1
                ? plan.members.slice(1)
                : [...plan.members, createPlan(random, settings, 3)],
          };
    case "tagged": {
      const [[tag, own], ...others] = Object.entries(plan.members) as [[string, Plan & { readonly kind: "object" }]];
      if (random.chance(0.25) && others.length > 0) return { ...plan, members: Object.fromEntries(others) };
      return { ...plan, members: { ...plan.members, [tag]: changeObject(own, random, settings) } };
    }
    case "tensor":
      return random.chance(0.3)
        ? { ...plan, dtype: random.pick(["float32", "int32", "uint8"] as const) }
        : { ...plan, shape: createShape(random) };
    default:
      return createPlan(random, settings, 3);
  }
}

function changeObject(plan: Plan & { readonly kind: "object" }, random: Random, settings: PlanSettings): typeof plan {
  const [name, field] = random.pick(Object.entries(plan.fields));
  const action = random.pick(["change", "change", "change", "presence", "add", "remove", "mode"]);
  const withField = (own: PlannedField, at = name) => ({ ...plan, fields: { ...plan.fields, [at]: own } });
  switch (action) {
    case "presence":
      return withField(
        createField(random, settings, 3).presence === "required"
          ? { ...field, presence: "required" }
          : { ...field, presence: "optional" },
      );
    case "add":
      return withField(createField(random, settings, 2), random.pick(names));
    case "remove": {
      const { [name]: _, ...fields } = plan.fields;
      return Object.keys(fields).length === 0 ? plan : { ...plan, fields };
    }
    case "mode":
      return settings.isOutput ? plan : { ...plan, mode: random.pick(["strip", "strict", "loose"] as const) };
    default:
      return withField({ ...field, plan: changePlan(field.plan, random, settings) });
  }
}
