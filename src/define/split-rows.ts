import { fail } from "../failure/fail.js";
import { notRows, type RowColumn } from "./row-columns.js";
import { isTensor, Tensor } from "./tensor.js";

/** How many rows a value of one column has; `undefined` when it is neither an array nor a tensor with axes. */
export function countRows(value: unknown): number | undefined {
  if (Array.isArray(value)) return value.length;
  return isTensor(value) ? (value.shape[0] as number | undefined) : undefined;
}

/** Rows `start` to `end`, without the last, of a value that has at least as many; a tensor as a view. */
export function sliceRows(value: unknown, start: number, end: number): unknown {
  if (Array.isArray(value)) return value.slice(start, end);
  const { dtype, shape, data } = value as Tensor;
  const [rows, ...row] = shape as readonly number[];
  const width = data.length / (rows as number);
  return new Tensor(dtype, [end - start, ...row], data.subarray(start * width, end * width) as Float32Array);
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
  let start = 0;
  return counts.map((count) => {
    const end = start + count;
    const slice = sliceRows(value, start, end);
    start = end;
    return slice;
  });
}
