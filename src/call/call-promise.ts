import type { ServingError } from "../failure/serving-error.js";
import type { CallScope } from "./call-scope.js";

/**
 * The promise of a call. It knows whether its owner has looked at it: `await`, `then`, `catch`, `finally` and
 * `Promise.all` all make the engine read the `constructor` of the promise.
 *
 * It costs 25 ns more than an ordinary promise. Promises derived from it are ordinary ones.
 */
export class CallPromise<T> extends Promise<T> {
  /** True once the outcome of the promise was given, or will be given, to a reader. */
  isHeard: boolean;

  // Written out: V8 takes 20 ns to find the constructor of `Promise` for a class that has none of its own.
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

/** Called with the failure of a call whose promise has no reader, before the promise is rejected. */
export type OnUnheard = (error: ServingError, promise: CallPromise<unknown>, scope: CallScope) => void;

/** Keeps a promise from becoming an unhandled rejection. Leaves `isHeard` unchanged. */
export function settleQuietly(promise: CallPromise<unknown>): void {
  const { isHeard } = promise;
  promise.then(undefined, ignore);
  promise.isHeard = isHeard;
}

const ignore = (): void => {};
