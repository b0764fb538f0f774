import { isPromiseLike } from "../../base/promised-input.js";
import type { CallScope } from "../../call/call-scope.js";
import { holdValue } from "../../call/copy-value.js";
import { type ApiTarget, failRow, type RowLayout, runInScope } from "../../call/invoke.js";
import { fail } from "../../failure/failures.js";
import { ServingError } from "../../failure/serving-error.js";
import { isStreamSchema, type Shape } from "../schema.js";
import { arrayByDType, isTensor, Tensor } from "../tensor.js";
import {
  columnProblem,
  countRows,
  type JoinedRows,
  joinRows,
  listColumns,
  notRows,
  type RowColumn,
  readColumn,
  sliceRows,
  splitRows,
  writeColumns,
} from "./row-columns.js";

/** Parts of a contract that decide where the rows are. */
interface RowShapes {
  readonly input?: Shape;
  readonly output?: Shape;
}

/** Returns the reason for which the calls of an api can't be joined; `undefined` when they can. */
export function batchProblem({ input, output }: RowShapes): string | undefined {
  if (output === undefined) return "batch joins calls into one, and an api that yields a stream answers each by itself";
  if (isStreamSchema(input)) return "batch joins calls into one, and an api that takes a stream reads each by itself";
  return columnProblem(input, "input") ?? columnProblem(output, "output");
}

/** Finds the rows of a contract, which must have passed `batchProblem`. */
export function createRowLayout({ input, output }: RowShapes): RowLayout {
  const inputs = listColumns(input as Shape);
  const outputs = listColumns(output as Shape);
  const openAxes = listOpenAxes(inputs);
  return {
    countRows: (value) => countInput(value, inputs),
    groupOf: openAxes.length === 0 ? () => "" : (value) => formatSizes(value, openAxes),
    joinInputs: (values, keepsRows) => joinColumns(values, inputs, { id: "invalid_input", keepsRows }),
    sliceInput: (value, start, end) =>
      writeColumns(inputs, (column) => sliceRows(readColumn(value, column), start, end)),
    splitOutput: (value, counts) => splitColumns(value, counts, outputs),
    findFailure: (value) => findFailure(value, outputs),
    joinOutputs: (values) => joinColumns(values, outputs, { id: "invalid_output", keepsRows: false }),
    emptyOutput: (value) => {
      const sizes = readSizes(value, inputs);
      return writeColumns(outputs, ({ tensor }) => (tensor === undefined ? [] : createEmpty(tensor, sizes)));
    },
  };
}

function countInput(value: unknown, columns: readonly RowColumn[]): number {
  let rows: number | undefined;
  for (const column of columns) {
    const own = countRows(readColumn(value, column));
    if (own === undefined) throw notRows("invalid_input", column);
    rows ??= own;
    if (own === rows) continue;
    const message = `has ${own} rows, ${columns[0]?.field} has ${rows}`;
    throw fail("invalid_input", { issues: [{ path: column.field, message }] });
  }
  return rows as number;
}

/** An axis after the first whose size is not in the contract. */
interface OpenAxis {
  readonly column: RowColumn;
  readonly axis: number;
}

function listOpenAxes(columns: readonly RowColumn[]): OpenAxis[] {
  return columns.flatMap((column) =>
    (column.tensor?.shape ?? []).flatMap((dim, axis) =>
      axis > 0 && typeof dim === "string" ? [{ column, axis }] : [],
    ),
  );
}

function formatSizes(value: unknown, axes: readonly OpenAxis[]): string {
  let key = "";
  for (const { column, axis } of axes) key += `${(readColumn(value, column) as Tensor).shape[axis]},`;
  return key;
}

function joinColumns(values: readonly unknown[], columns: readonly RowColumn[], how: JoinedRows): unknown {
  if (values.length === 1) return values[0];
  return writeColumns(columns, (column) =>
    joinRows(
      values.map((value) => readColumn(value, column)),
      column,
      how,
    ),
  );
}

function splitColumns(value: unknown, counts: readonly number[], columns: readonly RowColumn[]): unknown[] {
  const [first] = columns;
  if (first?.field === "") return splitRows(value, counts, first);
  const split = new Map(columns.map((column) => [column, splitRows(readColumn(value, column), counts, column)]));
  if (counts.length === 1) return [value];
  return counts.map((_, i) => writeColumns(columns, (column) => split.get(column)?.[i]));
}

/** Finds a failure in place of a row. Only arrays can have one. */
function findFailure(value: unknown, columns: readonly RowColumn[]) {
  for (const column of columns) {
    const rows = readColumn(value, column);
    if (!Array.isArray(rows)) continue;
    const row = rows.findIndex((item) => item instanceof ServingError);
    if (row >= 0) return { error: rows[row] as ServingError, row };
  }
  return undefined;
}

function readSizes(value: unknown, columns: readonly RowColumn[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const column of columns) {
    const tensor = readColumn(value, column);
    if (!isTensor(tensor)) continue;
    column.tensor?.shape.forEach((dim, axis) => {
      if (typeof dim === "string") sizes.set(dim, tensor.shape[axis] as number);
    });
  }
  return sizes;
}

function createEmpty({ dtype, shape }: NonNullable<RowColumn["tensor"]>, sizes: ReadonlyMap<string, number>): Tensor {
  const row = shape.slice(1).map((dim) => (typeof dim === "number" ? dim : (sizes.get(dim) ?? 0)));
  return new Tensor(dtype, [0, ...row], new arrayByDType[dtype](0) as Float32Array) as Tensor;
}

/** One call of a batching api on an instance. */
interface RowsCall {
  readonly input: unknown;
  readonly scope: CallScope;
  /** Most rows of one run; at least 1. */
  readonly maxRows: number;
}

/**
 * Runs one call of a batching api by itself: its rows as one batch, or as consecutive batches of at most `maxRows`.
 * Checks as `invoke` does.
 */
export async function runRows(
  target: ApiTarget,
  layout: RowLayout,
  { input, scope, maxRows }: RowsCall,
): Promise<unknown> {
  const checked = await target.checkInput(input);
  const rows = layout.countRows(checked);
  if (rows === 0) return target.checkOutput(layout.emptyOutput(checked), checked);
  const outputs: unknown[] = [];
  for (let start = 0; start < rows; start += maxRows) {
    const end = Math.min(rows, start + maxRows);
    const piece = rows <= maxRows ? checked : layout.sliceInput(checked, start, end);
    const returned = runInScope(scope, target.run, piece);
    // A result that is there already is read at once: its author may change it in the next turn.
    const [output] = layout.splitOutput(isPromiseLike(returned) ? await returned : returned, [end - start]);
    const failure = layout.findFailure(output);
    if (failure !== undefined) throw failRow(failure, start, rows);
    outputs.push(end < rows ? holdValue(output) : output);
  }
  return target.checkOutput(layout.joinOutputs(outputs), checked);
}
