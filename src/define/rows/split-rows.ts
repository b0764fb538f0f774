import { fail } from "../../failure/fail.js";
import { createKnownTensor, isTensor, type Tensor } from "../tensor.js";
import { notRows, type RowColumn } from "./row-columns.js";

/** How many rows a value of one column has; `undefined` when it is neither an array nor a tensor with axes. */
export function countRows(value: unknown): number | undefined {
  if (Array.isArray(value)) return value.length;
  return isTensor(value) ? (value.shape[0] as number | undefined) : undefined;
}

/** Rows `start` to `end`, without the last, of a value that has at least as many; a tensor as a view. */
export function sliceRows(value: unknown, start: number, end: number): unknown {
  if (Array.isArray(value)) return value.slice(start, end);
  const tensor = value as Tensor;
  return sliceTensor(tensor, Object.freeze([end - start, ...(tensor.shape as number[]).slice(1)]), start);
}

/** As many rows as `shape` says, from row `start` on. */
function sliceTensor({ dtype, data, shape: [rows] }: Tensor, shape: readonly number[], start: number): Tensor {
  const width = data.length / (rows as number);
  return createKnownTensor(dtype, shape, data.subarray(start * width, (start + (shape[0] as number)) * width));
}

/**
 * Cuts the rows of one column into one value for each count, in order.
 *
 * @param counts Each at least 1.
 * @throws {ServingError} `batch_size_changed` when the rows are not as many as the counts add up to: none can then be
 *   matched to its call with certainty. `invalid_output` for what has no rows.
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

/** Most calls of a batch have as many rows as the one before: they share a shape. */
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
