import { newBytes } from "../../base/new-bytes.js";
import { holdValue } from "../../call/hold-value.js";
import { fail } from "../../failure/fail.js";
import { arrayByDType, createKnownTensor, isTensor, type Tensor } from "../tensor.js";
import { notRows, type RowColumn } from "./row-columns.js";

type Elements = Float32Array;

/** How rows are joined. */
export interface JoinedRows {
  /** Of the failure of those that don't fit together. */
  readonly id: "invalid_input" | "invalid_output";
  /** Whether items of arrays are copied, as the elements of tensors are. */
  readonly keepsRows: boolean;
}

/**
 * Joins the rows of several values of one column, in order.
 *
 * Arrays are concatenated. Of tensors, each element is copied once; all but their first axes must agree.
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

/** Whether two shapes agree in all but their first axis. */
function isEqual(shape: readonly number[], other: readonly number[]): boolean {
  if (shape.length !== other.length) return false;
  for (let axis = 1; axis < shape.length; axis++) if (shape[axis] !== other[axis]) return false;
  return true;
}

const unlikeRows = (id: "invalid_input" | "invalid_output", { field }: RowColumn, row: readonly number[]) =>
  fail(id, {
    issues: [{ path: field, message: `its pieces don't fit together: not all rows have shape [${row.join(", ")}]` }],
  });
