import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Issue } from "../failure/failures.js";
import { createIssue } from "./create-issue.js";
import { findMisfits, growsWithValue, maxIssues } from "./find-misfits.js";
import { isObject, isReferenceKeyword, mapSchemas } from "./map-schemas.js";

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
