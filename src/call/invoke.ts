import { AsyncLocalStorage } from "node:async_hooks";
import { types } from "node:util";
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
  /** A check that takes its time reads a copy that it has made at once. */
  readonly checkOutput: (value: unknown, input: unknown) => unknown | Promise<unknown>;
  /** Of an api that streams: the schema that alone decides about each item; `undefined` where sizes are shared with the input. */
  readonly itemSchema: unknown;
  /** Of an api that batches. */
  readonly rows?: RowLayout;
}

/** Who gets what comes of a call, in the turn in which it comes: the author may change the value in the next. */
export interface InvokeSink {
  output(value: unknown): void;
  failure(thrown: unknown): void;
}

/**
 * Runs one unary call: input check, the author's function, output check.
 *
 * By calls, not by promises: the output is checked and given on in the very turn in which the author's promise resolves, and
 * a call costs no promise but that one. The scope is left to whoever opened it.
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
        // Nobody waits for it any more; its replica may have been stopped.
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
 * What an author's function gave, with a promise of the engine's own in place of any other: that one settles once, and throws
 * nothing at whoever listens. Throws what an object throws when it is asked for its `then`.
 */
export const toNative = (output: unknown): unknown => (isPromiseLike(output) ? Promise.resolve(output) : output);

/** Whether what `toNative` gave is a promise. Asks nothing of an author's object that could throw. */
export const isNative = (output: unknown): output is Promise<unknown> => types.isPromise(output);

/** Whether a value must be awaited. */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as PromiseLike<unknown>).then === "function";
}

/** Where code of a caller's runs that makes the items of another call's input: in its own call, for that one. */
interface Feeding {
  readonly isFeeding: true;
  readonly scope: CallScope | undefined;
  readonly reader: CallScope;
}

const storage = shareState("calls", () => new AsyncLocalStorage<CallScope | Feeding | undefined>());

const isFeeding = (place: CallScope | Feeding | undefined): place is Feeding =>
  (place as Partial<Feeding> | undefined)?.isFeeding === true;

/** What runs here, as `scopeOf` and `readerOf` read it; `undefined` where no api does. */
export type AmbientCall = CallScope | Feeding | undefined;

export const ambientCall = (): AmbientCall => storage.getStore();

/** The scope of the api that runs at a place. */
export const scopeOf = (place: AmbientCall): CallScope | undefined => (isFeeding(place) ? place.scope : place);

/** The call whose input is being made at a place. */
export const readerOf = (place: AmbientCall): CallScope | undefined => (isFeeding(place) ? place.reader : undefined);

/** The scope of the api that is running here, if one is. */
export const currentScope = (): CallScope | undefined => scopeOf(ambientCall());

/** As `runInScope`, for code that makes the input of the call `reader`. */
export function runFor<I, T>(scope: CallScope | undefined, reader: CallScope, run: (input: I) => T, input: I): T {
  return storage.run({ isFeeding: true, scope, reader }, run, input);
}

/** Runs `run` so that `currentCall()` and the handles called in it belong to `scope`, or to none. */
export function runInScope<I, T>(scope: CallScope | undefined, run: (input: I) => T, input: I): T {
  return storage.run(scope, run, input);
}

/**
 * The call that is being answered: signal, deadline, remaining time, trace, caller, headers and a logger.
 *
 * @throws {ServingError} `no_current_call` where no api is running.
 */
export function currentCall(): CurrentCall {
  const scope = currentScope();
  if (scope === undefined) throw fail("no_current_call", { versions: loadedVersions() });
  return scope.running;
}

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
