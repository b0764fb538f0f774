import type { FileSchema } from "./file.js";
import { findSchema } from "./find-schema.js";
import { fillGaps, isObject, isTextKey } from "./json-forms.js";
import { type Json, ownTypeOf } from "./own-schema.js";
import { convertBy, isSchema, type Schema } from "./schema.js";
import { changesValue, type Form, formOf } from "./schema-form.js";
import type { TensorSchema } from "./tensor-schema.js";

// JSON Schemas that keep what their keywords can't say, so that two versions of a schema can be compared. The keyword
// `x-ekiben` holds it. Documents for people and clients don't have it.

/** Keyword with the mark of a schema. */
export const markKey = "x-ekiben";

/** Part of a schema that JSON Schema has no keywords for. */
export interface SchemaMark {
  /**
   * Type of the value where JSON has none. `nothing` is `undefined`. An `opaque` value is known only to the schema's
   * own library. The parts of a map are `propertyNames` and `additionalProperties`, those of a set are `items`.
   */
  readonly type?: "tensor" | "file" | "date" | "bigint" | "bytes" | "map" | "set" | "nothing" | "opaque";
  /** Element type and sizes of a tensor. */
  readonly dtype?: string;
  readonly shape?: readonly (number | string)[];
  readonly finite?: true;
  /** Limits of a file. */
  readonly contentTypes?: readonly string[];
  readonly maxBytes?: number;
  /** Name of an opaque type: `"zod transform"`. */
  readonly of?: string;
  /** True when `undefined` is accepted too. */
  readonly optional?: true;
  /** Further checks, by name and limits: `"custom"` for a function of the author. */
  readonly checks?: readonly string[];
}

type Side = "input" | "output";

/**
 * Returns the JSON Schema of a schema with its marks. It is whole: what can't be converted is marked as opaque.
 *
 * @param side The value that a caller sends (`input`) or receives (`output`).
 */
export function markedSchemaOf(schema: Schema, side: Side): Json {
  const own = markOwn(schema);
  if (own !== undefined) return own;
  const { vendor } = schema["~standard"];
  if (vendor === "valibot") return markValibot(schema, side, 0);
  const json = convertBy(schema, side, markOptions(side));
  if (json === undefined) return opaque(vendor);
  if (vendor !== "arktype") return json;
  const whole = fillGaps(json, schema, (own) => markOwn(own) ?? {});
  return hidesOwn(schema) || (side === "output" && hidesMade(schema, whole)) ? opaque(vendor) : whole;
}

const mark = (own: SchemaMark): Json => ({ [markKey]: own });
const opaque = (of: string): Json => mark({ type: "opaque", of });

function withChecks(json: Json, checks: readonly string[]): Json {
  const known = (json[markKey] ?? {}) as SchemaMark;
  return { ...json, [markKey]: { ...known, checks: [...(known.checks ?? []), ...checks] } };
}

/** Marks `file()` and `tensor()`; `undefined` for any other schema. */
function markOwn(schema: unknown): Json | undefined {
  switch (ownTypeOf(schema)) {
    case "tensor": {
      const { dtype, shape, finite } = (schema as TensorSchema).tensor;
      return mark({ type: "tensor", dtype, shape, ...(finite === true && { finite }) });
    }
    case "file": {
      const { contentTypes, maxBytes } = (schema as FileSchema).file;
      const limit = Number.isFinite(maxBytes) ? { maxBytes } : undefined;
      return mark({ type: "file", ...(contentTypes.length > 0 && { contentTypes }), ...limit });
    }
    default:
      return undefined;
  }
}

/** True when arktype hides a schema of ekiben in a union, where no gap shows it. */
const hidesOwn = (schema: Schema): boolean =>
  findSchema(schema, ({ form, unions }) => form?.kind === "leaf" && form.own !== undefined && unions.length > 0) !==
  undefined;

/** True when arktype may show a value that a function makes as any value. */
const hidesMade = (schema: unknown, json: Json): boolean =>
  (schema as { internal?: { includesTransform?: unknown } }).internal?.includesTransform === true &&
  /[:[,]\{\}|^\{\}/.test(JSON.stringify(json));

/** Converts a schema inside a map or a set. References would lead to nothing there. */
function markInner(inner: unknown, side: Side): Json {
  if (!isSchema(inner)) return {};
  const json = markedSchemaOf(inner, side);
  return JSON.stringify(json).includes('"$ref"') ? opaque("recursive") : json;
}

/** Marks a value without a notation in JSON; `undefined` for a form that is no such value. */
function markForm(form: Form | undefined, convert: (inner: unknown) => Json): Json | undefined {
  if (form?.kind === "set") return { ...mark({ type: "set" }), ...part("items", form.item, convert) };
  if (form?.kind === "map") {
    const keys = part("propertyNames", form.key, convert);
    return { ...mark({ type: "map" }), ...keys, ...part("additionalProperties", form.value, convert) };
  }
  if (form?.kind !== "leaf") return undefined;
  if (form.own !== undefined) return markOwn(form.own);
  return form.type === "other" || form.type === "tensor" ? opaque(form.name) : mark({ type: form.type });
}

const part = (keyword: string, inner: unknown, convert: (inner: unknown) => Json): Json | undefined =>
  inner === undefined ? undefined : { [keyword]: convert(inner) };

/** Options for the converters of zod and arktype. Each ignores those of the other. */
function markOptions(side: Side): Json {
  const convert = (inner: unknown) => markInner(inner, side);
  return {
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema }: { zodSchema: unknown; jsonSchema: Json }) =>
      markZod(zodSchema as ZodSchema, jsonSchema, side),
    fallback: {
      date: () => mark({ type: "date" }),
      domain: ({ domain, base }: { domain: string; base: Json }) =>
        domain === "bigint" ? mark({ type: "bigint" }) : { ...base, ...opaque(domain) },
      proto: ({ proto }: { proto: unknown }) => markClass(proto, convert),
      // Functions of an author, and what else JSON Schema has no words for.
      default: ({ code, base }: { code: string; base: Json }) => withChecks(base, [code]),
    },
  };
}

function markClass(proto: unknown, convert: (inner: unknown) => Json): Json {
  if (proto === Map) return mark({ type: "map" });
  if (proto === Set) return mark({ type: "set" });
  if (proto === Uint8Array) return mark({ type: "bytes" });
  if (proto === File || proto === Blob) return mark({ type: "file" });
  return markForm(undefined, convert) ?? opaque(typeof proto === "function" ? proto.name : "a class");
}

/** Part of a zod schema that is read here. */
interface ZodSchema {
  readonly _zod: { readonly def: ZodDef };
}
interface ZodDef {
  readonly type: string;
  readonly checks?: readonly ZodSchema[];
  readonly coerce?: boolean;
  readonly discriminator?: unknown;
  readonly values?: readonly unknown[];
  readonly in?: ZodSchema;
  readonly [field: string]: unknown;
}

/** Checks that the converter of zod writes as keywords, by type. */
const writtenChecks: Readonly<Record<string, readonly string[]>> = {
  string: ["min_length", "max_length", "length_equals", "string_format"],
  number: ["greater_than", "less_than", "multiple_of", "number_format"],
  array: ["min_length", "max_length", "length_equals"],
  tuple: ["min_length", "max_length", "length_equals"],
};

/** Types that only zod itself can check. */
const zodOnly = ["symbol", "function", "custom", "transform", "nan", "promise", "success"];

/** Marks one schema of zod, after its converter has written its keywords and those that it takes from an inner one. */
function markZod(schema: ZodSchema, json: Json, side: Side): void {
  const { def } = schema._zod;
  const own = markOwn(schema) ?? markForm(formOf(schema), (inner) => markInner(inner, side));
  if (own !== undefined) replace(json, own);
  else if (def.type === "undefined" || def.type === "void") replace(json, mark({ type: "nothing" }));
  else if (def.type === "catch" && side === "input") replace(json, {});
  else if (isZodOnly(def, side)) Object.assign(json, opaque(`zod ${def.type}`));
  else if (def.type === "date" || def.type === "bigint") replace(json, mark({ type: def.type }));
  if (def.type === "union" && def.discriminator !== undefined && json["oneOf"] !== undefined) {
    // The members exclude each other by a field, so "exactly one" and "at least one" are the same.
    json["anyOf"] = json["oneOf"];
    delete json["oneOf"];
  }
  const { optional, ...marked } = (json[markKey] ?? {}) as SchemaMark;
  const checks = [...(marked.checks ?? []), ...listZodChecks(def, side), ...takeFlaggedPatterns(def, json)];
  const mayLack = acceptsLack(def.type, side) ?? optional === true;
  const whole = { ...marked, ...(checks.length > 0 && { checks }), ...(mayLack && { optional: true as const }) };
  if (Object.keys(whole).length > 0) json[markKey] = whole;
  else delete json[markKey];
}

function replace(json: Json, by: Json): void {
  for (const keyword of Object.keys(json)) delete json[keyword];
  Object.assign(json, by);
}

/** True for a schema whose keywords don't tell the values that it accepts. */
function isZodOnly({ type, coerce, values, in: first }: ZodDef, side: Side): boolean {
  if (zodOnly.includes(type)) return true;
  if (values?.some((value) => typeof value === "bigint" || value === undefined) === true) return true;
  if (side === "output") return false;
  return coerce === true || (type === "pipe" && first?._zod.def.type === "transform");
}

/** Tells whether a wrapper accepts `undefined`; `undefined` for a type that leaves it to the schema inside. */
function acceptsLack(type: string, side: Side): boolean | undefined {
  if (type === "optional") return true;
  if (type === "default" || type === "prefault") return side === "input";
  return type === "nonoptional" ? false : undefined;
}

/** Lists the checks of a schema that its keywords don't tell. */
function listZodChecks(def: ZodDef, side: Side): string[] {
  const written = writtenChecks[def.type] ?? [];
  const checks = (def.checks ?? []).map(({ _zod }) => _zod.def as unknown as Readonly<Record<string, unknown>>);
  const own = def["check"] === "string_format" ? [def] : [];
  return [
    ...checks.filter(({ check }) => !written.includes(String(check))).map(formatCheck),
    ...[...own, ...checks]
      .filter((check) => formatLimits.some((limit) => check[limit] instanceof RegExp))
      .map(formatCheck),
    ...(def.type === "pipe" && side === "input" ? ["pipe"] : []),
  ];
}

/**
 * Takes the patterns out of a text's keywords when one of them has flags, for which no keyword exists, and lists them
 * as checks.
 */
function takeFlaggedPatterns(def: ZodDef, json: Json): string[] {
  if (def.type !== "string") return [];
  const patterns = [def, ...(def.checks ?? []).map(({ _zod }) => _zod.def)].flatMap(({ pattern }) =>
    pattern instanceof RegExp ? [pattern] : [],
  );
  if (!patterns.some(({ flags }) => /[ims]/.test(flags))) return [];
  delete json["pattern"];
  delete json["allOf"];
  return patterns.map(String);
}

/** Limits of checks, in the order in which they are shown. */
const checkLimits = ["value", "inclusive", "minimum", "maximum", "length", "size", "mime", "property"];
/** Limits of formats that no keyword tells. */
const formatLimits = ["hostname", "protocol"];

const formatCheck = (check: Readonly<Record<string, unknown>>): string =>
  [
    String(check["check"]),
    ...[...checkLimits, ...formatLimits].flatMap((limit) => (check[limit] === undefined ? [] : [show(check[limit])])),
  ].join(" ");

function show(limit: unknown): string {
  if (limit instanceof Date) return Number.isNaN(limit.getTime()) ? "an invalid date" : limit.toISOString();
  if (limit instanceof RegExp || typeof limit === "bigint") return String(limit);
  return Array.isArray(limit) ? limit.map(String).join(",") : String(limit);
}

/** Part of a valibot schema that is read here. */
interface ValibotSchema {
  readonly type: string;
  readonly pipe?: readonly { readonly kind?: unknown; readonly type?: unknown; readonly requirement?: unknown }[];
  readonly fallback?: unknown;
  readonly default?: unknown;
  readonly literal?: unknown;
  readonly options?: readonly unknown[];
  readonly entries?: Readonly<Record<string, ValibotSchema>>;
  readonly items?: readonly unknown[];
  readonly rest?: unknown;
  readonly wrapped?: unknown;
}

/** Deepest nesting of a valibot schema that is converted; one that refers to itself has no end. */
const maxDepth = 24;

/** Converts a valibot schema, which has no converter of its own. */
function markValibot(schema: unknown, side: Side, depth: number): Json {
  const own = markOwn(schema);
  if (own !== undefined) return own;
  const given = schema as ValibotSchema;
  if (depth > maxDepth || typeof given?.type !== "string") return opaque("recursive");
  if (given.fallback !== undefined && side === "input") return {};
  if (side === "output" && changesValue(schema)) return opaque("valibot pipe");
  const convert = (inner: unknown) => markValibot(inner, side, depth + 1);
  const json = markForm(formOf(schema), convert) ?? convertValibotType(given, side, convert);
  const checks = (given.pipe ?? []).slice(1).flatMap(({ kind, type, requirement }) => {
    if (kind === "metadata") return [];
    return kind === "validation" && !(requirement instanceof Function)
      ? [`${String(type)} ${show(requirement)}`]
      : [String(type)];
  });
  return checks.length === 0 ? json : withChecks(json, checks);
}

function convertValibotType(schema: ValibotSchema, side: Side, convert: (inner: unknown) => Json): Json {
  const { type, literal, options = [], wrapped } = schema;
  const hasDefault = "default" in schema && schema.default !== undefined;
  switch (type) {
    case "string":
    case "number":
    case "boolean":
    case "null":
      return { type };
    case "any":
    case "unknown":
      return {};
    case "void":
    case "undefined":
      return mark({ type: "nothing" });
    case "literal":
      return ["bigint", "symbol"].includes(typeof literal)
        ? opaque(`valibot literal ${String(literal)}`)
        : { const: literal };
    case "picklist":
    case "enum":
      return { enum: options };
    case "union":
    case "variant":
      return { anyOf: options.map(convert) };
    case "nullable":
      return { anyOf: [convert(wrapped), { type: "null" }] };
    case "optional":
    case "exact_optional":
    case "undefinedable":
      return hasDefault && side === "output" ? convert(wrapped) : mayLack(convert(wrapped));
    case "nullish": {
      const json = { anyOf: [convert(wrapped), { type: "null" }] };
      return hasDefault && side === "output" ? json : mayLack(json);
    }
    default:
      return convertValibotParts(schema, side, convert) ?? opaque(`valibot ${type}`);
  }
}

const mayLack = (json: Json): Json => ({ ...json, [markKey]: { ...(json[markKey] as SchemaMark), optional: true } });

function convertValibotParts(schema: ValibotSchema, side: Side, convert: (inner: unknown) => Json): Json | undefined {
  const { type, items = [], rest, entries } = schema;
  if (type.endsWith("tuple") || type === "tuple_with_rest") {
    const first = { type: "array", prefixItems: items.map(convert), minItems: items.length };
    const isClosed = type === "strict_tuple" || (type === "tuple" && side === "output");
    if (isClosed) return { ...first, items: false, maxItems: items.length };
    return rest === undefined ? first : { ...first, items: convert(rest) };
  }
  if (type === "array") return { type: "array", items: convert((schema as { item?: unknown }).item) };
  if (type === "record") {
    const { key, value } = schema as { key?: unknown; value?: unknown };
    const names = isTextKey(key) ? { propertyNames: convert(key) } : mark({ checks: ["keys"] });
    return { type: "object", ...names, additionalProperties: convert(value) };
  }
  if (!type.includes("object") || !isObject(entries)) return undefined;
  const fields = Object.entries(entries) as [string, ValibotSchema][];
  const isLeft = ({ type: inner, default: given }: ValibotSchema) =>
    ["optional", "exact_optional", "nullish"].includes(inner) && !(side === "output" && given !== undefined);
  const isClosed = type === "strict_object" || (type === "object" && side === "output");
  return {
    type: "object",
    properties: Object.fromEntries(fields.map(([name, field]) => [name, convert(field)])),
    required: fields.filter(([, field]) => !isLeft(field)).map(([name]) => name),
    ...(isClosed ? { additionalProperties: false } : rest !== undefined && { additionalProperties: convert(rest) }),
  };
}
