import type { Priority } from "../call/call.js";
import type { TaskState } from "../call/task-state.js";
import type { Tensor } from "./tensor.js";

/**
 * A value, or the promise of one: the unawaited result of one call is a valid argument of the next.
 *
 * `PromiseLike` covers `Promise`. Both are named because the compiler then reports a wrong promise in one line.
 */
export type MaybePromise<T> = T | Promise<T> | PromiseLike<T>;

/**
 * Input of a call by a handle or a client: the value, the promise of it, or an object with promises in its fields. All
 * of them are awaited, at the same time, before the call is made.
 */
export type MaybePromises<T> = PromisedFields<T> | Promise<T> | PromiseLike<T>;

/** Values without fields that could be promises. */
type Whole =
  | (string | number | bigint | boolean | symbol | null | undefined)
  | (Iterable<unknown> | AsyncIterable<unknown> | ArrayBufferView | Tensor | Blob | Date);
type PromisedFields<T> = T extends Whole ? T : { [K in keyof T]: MaybePromise<T[K]> };

/** Options of one call. */
export interface CallOptions {
  /** Milliseconds for the call. It can only shorten the time that the caller has left. */
  readonly timeoutMs?: number;
  /** Cancels the call. */
  readonly signal?: AbortSignal;
  /**
   * Lets the call outlive its caller: it has its own deadline, and is not cancelled when the calling api ends. Default
   * false.
   */
  readonly detach?: boolean;
  /**
   * `"background"` calls wait until interactive ones that arrive within a second have run. Default: priority of the
   * caller.
   */
  readonly priority?: Priority;
}

/** Key of the definition on a field that `api()` made. */
export const apiKey: unique symbol = Symbol.for("ekiben.api");

// An api without input has a schema of type void, so `[I] extends [None]` detects it.
// biome-ignore lint/suspicious/noConfusingVoidType: compared with a schema's type, not used as a value
type None = void;

// `unknown extends I` comes first, since `any` extends everything, also void.
type Input<I> = unknown extends I
  ? [input?: I]
  : [I] extends [None]
    ? []
    : undefined extends I
      ? [input?: I]
      : [input: I];

/** Class field that `api()` makes from a contract with `output`. On an instance it runs in place, checks included. */
export interface Api<I, O> {
  (...input: Input<I>): Promise<O>;
  readonly [apiKey]: { readonly kind: "unary" };
}

/** Class field that `api()` makes from a contract with `yields`. On an instance it runs in place, checks included. */
export interface StreamApi<I, O> {
  (...input: Input<I>): AsyncIterable<O>;
  readonly [apiKey]: { readonly kind: "stream" };
}

/** Class field that `task()` makes. On an instance it runs in place, checks included, and nothing is stored. */
export interface Task<I, O> {
  (...input: Input<I>): Promise<O>;
  readonly [apiKey]: { readonly kind: "task" };
}

/** Options of a submitted task, besides those of any call. */
export interface SubmitOptions {
  /**
   * Key of this submit. Every later submit with the same key, to the same task of the same app, returns the task of the
   * first. 1 to 255 printable ASCII characters. The key is kept as long as the task.
   */
  readonly key?: string;
  /** Milliseconds before which the task does not run; at most 365 days. It runs at once unless this is given. */
  readonly delayMs?: number;
}

declare const insideKey: unique symbol;

/**
 * Mark of an api whose schemas change values: types of its checked input, and of its output before the check. Only the
 * compiler sees it.
 */
export interface Inside<I, O> {
  readonly [insideKey]: (input: I) => O;
}

/** A task in a handle or a client. */
export interface TaskMethods<I, O, Options> {
  /**
   * Submits a task and waits for its result. The task goes on when its caller ends. Without `timeoutMs`, the caller
   * waits as long as one attempt may take, and no longer than it may itself run.
   */
  (...args: CallArguments<I, Options & SubmitOptions>): Promise<O>;
  /**
   * Submits a task. Once this has resolved, the task survives the end of every process.
   *
   * @throws {ServingError} `task_key_reused` for a `key` that was used with another input before; `invalid_task_delay`.
   */
  submit(...args: CallArguments<I, Options & SubmitOptions>): Promise<{ readonly id: string }>;
  /** Returns the state of a task. @throws {ServingError} `unknown_task`, as the methods below. */
  status(id: string, options?: Options): Promise<TaskState>;
  /**
   * Yields the present state of a task, then each change, and ends with the state in which it has ended. A slow reader
   * misses states in between, never the last. A lost connection or replica is replaced by another one. Without
   * `timeoutMs` it lasts as long as one attempt may take.
   */
  watch(id: string, options?: Options): AsyncIterable<TaskState>;
  /**
   * Waits until a task has ended.
   *
   * @throws {ServingError} the failure of the task; `task_canceled`; `task_held` for a task that does not run before
   *   somebody acts.
   */
  result(id: string, options?: Options): Promise<O>;
  /** Ends a waiting task; asks a running one to end, by its `signal`. A task that has ended does not change. */
  cancel(id: string, options?: Options): Promise<TaskState>;
  /**
   * Submits the input of an ended task again, under a new id; lets a held task run, under its own.
   *
   * @throws {ServingError} `task_not_finished`.
   */
  retry(id: string, options?: Options): Promise<{ readonly id: string }>;
}

/** Arguments of a handle's or a client's method, for an api with input `I`. */
export type CallArguments<I, Options> = unknown extends I
  ? [input?: MaybePromise<I>, options?: Options]
  : [I] extends [None]
    ? [input?: undefined, options?: Options]
    : undefined extends I
      ? [input?: MaybePromises<I>, options?: Options]
      : [input: MaybePromises<I>, options?: Options];

/** Calls service `T` wherever it runs: exactly its apis, streams and tasks, with promises allowed as arguments. */
export type Handle<T> = {
  readonly [K in keyof T as T[K] extends { readonly [apiKey]: unknown } ? K : never]: T[K] extends StreamApi<
    infer I,
    infer O
  >
    ? (...args: CallArguments<I, CallOptions>) => AsyncIterable<O>
    : T[K] extends Task<infer I, infer O>
      ? TaskMethods<I, O, CallOptions>
      : T[K] extends Api<infer I, infer O>
        ? (...args: CallArguments<I, CallOptions>) => Promise<O>
        : never;
};

/** Functions of a fake of service `T`, by api. Each is called with a copy of the checked input. */
export type Replacement<T> = {
  readonly [K in keyof Handle<T>]?: T[K] extends StreamApi<infer I, infer O>
    ? (input: I) => AsyncIterable<O>
    : T[K] extends Api<infer I, infer O> | Task<infer I, infer O>
      ? (input: I) => MaybePromise<O>
      : never;
};

/** Kind of an api: it answers once, item by item, or once as a durable task. */
export type ApiKind = "unary" | "stream" | "task";
