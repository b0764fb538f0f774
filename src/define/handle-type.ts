import type { Priority } from "../call/call.js";
import type { TaskState } from "../call/task-state.js";

/**
 * A value, or the promise of one: an unawaited result of one call is a valid argument of the next.
 *
 * `Promise` stands beside `PromiseLike`, which covers it, for the compiler's sake: a wrong promise is then told in one line.
 */
export type MaybePromise<T> = T | Promise<T> | PromiseLike<T>;

/** What may be said about one call. */
export interface CallOptions {
  /** Can only shorten what is left of the caller's own time. */
  readonly timeoutMs?: number;
  /** Cancels the call. */
  readonly signal?: AbortSignal;
  /** Outlives the caller: own deadline, not cancelled when the calling api ends. Default false. */
  readonly detach?: boolean;
  /** Where calls wait, a `"background"` one goes after interactive ones that come within a second of it. Default: the caller's own. */
  readonly priority?: Priority;
}

/** Marks what `api()` makes; the key under which its definition stands. */
export const apiKey: unique symbol = Symbol.for("ekiben.api");

// An api without input is declared by a schema of type void, so `[I] extends [None]` is how it is told apart.
// biome-ignore lint/suspicious/noConfusingVoidType: compared with a schema's type, not used as a value
type None = void;

// `unknown extends I` is asked first, since `any` extends everything, also void.
type Input<I> = unknown extends I
  ? [input?: I]
  : [I] extends [None]
    ? []
    : undefined extends I
      ? [input?: I]
      : [input: I];

/** What `api()` makes of a contract with `output`. On an instance it runs in place, checks included. */
export interface Api<I, O> {
  (...input: Input<I>): Promise<O>;
  readonly [apiKey]: { readonly kind: "unary" };
}

/** What `api()` makes of a contract with `yields`. On an instance it runs in place, checks included. */
export interface StreamApi<I, O> {
  (...input: Input<I>): AsyncIterable<O>;
  readonly [apiKey]: { readonly kind: "stream" };
}

/** What `task()` makes of a contract. On an instance it runs in place, checks included, and nothing is kept. */
export interface Task<I, O> {
  (...input: Input<I>): Promise<O>;
  readonly [apiKey]: { readonly kind: "task" };
}

/** What may be said about a task that is handed in, besides what may be said of any call. */
export interface SubmitOptions {
  /**
   * Names this submit: a second one with the same key, to the same task of the same app, finds the task of the first, however
   * often and from wherever it is sent. 1 to 255 printable ASCII characters; lasts as long as the task is kept.
   */
  readonly key?: string;
}

/** A task as a handle or a client has it: calling it waits for the result. */
export interface TaskMethods<I, O, Options> {
  /**
   * Hands a task in; it goes on when its caller ends. The result may take as long as the task does: without a `timeoutMs` of its own,
   * what waits for it waits as long as one attempt may take, and no longer than its caller.
   */
  (...args: CallArguments<I, Options & SubmitOptions>): Promise<O>;
  /**
   * Hands a task in. Once this has resolved it survives the end of every process.
   *
   * @throws {ServingError} `task_key_reused` for a `key` that came with another input before.
   */
  submit(...args: CallArguments<I, Options & SubmitOptions>): Promise<{ readonly id: string }>;
  /** @throws {ServingError} `unknown_task`, here and below. */
  status(id: string, options?: Options): Promise<TaskState>;
  /** Waits until it has ended. @throws {ServingError} what the task failed with; `task_canceled`. */
  result(id: string, options?: Options): Promise<O>;
  /** Ends a task that waits; asks a running one to end, by its `signal`. One that has ended stays as it is. */
  cancel(id: string, options?: Options): Promise<TaskState>;
  /** Hands the input of a task that has ended in again. @throws {ServingError} `task_not_finished`. */
  retry(id: string, options?: Options): Promise<{ readonly id: string }>;
}

/** What a method of a handle or a client takes, for an api with input `I`. */
export type CallArguments<I, Options> = unknown extends I
  ? [input?: MaybePromise<I>, options?: Options]
  : [I] extends [None]
    ? [input?: undefined, options?: Options]
    : undefined extends I
      ? [input?: MaybePromise<I>, options?: Options]
      : [input: MaybePromise<I>, options?: Options];

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

/** What a fake of service `T` may give for each api: the function alone, called with a copy of the checked input. */
export type Replacement<T> = {
  readonly [K in keyof Handle<T>]?: T[K] extends StreamApi<infer I, infer O>
    ? (input: I) => AsyncIterable<O>
    : T[K] extends Api<infer I, infer O> | Task<infer I, infer O>
      ? (input: I) => MaybePromise<O>
      : never;
};

/** How an api answers: once, item by item, or once as a durable task. */
export type ApiKind = "unary" | "stream" | "task";
