import type { StandardSchemaV1 } from "@standard-schema/spec";
import { PacedWork } from "../base/clock.js";
import { streamProblem } from "../call/streams/item-reader.js";
import type { Issue } from "../failure/failures.js";
import { createIssue, findMisfits, growsWithValue, holdsMore, maxIssues } from "./find-misfits.js";
import { converterOptions, convertValibot, fillGaps, isObject } from "./json-forms.js";
import { isPlainList } from "./schema-form.js";

/** Any Standard Schema (https://standardschema.dev): zod, valibot, arktype, and ekiben's own `tensor()` and `file()`. */
export type Schema<In = any, Out = In> = StandardSchemaV1<In, Out>;

/** Part of a contract: a schema, or an object of schemas, which may be of different libraries. */
export type Shape = Schema | { readonly [field: string]: Schema };

type Fields<S> = { readonly [K in keyof S]: Schema };
type OptionalKeys<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T];
type WithOptional<T> = Flat<Omit<T, OptionalKeys<T>> & Partial<Pick<T, OptionalKeys<T>>>>;
/** Lists the fields. Editors show the result of a conditional type, and the name of any other with its arguments. */
type Flat<T> = T extends infer U ? { [K in keyof U]: U[K] } : never;

/** Type that a caller passes for shape `S`. */
export type InputOf<S extends Shape> = S extends Schema
  ? StandardSchemaV1.InferInput<S>
  : S extends Fields<S>
    ? WithOptional<{ -readonly [K in keyof S]: StandardSchemaV1.InferInput<S[K]> }>
    : never;

/** Type of a value that shape `S` has checked. */
export type OutputOf<S extends Shape> = S extends Schema
  ? StandardSchemaV1.InferOutput<S>
  : S extends Fields<S>
    ? WithOptional<{ -readonly [K in keyof S]: StandardSchemaV1.InferOutput<S[K]> }>
    : never;

/** A JSON Schema, draft 2020-12, as OpenAPI 3.1 uses it. */
export type JsonSchema = { [keyword: string]: unknown };

/** Result of a check: the value as its schema transforms it, or its issues. */
export type CheckResult =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly Issue[]; readonly value?: undefined };

/** True when `value` follows the Standard Schema protocol. */
export function isSchema(value: unknown): value is Schema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard = (value as { "~standard"?: { validate?: unknown } })["~standard"];
  return typeof standard?.validate === "function";
}

/** Checks a value. Returns a promise only if the schema itself is asynchronous. */
export type SchemaCheck = (value: unknown) => CheckResult | Promise<CheckResult>;

/** Creates the check of a schema. It reports at most `maxIssues` issues of a value. */
export function createSchemaCheck(schema: Schema): SchemaCheck {
  /** Set once all parts can be read: in schemas that refer to one another, some may be defined later. */
  let mayGrow: boolean | undefined;
  return (value) => {
    if (typeof value === "object" && (mayGrow ??= growsWithValue(schema))) {
      const misfits = findMisfits(schema, value);
      if (misfits.length > 0) return { issues: misfits };
    }
    const result = schema["~standard"].validate(value);
    return result instanceof Promise ? result.then(toCheckResult) : toCheckResult(result);
  };
}

function toCheckResult(result: StandardSchemaV1.Result<unknown>): CheckResult {
  if (result.issues === undefined) return result;
  return { issues: result.issues.slice(0, maxIssues).map(createIssue) };
}

interface JsonSchemaOptions {
  readonly target: string;
  readonly libraryOptions: Readonly<Record<string, unknown>>;
}

/** The converter that Standard JSON Schema (https://standardschema.dev/json-schema) puts on a schema. */
interface JsonSchemaConverter {
  input(options: JsonSchemaOptions): JsonSchema;
  output(options: JsonSchemaOptions): JsonSchema;
}

/**
 * Converts a schema.
 *
 * @param isWhole True to refuse a schema of zod with a type that JSON can't express, instead of leaving it out.
 */
function convert(schema: Schema, side: "input" | "output", isWhole: boolean): JsonSchema | undefined {
  const libraryOptions = converterOptions(isWhole, (inner) => convertInner(inner, side));
  if (!hasConverter(schema)) return convertValibot(schema, side);
  const json = convertBy(schema, side, libraryOptions);
  return json !== undefined && schema["~standard"].vendor === "arktype" ? fillGaps(json, schema) : json;
}

const hasConverter = (schema: Schema): boolean =>
  (schema["~standard"] as { jsonSchema?: JsonSchemaConverter }).jsonSchema !== undefined;

/**
 * Converts a schema by its own converter.
 *
 * @param libraryOptions Options that only its library knows.
 * @returns `undefined` when the schema has no converter, or refuses.
 */
export function convertBy(
  schema: Schema,
  side: "input" | "output",
  libraryOptions: JsonSchemaOptions["libraryOptions"],
): JsonSchema | undefined {
  const { jsonSchema: converter } = schema["~standard"] as { jsonSchema?: JsonSchemaConverter };
  if (converter === undefined) return undefined;
  try {
    const { $schema: _, ...rest } = converter[side]({ target: "draft-2020-12", libraryOptions });
    return rest;
  } catch {
    return undefined;
  }
}

/** Converts a schema to stand inside the JSON Schema of another. References would lead to nothing there. */
function convertInner(inner: unknown, side: "input" | "output"): JsonSchema {
  const json = isSchema(inner) ? (convert(inner, side, false) ?? {}) : {};
  return "$defs" in json || "$ref" in json ? {} : json;
}

/**
 * Returns the JSON Schema of a schema, by the schema's own converter.
 *
 * @param side The value that a caller sends (`input`) or receives (`output`). They differ if a schema transforms or has
 *   defaults.
 * @returns    `undefined` when the schema has no converter, or refuses (a type JSON Schema can't say).
 */
export function jsonSchemaOf(schema: Schema, side: "input" | "output"): JsonSchema | undefined {
  return convert(schema, side, false);
}

/**
 * True when JSON Schema can represent the whole schema. If it can't, documents show "any value" for the missing part.
 */
export function hasWholeJsonSchema(schema: Schema, side: "input" | "output"): boolean {
  return convert(schema, side, true) !== undefined;
}

/**
 * Makes a JSON Schema part of a larger document: its own references (`"#/$defs/x"`) then begin at `base`.
 *
 * @param base Place of the schema in the document, as a JSON pointer with its `#`: `"#/properties/line"`.
 */
export function rebaseRefs(schema: JsonSchema, base: string): JsonSchema {
  const move = (reference: string): string => (/^#(\/|$)/.test(reference) ? base + reference.slice(1) : reference);
  const rebase = (part: unknown): unknown => {
    if (!isObject(part)) return part;
    const moved = Object.entries(part).map(([keyword, value]): [string, unknown] => [
      keyword,
      isReferenceKeyword(keyword, value) ? move(value) : mapSchemas(keyword, value, rebase),
    ]);
    return Object.fromEntries(moved);
  };
  return rebase(schema) as JsonSchema;
}

/** True when a value fits a schema, as far as the schema answers synchronously. */
export function acceptsNow(schema: unknown, value: unknown): boolean {
  if (!isSchema(schema)) return false;
  try {
    const result = schema["~standard"].validate(value);
    if (!(result instanceof Promise)) return result.issues === undefined;
    // Its failure is of no interest here, and no unhandled rejection.
    result.catch(() => {});
    return false;
  } catch {
    return false;
  }
}

/** A schema for a stream, with the schema of its items, which ekiben itself reads. */
export interface StreamSchema<I = any, O = I> extends Schema<AsyncIterable<I> | Iterable<I>, AsyncIterable<O>> {
  readonly stream: { readonly item: Shape };
}

/**
 * Makes the input of an api a stream:
 * `api({ input: stream(chunk), … }, async (chunks) => { for await (const chunk of chunks) … })`.
 *
 * The caller passes any `AsyncIterable` or `Iterable` of items, also the unread stream of another handle. The api gets
 * an `AsyncIterable`, which can be read once. Items are requested only as fast as the api reads them, and each is
 * checked when it is read. As `output`, `stream(x)` means the same as `yields: x`. Only an input or an output as a
 * whole can be a stream.
 *
 * @param item Schema of each item, or an object of schemas. Names of tensor sizes hold within one item.
 */
export function stream<S extends Shape>(item: S): StreamSchema<InputOf<S>, OutputOf<S>> {
  const validate = (value: unknown) => {
    const message = streamProblem(value);
    return message === undefined ? { value } : { issues: [{ message }] };
  };
  return {
    stream: { item },
    "~standard": { version: 1, vendor: "ekiben", validate },
  } as unknown as StreamSchema<InputOf<S>, OutputOf<S>>;
}

/** True for a schema made by `stream()`. */
export function isStreamSchema(schema: unknown): schema is StreamSchema {
  return isSchema(schema) && typeof (schema as { stream?: unknown }).stream === "object";
}

// Keywords of JSON Schema (draft 2020-12 and older drafts) whose values are schemas. Code that changes all schemas of a
// document uses this list, so that an example or a default that only looks like a schema is not changed.

/** Keywords whose value is a schema. */
const schemaKeywords = new Set([
  ...["items", "additionalItems", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"],
  ...["unevaluatedItems", "unevaluatedProperties", "contentSchema"],
]);
/** Keywords whose value is a list of schemas. */
const listKeywords = new Set(["anyOf", "oneOf", "allOf", "prefixItems", "items"]);
/** Keywords whose value is an object of schemas. */
const mapKeywords = new Set(["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"]);

/** Applies `change` to each schema in the value of a keyword. Everything else stays. */
export function mapSchemas(keyword: string, value: unknown, change: (schema: unknown) => unknown): unknown {
  if (listKeywords.has(keyword) && Array.isArray(value)) return value.map(change);
  if (mapKeywords.has(keyword) && isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, schema]) => [key, change(schema)]));
  }
  // `true` and `false` are schemas too, and need no change.
  return schemaKeywords.has(keyword) && isObject(value) ? change(value) : value;
}

/** True for a keyword that refers to another schema. The value of a property with that name is not a string. */
export const isReferenceKeyword = (keyword: string, value: unknown): value is string =>
  (keyword === "$ref" || keyword === "$dynamicRef" || keyword === "$recursiveRef") && typeof value === "string";

const ofSlice = /^\[(\d+)\]/;

/** Turns an issue of a slice into one of the list from which it was cut. */
const shift = ({ path, message }: Issue, at: number): Issue => ({
  path: path.replace(ofSlice, (_, index: string) => `[${Number(index) + at}]`),
  message,
});

/** Most inner values of a list that is checked at once: about 2 ms of a validator. */
const maxValuesAtOnce = 20_000;
/** Items of one slice. */
const sliceLength = 64;
/** Milliseconds of checking after which other work gets a turn. */
const turnMs = 4;

/**
 * Creates the check of an input. A long list is checked in slices, and other work runs in between: a validator can't be
 * interrupted, and takes 150 ms for a million values of a union.
 *
 * Used only for a schema that checks nothing but the items, so that a list is valid when its slices are. The list must
 * not change meanwhile.
 */
export function createPacedCheck(schema: Schema): SchemaCheck {
  const check = createSchemaCheck(schema);
  return (value) => {
    const isLong = Array.isArray(value) && value.length > sliceLength && holdsMore(value, maxValuesAtOnce);
    return isLong && isPlainList(schema) ? checkInSlices(check, value) : check(value);
  };
}

async function checkInSlices(check: SchemaCheck, list: readonly unknown[]): Promise<CheckResult> {
  const value: unknown[] = [];
  const issues: Issue[] = [];
  const work = new PacedWork(turnMs);
  for (let at = 0; at < list.length && issues.length < maxIssues; at += sliceLength) {
    const checked = check(list.slice(at, at + sliceLength));
    const result = checked instanceof Promise ? await checked : checked;
    if (result.issues === undefined) value.push(...(result.value as unknown[]));
    else issues.push(...result.issues.map((issue) => shift(issue, at)));
    if (work.isRestDue) await work.rest();
  }
  return issues.length > 0 ? { issues: issues.slice(0, maxIssues) } : { value };
}
