import { AsyncLocalStorage } from "node:async_hooks";
import { types } from "node:util";
import { isPromiseLike } from "../base/promised-input.js";
import { loadedVersions, shareState } from "../base/shared-state.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { copyError } from "../failure/to-serving-error.js";
import type { CallScope } from "./call-scope.js";
import type { CurrentCall } from "./running-call.js";

/** An api's function and its checks, bound to one instance of its service. */
export interface ApiTarget {
  readonly kind: "unary" | "stream";
  readonly run: (input: unknown) => unknown;
  readonly checkInput: (value: unknown) => unknown | Promise<unknown>;
  /** A check that takes time reads a copy that it makes at once. */
  readonly checkOutput: (value: unknown, input: unknown) => unknown | Promise<unknown>;
  /** Schema that alone decides about each item of a streaming api; `undefined` where input and items share sizes. */
  readonly itemSchema: unknown;
  /** Row layout of an api that batches. */
  readonly rows?: RowLayout;
}

/** Receives the outcome of a call in the turn in which it appears: the author may change the value in the next turn. */
export interface InvokeSink {
  output(value: unknown): void;
  failure(thrown: unknown): void;
}

/**
 * Runs one unary call: input check, the author's function, output check.
 *
 * It uses callbacks, not promises: the output is checked and passed on in the turn in which the author's promise
 * resolves, and a call costs no promise but that one. The caller of `invoke` closes the scope.
 *
 * @param isChecked False skips both checks (values that never left the process, when the app asks for it).
 */
export function invoke(
  target: ApiTarget,
  input: unknown,
  scope: CallScope,
  isChecked: boolean,
  sink: InvokeSink,
): void {
  if (!isChecked) {
    run(target, input, scope, sink, undefined);
    return;
  }
  let checked: unknown;
  try {
    checked = target.checkInput(input);
  } catch (error) {
    sink.failure(error);
    return;
  }
  if (checked instanceof Promise) {
    checked.then(
      (settled) => {
        // A cancelled call does not run: its replica may have been stopped.
        if (scope.reason === undefined) run(target, settled, scope, sink, target.checkOutput);
        else sink.failure(scope.reason);
      },
      (error: unknown) => sink.failure(error),
    );
  } else {
    run(target, checked, scope, sink, target.checkOutput);
  }
}

function run(
  target: ApiTarget,
  input: unknown,
  scope: CallScope,
  sink: InvokeSink,
  check: ApiTarget["checkOutput"] | undefined,
): void {
  let output: unknown;
  try {
    output = toNative(runInScope(scope, target.run, input));
  } catch (error) {
    sink.failure(error);
    return;
  }
  if (!isNative(output)) {
    give(output, input, sink, check);
    return;
  }
  output.then(
    (settled) => give(settled, input, sink, check),
    (error: unknown) => sink.failure(error),
  );
}

function give(output: unknown, input: unknown, sink: InvokeSink, check: ApiTarget["checkOutput"] | undefined): void {
  if (check === undefined) {
    sink.output(output);
    return;
  }
  let checked: unknown;
  try {
    checked = check(output, input);
  } catch (error) {
    sink.failure(error);
    return;
  }
  if (checked instanceof Promise) {
    checked.then(
      (settled) => sink.output(settled),
      (error: unknown) => sink.failure(error),
    );
  } else {
    sink.output(checked);
  }
}

/**
 * Returns the result of an author's function, with a native promise in place of any other thenable. A native promise
 * settles once and throws nothing at its listeners. Throws the error that reading `then` of an object throws.
 */
export const toNative = (output: unknown): unknown => (isPromiseLike(output) ? Promise.resolve(output) : output);

/** True when a result of `toNative` is a promise. Reads nothing of an author's object that could throw. */
export const isNative = (output: unknown): output is Promise<unknown> => types.isPromise(output);

/** Runs work that must run once for an app. @returns True where it ran here. */
export type RunOnce = (name: string, work: () => unknown) => Promise<boolean>;

/**
 * Context of code beside the ordinary code of an api: a caller's code that makes the items of another call's input
 * runs in its own call, for that one; the start of a service runs in no call.
 */
interface Feeding {
  readonly isFeeding: true;
  readonly scope: CallScope | undefined;
  readonly reader: CallScope | undefined;
  /** Set at the start of a service. */
  readonly runOnce?: RunOnce;
}

const storage = shareState("calls", () => new AsyncLocalStorage<CallScope | Feeding | undefined>());

const isFeeding = (place: CallScope | Feeding | undefined): place is Feeding =>
  (place as Partial<Feeding> | undefined)?.isFeeding === true;

/** Context of the running code, as `scopeOf` and `readerOf` read it; `undefined` where no api runs. */
export type AmbientCall = CallScope | Feeding | undefined;

export const ambientCall = (): AmbientCall => storage.getStore();

/** Scope of the api that runs in a context. */
export const scopeOf = (place: AmbientCall): CallScope | undefined => (isFeeding(place) ? place.scope : place);

/** The call whose input is being made in a context. */
export const readerOf = (place: AmbientCall): CallScope | undefined => (isFeeding(place) ? place.reader : undefined);

/** Scope of the api that is running here, if one is. */
export const currentScope = (): CallScope | undefined => scopeOf(ambientCall());

/** Runs `run` like `runInScope`, for code that makes the input of the call `reader`. */
export function runFor<I, T>(scope: CallScope | undefined, reader: CallScope, run: (input: I) => T, input: I): T {
  return storage.run({ isFeeding: true, scope, reader }, run, input);
}

/** Runs the start of a service, so that `once()` works in it. */
export function runAtStart<T>(runOnce: RunOnce, run: () => T): T {
  return storage.run({ isFeeding: true, scope: undefined, reader: undefined, runOnce }, run);
}

/**
 * Runs work that must run once for an app, however many replicas and machines it has: a migration of a database. Call
 * it in `start()`, or in the function that opens a `resource()`.
 *
 * Of the replicas that start at the same time, one runs the work; the others wait until it is done, as long as they may
 * start. It is recorded in the app's task store and never runs again under that name. If it fails, it fails for all who
 * wait for it, and the next start runs it again. If its process ends in the middle, another replica runs it.
 *
 * @param name Name of the work, 1 to 255 characters, the same in all services of the app: `"migrate-3"`.
 * @returns    True where the work ran here; false when it was done before or elsewhere.
 * @throws {ServingError} `once_failed`, `once_out_of_place`, `task_store_driver_missing`, `task_store_unavailable`.
 */
export async function once(name: string, work: () => unknown): Promise<boolean> {
  const place = ambientCall();
  const runOnce = isFeeding(place) ? place.runOnce : undefined;
  if (runOnce === undefined) throw fail("once_out_of_place", { name: String(name) });
  return runOnce(name, work);
}

/** Runs `run` so that `currentCall()` and the handles called in it belong to `scope`, or to none. */
export function runInScope<I, T>(scope: CallScope | undefined, run: (input: I) => T, input: I): T {
  return storage.run(scope, run, input);
}

/**
 * Returns the call that is being answered: signal, deadline, remaining time, trace, caller, headers and a logger.
 *
 * @throws {ServingError} `no_current_call` where no api is running.
 */
export function currentCall(): CurrentCall {
  const scope = currentScope();
  if (scope === undefined) throw fail("no_current_call", { versions: loadedVersions() });
  return scope.running;
}

/** A failed row in the position of its result: the author returned a `ServingError` there. */
interface RowFailure {
  readonly error: ServingError;
  /** Index in the rows that were searched, from 0. */
  readonly row: number;
}

/**
 * Returns the failure of a call with a failed row. For a call with several rows, `details.row` is the index of the row.
 *
 * @param start First row of the piece in which it was found.
 * @param rows Rows of the whole call.
 */
export function failRow({ error, row }: RowFailure, start: number, rows: number): ServingError {
  return rows === 1 ? error : copyError(error, { details: { ...readDetails(error), row: start + row } });
}

/** Details of an author may be of any type, and may throw when they are read. */
function readDetails(error: ServingError): object {
  try {
    return { ...error.details };
  } catch {
    return {};
  }
}

/**
 * Position of the rows in the inputs and outputs of an api that batches, with the operations to join and cut them.
 *
 * Rows are the items of an array, the first axis of a tensor, or these in each field of an object. Inputs have passed
 * the api's check.
 */
export interface RowLayout {
  /** @throws {ServingError} `invalid_input` when the fields of an object have different numbers of rows. */
  countRows(input: unknown): number;
  /** Returns equal texts for inputs that may be joined: their axes but the first have the same sizes. */
  groupOf(input: unknown): string;
  /**
   * Joins inputs into one with all rows, in order. Tensors are copied once; a single input is returned unchanged.
   *
   * @param keepsRows True when the given rows must not change: items of arrays are then copied too.
   */
  joinInputs(inputs: readonly unknown[], keepsRows: boolean): unknown;
  /** Returns rows `start` to `end`, `end` excluded; tensors as views. */
  sliceInput(input: unknown, start: number, end: number): unknown;
  /**
   * Cuts the author's output into one output for each count, in order; tensors as views.
   *
   * @throws {ServingError} `batch_size_changed` when the number of rows is not the sum of the counts; `invalid_output`
   * when the output has no rows to count.
   */
  splitOutput(output: unknown, counts: readonly number[]): unknown[];
  /** Returns the first failed row of an output. */
  findFailure(output: unknown): RowFailure | undefined;
  /**
   * Joins the outputs of a call that ran in pieces. @throws {ServingError} `invalid_output` when they don't fit
   * together.
   */
  joinOutputs(outputs: readonly unknown[]): unknown;
  /**
   * Returns the output for an input without rows: an empty array, or a tensor with the sizes known from the input and 0
   * for the others.
   */
  emptyOutput(input: unknown): unknown;
}
