import { fileJsonSchema } from "./file.js";
import { findSchema } from "./find-schema.js";
import type { Json } from "./own-schema.js";
import { changesValue, coreOf, type Form, formOf, type LeafForm } from "./schema-form.js";

// JSON Schemas of values that JSON has no notation for, in the forms in which ekiben reads and writes them. Each has a
// title, by which forms, clients and documents know it.

/** Converts a schema inside another one. */
type ConvertInner = (schema: unknown) => Json;

/** True for a schema whose values ekiben makes from a JSON form, or writes in one. `file()` and `tensor()` are such. */
export const hasJsonForm = (form: Form | undefined): form is Extract<Form, { kind: "leaf" | "map" | "set" }> =>
  (form?.kind === "leaf" && form.type !== "other") || form?.kind === "map" || form?.kind === "set";

/** Returns the JSON Schema of a value in its JSON form; `undefined` when the form is no such value. */
function jsonOfForm(form: Form | undefined, convert: ConvertInner): Json | undefined {
  if (!hasJsonForm(form)) return undefined;
  if (form.kind === "leaf") return jsonOfLeaf(form);
  if (form.kind === "set") return { title: "set", type: "array", items: convert(form.item) };
  if (isTextKey(form.key)) return { title: "map", type: "object", additionalProperties: convert(form.value) };
  const pair = { type: "array", minItems: 2, maxItems: 2, description: "a key and its value" };
  return { title: "map", type: "array", items: pair };
}

function jsonOfLeaf({ type, own }: LeafForm): Json | undefined {
  switch (type) {
    case "date":
      return { title: "date", type: "string", format: "date-time" };
    case "bigint":
      return { title: "bigint", type: ["integer", "string"], pattern: "^-?[0-9]+$" };
    case "bytes":
      return { title: "bytes", type: "string", contentEncoding: "base64" };
    case "file":
      return own === undefined ? fileJsonSchema() : jsonOfOwn(own);
    default:
      return own === undefined ? undefined : jsonOfOwn(own);
  }
}

const jsonOfOwn = ({ "~standard": standard }: NonNullable<LeafForm["own"]>): Json =>
  (standard as unknown as { jsonSchema: { input(): Json } }).jsonSchema.input();

/** True when the keys of a map may be texts, so that an object can stand for it. */
export function isTextKey(key: unknown): boolean {
  if (key === undefined) return true;
  const { _zod, kind, type } = key as { _zod?: { def?: { type?: unknown } }; kind?: unknown; type?: unknown };
  const name = _zod?.def?.type ?? (kind === "schema" ? type : undefined);
  return typeof name !== "string" || !["number", "int", "bigint", "boolean", "date", "object", "array"].includes(name);
}

/** Part of a zod schema, as zod's converter passes it on. */
interface ZodPart {
  readonly zodSchema: unknown;
  readonly jsonSchema: Json;
}

/**
 * Returns options for the converters of zod and arktype, which leave out the values that JSON has no notation for. Each
 * ignores the options of the other.
 *
 * @param isWhole True to make zod refuse the types that remain without any form.
 */
export function converterOptions(isWhole: boolean, convert: ConvertInner): Json {
  const unrepresentable = ({ zodSchema }: { zodSchema: unknown }) => (hasJsonForm(formOf(zodSchema)) ? "any" : "throw");
  return {
    unrepresentable: isWhole ? unrepresentable : "any",
    override: ({ zodSchema, jsonSchema }: ZodPart) => {
      const form = formOf(zodSchema);
      if (form?.kind === "leaf" && form.own !== undefined) return;
      const json = jsonOfForm(form, convert);
      if (json === undefined) return;
      for (const keyword of zodFileKeywords) delete jsonSchema[keyword];
      Object.assign(jsonSchema, json);
    },
    fallback: {
      date: () => jsonOfLeaf({ kind: "leaf", type: "date", name: "" }),
      domain: ({ domain, base }: { domain: string; base: Json }) =>
        domain === "bigint" ? jsonOfLeaf({ kind: "leaf", type: "bigint", name: "" }) : base,
      proto: ({ proto, base }: { proto: unknown; base: Json }) => jsonOfClass(proto) ?? base,
    },
  };
}

/** Keywords with which zod describes a file as plain bytes. */
const zodFileKeywords = ["format", "contentEncoding", "contentMediaType", "minLength", "maxLength", "anyOf"];

function jsonOfClass(proto: unknown): Json | undefined {
  if (proto === Map) return { title: "map", type: "object" };
  if (proto === Set) return { title: "set", type: "array" };
  if (proto === Uint8Array) return jsonOfLeaf({ kind: "leaf", type: "bytes", name: "" });
  return proto === File || proto === Blob ? fileJsonSchema() : undefined;
}

/**
 * Puts the JSON Schemas of `file()` and `tensor()` where a converter that does not know them has left a gap. arktype
 * shows them to its converter as functions.
 */
export function fillGaps(json: Json, schema: unknown, convertOwn = jsonOfOwn, depth = 0): Json {
  const form = coreOf(schema);
  if (form === undefined || depth > maxDepth) return json;
  const fill = (inner: unknown, given: unknown): Json =>
    fillGaps(isObject(given) ? given : {}, inner, convertOwn, depth + 1);
  switch (form.kind) {
    case "leaf":
      return form.own !== undefined && !("type" in json || "anyOf" in json)
        ? { ...json, ...convertOwn(form.own) }
        : json;
    case "fields": {
      const properties = json["properties"];
      if (!isObject(properties)) return json;
      const filled = Object.entries(properties).map(([name, given]) => {
        const inner = Object.hasOwn(form.fields, name) ? form.fields[name] : form.rest;
        return [name, fill(inner, given)];
      });
      return { ...json, properties: Object.fromEntries(filled) };
    }
    case "list":
      return isObject(json["items"]) || json["type"] === "array"
        ? { ...json, items: fill(form.rest, json["items"]) }
        : json;
    default:
      return json;
  }
}

const maxDepth = 16;

/** True for an object, as all JSON Schemas but `true` and `false` are. */
export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Fields of a valibot schema that are read here. */
interface ValibotSchema {
  readonly type: string;
  readonly entries?: Readonly<Record<string, ValibotSchema>>;
  readonly options?: readonly unknown[];
  readonly literal?: unknown;
  readonly wrapped?: unknown;
  readonly default?: unknown;
}

/**
 * Converts a valibot schema that holds files, tensors or other values with a JSON form; `undefined` for any other,
 * since valibot has no converter of its own.
 */
export function convertValibot(schema: unknown, side: "input" | "output"): Json | undefined {
  if ((schema as { kind?: unknown }).kind !== "schema") return undefined;
  if (findSchema(schema, ({ form }) => hasJsonForm(form)) === undefined) return undefined;
  return convertPart(schema, side, 0);
}

function convertPart(schema: unknown, side: "input" | "output", depth: number): Json {
  if (depth > maxDepth || typeof schema !== "object" || schema === null) return {};
  const part = schema as ValibotSchema;
  if (side === "output" && changesValue(schema)) return {};
  const convert = (inner: unknown) => convertPart(inner, side, depth + 1);
  const form = formOf(schema);
  const special = jsonOfForm(form, convert);
  if (special !== undefined) return special;
  switch (form?.kind) {
    case "list":
      return { type: "array", items: form.items.length === 0 ? convert(form.rest) : {} };
    case "fields":
      return convertFields(form, part, convert);
    case "union":
      return { anyOf: form.members.map(convert) };
    case "wrapped":
      return part.type === "intersect" ? { allOf: form.inner.map(convert) } : convertWrapped(part, convert);
    default:
      return convertPlain(part);
  }
}

function convertFields(
  { fields, rest }: Extract<Form, { kind: "fields" }>,
  { type }: ValibotSchema,
  convert: ConvertInner,
): Json {
  const entries = Object.entries(fields) as [string, ValibotSchema][];
  const required = entries.filter(([, field]) => !mayBeLeftOut.includes(field.type)).map(([name]) => name);
  return {
    type: "object",
    ...(entries.length > 0 && {
      properties: Object.fromEntries(entries.map(([name, field]) => [name, convert(field)])),
    }),
    ...(required.length > 0 && { required }),
    ...(rest !== undefined && { additionalProperties: convert(rest) }),
    ...(type === "strict_object" && { additionalProperties: false }),
  };
}

const mayBeLeftOut = ["optional", "exact_optional", "nullish"];

function convertWrapped({ type, wrapped, default: fallback }: ValibotSchema, convert: ConvertInner): Json {
  const json = convert(wrapped);
  const given = ["string", "number", "boolean"].includes(typeof fallback) ? { default: fallback } : undefined;
  return type === "nullable" || type === "nullish"
    ? { anyOf: [json, { type: "null" }], ...given }
    : { ...json, ...given };
}

function convertPlain({ type, literal, options }: ValibotSchema): Json {
  if (type === "literal") return ["bigint", "symbol"].includes(typeof literal) ? {} : { const: literal };
  if (type === "picklist" || type === "enum") return { enum: options };
  return ["string", "number", "boolean", "null"].includes(type) ? { type } : {};
}
