import type { ServingError } from "../failure/serving-error.js";
import type { CallScope } from "./call-scope.js";

/**
 * The promise of a call that knows whether anybody has looked at it: whoever awaits a promise, calls its `then`, `catch` or
 * `finally`, or gives it to `Promise.all` and the like makes the engine ask for its `constructor`.
 *
 * It costs 25 ns more than an ordinary one. Whatever is derived from it is an ordinary promise.
 */
export class CallPromise<T> extends Promise<T> {
  /** Whether somebody was ever told, or is going to be told, how it ends. */
  isHeard: boolean;

  // Written out, since V8 takes 20 ns to find that of `Promise` where a class has none of its own.
  constructor(executor: (resolve: (value: T | PromiseLike<T>) => void, reject: (reason?: unknown) => void) => void) {
    super(executor);
    this.isHeard = false;
  }
}

Object.defineProperty(CallPromise.prototype, "constructor", {
  configurable: true,
  get(this: CallPromise<unknown>) {
    this.isHeard = true;
    return Promise;
  },
});

/** Hears that a call has failed whose promise nobody has looked at, before the promise is rejected. */
export type OnUnheard = (error: ServingError, promise: CallPromise<unknown>, scope: CallScope) => void;

/** Keeps the end of a promise from being an unhandled rejection, and leaves `isHeard` as it is. */
export function settleQuietly(promise: CallPromise<unknown>): void {
  const { isHeard } = promise;
  promise.then(undefined, ignore);
  promise.isHeard = isHeard;
}

const ignore = (): void => {};
