import { fail } from "../../failure/fail.js";
import { isSchema, jsonSchemaOf, type Schema, type Shape } from "../schema.js";
import type { DType } from "../tensor.js";
import { isTensorSchema } from "../tensor-schema.js";

/** One place where an input or an output of an api that batches has its rows: the value itself, or a field of it. */
export interface RowColumn {
  /** `""` for the value itself. */
  readonly field: string;
  /** Absent where the rows are the items of an array. */
  readonly tensor: { readonly dtype: DType; readonly shape: readonly (number | string)[] } | undefined;
}

/** The columns of a shape; it must have passed `columnProblem`. */
export function listColumns(shape: Shape): readonly RowColumn[] {
  return fieldsOf(shape).map(([field, schema]) => ({
    field,
    tensor: isTensorSchema(schema) ? schema.tensor : undefined,
  }));
}

/** The value of a column. */
export function readColumn(value: unknown, { field }: RowColumn): unknown {
  return field === "" ? value : (value as Record<string, unknown> | null | undefined)?.[field];
}

/** A value from those of its columns. */
export function writeColumns(columns: readonly RowColumn[], read: (column: RowColumn) => unknown): unknown {
  const [first] = columns;
  if (first?.field === "") return read(first);
  return Object.fromEntries(columns.map((column) => [column.field, read(column)]));
}

/**
 * Why a shape has no rows; `undefined` when it has.
 *
 * @param side Of its schemas: what the author gets of an input, or gives of an output.
 */
export function columnProblem(shape: Shape | undefined, name: "input" | "output"): string | undefined {
  if (shape === undefined) return `batch joins rows, and there is no ${name} to have any`;
  const fields = fieldsOf(shape);
  if (fields.length === 0) return `batch joins rows, and ${name} has no field to have any`;
  for (const [field, schema] of fields) {
    const problem = isTensorSchema(schema) ? axisProblem(schema.tensor.shape) : arrayProblem(schema, name);
    if (problem !== undefined) return `batch joins rows, and ${field === "" ? name : `${name}.${field}`} ${problem}`;
  }
  const names = new Set(fields.flatMap(([, schema]) => (isTensorSchema(schema) ? [schema.tensor.shape[0]] : [])));
  if (names.size <= 1) return undefined;
  return `batch joins rows, and the first axes of the fields of ${name} have different names: ${[...names].join(", ")}`;
}

/** What is no row where rows are expected. */
export function notRows(id: "invalid_input" | "invalid_output", { field, tensor }: RowColumn) {
  const expected = tensor === undefined ? "an array of rows" : "a tensor whose first axis is rows";
  return fail(id, { issues: [{ path: field, message: `expected ${expected}` }] });
}

function fieldsOf(shape: Shape): [string, Schema][] {
  return isSchema(shape) ? [["", shape]] : Object.entries(shape);
}

function axisProblem(shape: readonly (number | string)[]): string | undefined {
  const [first, ...others] = shape;
  if (first === undefined) return "is a tensor without axes";
  if (typeof first === "number") return `is a tensor whose first axis is always ${first} long; it needs a name`;
  return others.includes(first) ? `has the name of its first axis, "${first}", at another axis too` : undefined;
}

/** A schema that JSON Schema can't tell is taken at its word; each value is looked at when it comes. */
function arrayProblem(schema: Schema, name: "input" | "output"): string | undefined {
  const json = jsonSchemaOf(schema, name === "input" ? "output" : "input");
  const type = json?.["type"];
  return type === undefined || type === "array" ? undefined : `is neither an array nor a tensor but of type ${type}`;
}
