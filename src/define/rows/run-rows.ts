import type { CallScope } from "../../call/call-scope.js";
import { runInScope } from "../../call/current-call.js";
import { holdValue } from "../../call/hold-value.js";
import { type ApiTarget, isPromiseLike } from "../../call/invoke.js";
import { failRow, type RowLayout } from "../../call/row-layout.js";

/** One call of an api that batches, made on an instance. */
interface RowsCall {
  readonly input: unknown;
  readonly scope: CallScope;
  /** At least 1. */
  readonly maxRows: number;
}

/**
 * Runs one call of an api that batches by itself: its rows as one batch, or one after the other as batches of at most
 * `maxRows`. Checks as `invoke` does.
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
    // What is there already is read at once: its author may change it in the next turn.
    const [output] = layout.splitOutput(isPromiseLike(returned) ? await returned : returned, [end - start]);
    const failure = layout.findFailure(output);
    if (failure !== undefined) throw failRow(failure, start, rows);
    outputs.push(end < rows ? holdValue(output) : output);
  }
  return target.checkOutput(layout.joinOutputs(outputs), checked);
}
