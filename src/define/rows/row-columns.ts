import { newBytes } from "../../base/new-bytes.js";
import { holdValue } from "../../call/copy-value.js";
import { fail } from "../../failure/failures.js";
import { isSchema, jsonSchemaOf, type Schema, type Shape } from "../schema.js";
import { arrayByDType, createKnownTensor, type DType, isTensor, type Tensor } from "../tensor.js";
import { isTensorSchema } from "../tensor-schema.js";

/** Rows of a batching api's input or output: the value itself, or one of its fields. */
export interface RowColumn {
  /** Name of the field; `""` for the value itself. */
  readonly field: string;
  /** Dtype and shape of a tensor; absent when the rows are the items of an array. */
  readonly tensor: { readonly dtype: DType; readonly shape: readonly (number | string)[] } | undefined;
}

/** Returns the columns of a shape, which must have passed `columnProblem`. */
export function listColumns(shape: Shape): readonly RowColumn[] {
  return fieldsOf(shape).map(([field, schema]) => ({
    field,
    tensor: isTensorSchema(schema) ? schema.tensor : undefined,
  }));
}

/** Returns the value of a column. */
export function readColumn(value: unknown, { field }: RowColumn): unknown {
  return field === "" ? value : (value as Record<string, unknown> | null | undefined)?.[field];
}

/** Makes a value from those of its columns. */
export function writeColumns(columns: readonly RowColumn[], read: (column: RowColumn) => unknown): unknown {
  const [first] = columns;
  if (first?.field === "") return read(first);
  return Object.fromEntries(columns.map((column) => [column.field, read(column)]));
}

/**
 * Returns the reason for which a shape has no rows; `undefined` when it has rows.
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

/** Returns the failure for a value that has no rows. */
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

/**
 * Checks that a schema is one of arrays. A schema without a JSON Schema is accepted; each of its values is checked
 * later.
 */
function arrayProblem(schema: Schema, name: "input" | "output"): string | undefined {
  const json = jsonSchemaOf(schema, name === "input" ? "output" : "input");
  const type = json?.["type"];
  return type === undefined || type === "array" ? undefined : `is neither an array nor a tensor but of type ${type}`;
}

type Elements = Float32Array;

/** Options of joining rows. */
export interface JoinedRows {
  /** Failure for values that can't be joined. */
  readonly id: "invalid_input" | "invalid_output";
  /** True to copy the items of arrays, as the elements of tensors are. */
  readonly keepsRows: boolean;
}

/**
 * Joins the rows of several values of one column, in order.
 *
 * Arrays are concatenated. Each element of a tensor is copied once; all axes but the first must agree.
 *
 * @throws {ServingError} `id` when they are not all arrays, or all tensors of one dtype and row.
 */
export function joinRows(values: readonly unknown[], column: RowColumn, { id, keepsRows }: JoinedRows): unknown {
  if (values.length === 1) return values[0];
  const [first] = values;
  if (Array.isArray(first)) return joinArrays(values, column, { id, keepsRows });
  if (!isTensor(first)) throw notRows(id, column);
  const { dtype, shape } = first;
  const row = shape.slice(1);
  let rows = 0;
  let length = 0;
  for (const value of values) {
    if (!isTensor(value) || value.dtype !== dtype || !isEqual(value.shape, shape)) throw unlikeRows(id, column, row);
    rows += value.shape[0] as number;
    length += value.data.length;
  }
  const bytes = newBytes(length * arrayByDType[dtype].BYTES_PER_ELEMENT);
  const data = new arrayByDType[dtype](bytes.buffer as ArrayBuffer, 0, length) as Elements;
  let at = 0;
  for (const value of values as readonly Tensor[]) {
    data.set(value.data as Elements, at);
    at += value.data.length;
  }
  return createKnownTensor(dtype, Object.freeze([rows, ...row]), data);
}

function joinArrays(values: readonly unknown[], column: RowColumn, { id, keepsRows }: JoinedRows): unknown[] {
  const rows: unknown[] = [];
  for (const value of values) {
    if (!Array.isArray(value)) throw notRows(id, column);
    for (const row of value) rows.push(keepsRows ? holdValue(row) : row);
  }
  return rows;
}

/** True when two shapes agree in all axes but the first. */
function isEqual(shape: readonly number[], other: readonly number[]): boolean {
  if (shape.length !== other.length) return false;
  for (let axis = 1; axis < shape.length; axis++) if (shape[axis] !== other[axis]) return false;
  return true;
}

const unlikeRows = (id: "invalid_input" | "invalid_output", { field }: RowColumn, row: readonly number[]) =>
  fail(id, {
    issues: [{ path: field, message: `its pieces don't fit together: not all rows have shape [${row.join(", ")}]` }],
  });

/** Counts the rows of a column's value; `undefined` for a value that is neither an array nor a tensor with axes. */
export function countRows(value: unknown): number | undefined {
  if (Array.isArray(value)) return value.length;
  return isTensor(value) ? (value.shape[0] as number | undefined) : undefined;
}

/** Returns rows `start` to `end` (exclusive) of a value that has at least as many; a view of a tensor. */
export function sliceRows(value: unknown, start: number, end: number): unknown {
  if (Array.isArray(value)) return value.slice(start, end);
  const tensor = value as Tensor;
  return sliceTensor(tensor, Object.freeze([end - start, ...(tensor.shape as number[]).slice(1)]), start);
}

/** Returns a view of the rows from `start` on, as many as `shape` says. */
function sliceTensor({ dtype, data, shape: [rows] }: Tensor, shape: readonly number[], start: number): Tensor {
  const width = data.length / (rows as number);
  return createKnownTensor(dtype, shape, data.subarray(start * width, (start + (shape[0] as number)) * width));
}

/**
 * Cuts the rows of one column into one value for each count, in order.
 *
 * @param counts Each at least 1.
 * @throws {ServingError} `batch_size_changed` when the number of rows is not the sum of the counts: no row can then be
 *   matched to its call with certainty. `invalid_output` for a value without rows.
 */
export function splitRows(value: unknown, counts: readonly number[], column: RowColumn): unknown[] {
  const rowsOut = countRows(value);
  if (rowsOut === undefined) throw notRows("invalid_output", column);
  let rowsIn = 0;
  for (const count of counts) rowsIn += count;
  if (rowsOut !== rowsIn) throw fail("batch_size_changed", { rowsIn, rowsOut, field: column.field });
  if (counts.length === 1) return [value];
  return Array.isArray(value) ? splitArray(value, counts) : splitTensor(value as Tensor, counts);
}

function splitArray(rows: readonly unknown[], counts: readonly number[]): unknown[] {
  let start = 0;
  return counts.map((count) => rows.slice(start, (start += count)));
}

/** Cuts a tensor. Most calls of a batch have as many rows as the one before, and then share its shape. */
function splitTensor(tensor: Tensor, counts: readonly number[]): Tensor[] {
  const row = (tensor.shape as number[]).slice(1);
  let shape: readonly number[] = [];
  let start = 0;
  return counts.map((count) => {
    if (shape[0] !== count) shape = Object.freeze([count, ...row]);
    const slice = sliceTensor(tensor, shape, start);
    start += count;
    return slice;
  });
}
