import type { ServingError } from "../failure/serving-error.js";
import { copyError } from "../failure/to-serving-error.js";

/** A row that failed, where its result should be: the author returned a `ServingError` in its place. */
export interface RowFailure {
  readonly error: ServingError;
  /** Of the rows it was looked for in, from 0. */
  readonly row: number;
}

/**
 * The failure of a call one of whose rows failed; of a call with several rows, its `details.row` tells which one.
 *
 * @param start First row of the piece in which it was found.
 * @param rows  Of the whole call.
 */
export function failRow({ error, row }: RowFailure, start: number, rows: number): ServingError {
  return rows === 1 ? error : copyError(error, { details: { ...readDetails(error), row: start + row } });
}

/** An author's details may be anything, and throw when they are read. */
function readDetails(error: ServingError): object {
  try {
    return { ...error.details };
  } catch {
    return {};
  }
}

/**
 * Where the rows are in the inputs and outputs of an api that batches, and how they are joined and cut.
 *
 * Rows are the items of an array, or the first axis of a tensor; or of each field of an object of such. Inputs have passed
 * the api's check.
 */
export interface RowLayout {
  /** @throws {ServingError} `invalid_input` when the fields of an object have different numbers of rows. */
  countRows(input: unknown): number;
  /** Equal for inputs that may be joined: their axes but the first have the same sizes. */
  groupOf(input: unknown): string;
  /**
   * One input of all rows, in order. Tensors are copied once; a single input is given back as it is.
   *
   * @param keepsRows Whether those given must stay as they are: items of arrays are then copied as well.
   */
  joinInputs(inputs: readonly unknown[], keepsRows: boolean): unknown;
  /** Rows `start` to `end`, without the last; tensors as views. */
  sliceInput(input: unknown, start: number, end: number): unknown;
  /**
   * Cuts what the author returned into one output for each count, in order; tensors as views.
   *
   * @throws {ServingError} `batch_size_changed` when there are not as many rows as the counts add up to; `invalid_output`
   *   when there are no rows to count.
   */
  splitOutput(output: unknown, counts: readonly number[]): unknown[];
  /** The first row of an output that failed. */
  findFailure(output: unknown): RowFailure | undefined;
  /** The output of a call that was run in pieces. @throws {ServingError} `invalid_output` when they don't fit together. */
  joinOutputs(outputs: readonly unknown[]): unknown;
  /** The output for an input without rows: an empty array; a tensor with the sizes that the input knows, and 0 for others. */
  emptyOutput(input: unknown): unknown;
}
