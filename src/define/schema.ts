import type { StandardSchemaV1 } from "@standard-schema/spec";
import { PacedWork } from "../base/clock.js";
import { streamProblem } from "../call/streams/item-reader.js";
import type { Issue } from "../failure/failures.js";
import { createIssue, findMisfits, growsWithValue, holdsMore, isPlainList, maxIssues } from "./find-misfits.js";

/** Any Standard Schema (https://standardschema.dev): zod, valibot, arktype, and ekiben's own `tensor()` and `file()`. */
export type Schema<In = any, Out = In> = StandardSchemaV1<In, Out>;

/** What a contract may name: a schema, or an object of them (fields of any validator side by side). */
export type Shape = Schema | { readonly [field: string]: Schema };

type Fields<S> = { readonly [K in keyof S]: Schema };
type OptionalKeys<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T];
type WithOptional<T> = Simplify<Omit<T, OptionalKeys<T>> & Partial<Pick<T, OptionalKeys<T>>>>;
type Simplify<T> = { [K in keyof T]: T[K] };

/** What a caller may pass for shape `S`. */
export type InputOf<S extends Shape> = S extends Schema
  ? StandardSchemaV1.InferInput<S>
  : S extends Fields<S>
    ? WithOptional<{ -readonly [K in keyof S]: StandardSchemaV1.InferInput<S[K]> }>
    : never;

/** What comes out once shape `S` has checked it. */
export type OutputOf<S extends Shape> = S extends Schema
  ? StandardSchemaV1.InferOutput<S>
  : S extends Fields<S>
    ? WithOptional<{ -readonly [K in keyof S]: StandardSchemaV1.InferOutput<S[K]> }>
    : never;

/** A JSON Schema, draft 2020-12, as OpenAPI 3.1 takes it. */
export type JsonSchema = { [keyword: string]: unknown };

/** What a check gives: the value as its schema hands it on, or what was wrong with it. */
export type CheckResult =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly Issue[]; readonly value?: undefined };

/** Whether `value` follows the Standard Schema protocol. */
export function isSchema(value: unknown): value is Schema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard = (value as { "~standard"?: { validate?: unknown } })["~standard"];
  return typeof standard?.validate === "function";
}

/** Checks a value; gives a promise only when the schema itself is asynchronous. */
export type SchemaCheck = (value: unknown) => CheckResult | Promise<CheckResult>;

/** The check of a schema, which tells of the first `maxIssues` things that are wrong with a value. */
export function createSchemaCheck(schema: Schema): SchemaCheck {
  /** Known once all parts can be had: of schemas that refer to one another some may come later. */
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

/** One custom type must not hide the rest of a schema: told to, zod says "anything" there instead of refusing the whole. */
function convert(schema: Schema, side: "input" | "output", unrepresentable: "any" | "throw"): JsonSchema | undefined {
  const converter = (schema["~standard"] as { jsonSchema?: JsonSchemaConverter }).jsonSchema;
  if (converter === undefined) return undefined;
  try {
    const { $schema: _, ...rest } = converter[side]({ target: "draft-2020-12", libraryOptions: { unrepresentable } });
    return rest;
  } catch {
    return undefined;
  }
}

/**
 * The JSON Schema of a schema, by the schema's own converter.
 *
 * @param side What a caller sends (`input`) or receives (`output`): they differ where a schema transforms or defaults.
 * @returns    `undefined` when the schema has no converter, or refuses (a type JSON Schema can't say).
 */
export function jsonSchemaOf(schema: Schema, side: "input" | "output"): JsonSchema | undefined {
  return convert(schema, side, "any");
}

/** Whether JSON Schema can say all that a schema says; where it can't, documents show any value. */
export function hasWholeJsonSchema(schema: Schema, side: "input" | "output"): boolean {
  return convert(schema, side, "throw") !== undefined;
}

/**
 * A JSON Schema as part of a larger document: its own references (`"#/$defs/x"`) are made to begin at `base`.
 *
 * @param base Where the schema will stand, as a JSON pointer with its `#`: `"#/properties/line"`.
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

/** A schema for an input that is a stream, with what ekiben itself needs to know of it. */
export interface StreamSchema<I = any, O = I> extends Schema<AsyncIterable<I> | Iterable<I>, AsyncIterable<O>> {
  readonly stream: { readonly item: Shape };
}

/**
 * The input of an api that is a stream: `api({ input: stream(chunk), … }, async (chunks) => { for await (const chunk of chunks) … })`.
 *
 * The caller passes any `AsyncIterable` or `Iterable` of items, also the stream that another handle gave, unread; the api gets
 * an `AsyncIterable`, to be read once. Items are asked for only as fast as the api reads them, and each is checked when it is
 * read. As `output`, `stream(x)` means the same as `yields: x`. Only an input or an output as a whole can be a stream.
 *
 * @param item Of each item: a schema, or an object of them. Names of sizes in tensors hold within one item.
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

/** Whether a schema was made by `stream()`. */
export function isStreamSchema(schema: unknown): schema is StreamSchema {
  return isSchema(schema) && typeof (schema as { stream?: unknown }).stream === "object";
}

// Which keywords of JSON Schema (draft 2020-12, and what older drafts had in their place) hold schemas. Whoever changes all
// schemas of a document asks here, so that an example or a default which only looks like one stays as it is.

/** Keywords whose value is a schema. */
const schemaKeywords = new Set([
  ...["items", "additionalItems", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"],
  ...["unevaluatedItems", "unevaluatedProperties", "contentSchema"],
]);
/** Those whose value is a list of schemas. */
const listKeywords = new Set(["anyOf", "oneOf", "allOf", "prefixItems", "items"]);
/** Those whose value is an object of schemas. */
const mapKeywords = new Set(["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"]);

/** The value of a keyword, with each schema in it changed; what is no schema stays. */
export function mapSchemas(keyword: string, value: unknown, change: (schema: unknown) => unknown): unknown {
  if (listKeywords.has(keyword) && Array.isArray(value)) return value.map(change);
  if (mapKeywords.has(keyword) && isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, schema]) => [key, change(schema)]));
  }
  // `true` and `false` are schemas, and as lawful here.
  return schemaKeywords.has(keyword) && isObject(value) ? change(value) : value;
}

/** Whether a keyword of a schema refers to another one. A property may be called the same: then its value is no text. */
export const isReferenceKeyword = (keyword: string, value: unknown): value is string =>
  (keyword === "$ref" || keyword === "$dynamicRef" || keyword === "$recursiveRef") && typeof value === "string";

/** Whether a value is an object, as all schemas but `true` and `false` are. */
export function isObject(value: unknown): value is { [keyword: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const ofSlice = /^\[(\d+)\]/;

/** An issue of a slice, as one of the list it was cut from. */
const shift = ({ path, message }: Issue, at: number): Issue => ({
  path: path.replace(ofSlice, (_, index: string) => `[${Number(index) + at}]`),
  message,
});

/** A list that holds more values is checked in slices: some 2 ms of a validator. */
const maxValuesAtOnce = 20_000;
/** Items of a slice. */
const sliceLength = 64;
/** Others have a turn after so many milliseconds. */
const turnMs = 4;

/**
 * The check of an input: a long list is checked a slice at a time, and others have their turns meanwhile. A validator can't be
 * interrupted, and a million values of a union take it 150 ms.
 *
 * Only where a slice fits as its list does: the schema says nothing but what the items are. The list must not change meanwhile.
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
