import type { CallScope } from "./call-scope.js";
import { runInScope } from "./current-call.js";
import type { RowLayout } from "./row-layout.js";

/** An api's function and its checks, bound to one instance of its service. */
export interface ApiTarget {
  readonly kind: "unary" | "stream";
  readonly run: (input: unknown) => unknown;
  readonly checkInput: (value: unknown) => unknown | Promise<unknown>;
  readonly checkOutput: (value: unknown, input: unknown) => unknown | Promise<unknown>;
  /** Of an api that streams: the schema that alone decides about each item; `undefined` where sizes are shared with the input. */
  readonly itemSchema: unknown;
  /** Of an api that batches. */
  readonly rows?: RowLayout;
}

/**
 * Runs one unary call: input check, the author's function, output check.
 *
 * Not an async function, so that a call costs no promise beyond the author's own.
 *
 * @param isChecked False skips both checks (values that never left the process, when the app asks for it).
 * @returns The output or a promise of it; throws or rejects. The scope is left to whoever opened it.
 */
export function invoke(
  target: ApiTarget,
  input: unknown,
  scope: CallScope,
  isChecked: boolean,
): unknown | PromiseLike<unknown> {
  if (!isChecked) return runInScope(scope, target.run, input);
  const checked = target.checkInput(input);
  if (checked instanceof Promise) return checked.then((settled) => runChecked(target, settled, scope));
  return runChecked(target, checked, scope);
}

function runChecked(target: ApiTarget, input: unknown, scope: CallScope): unknown | PromiseLike<unknown> {
  const output = runInScope(scope, target.run, input);
  if (isPromiseLike(output)) return output.then((settled) => target.checkOutput(settled, input));
  return target.checkOutput(output, input);
}

/** Whether a value must be awaited. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as PromiseLike<unknown>).then === "function";
}
