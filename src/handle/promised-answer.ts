import type { Caller } from "../call/call.js";
import { CallPromise, type OnUnheard } from "../call/call-promise.js";
import type { CallScope } from "../call/call-scope.js";
import type { ServingError } from "../failure/serving-error.js";
import type { AnswerTaker } from "./call-target.js";

/** The answer of a call as a promise. One that is there before anybody asks can't fail any more: that is an ordinary promise. */
export class PromisedAnswer implements AnswerTaker {
  readonly #scope: CallScope;
  readonly #onUnheard: OnUnheard | undefined;
  #isDone = false;
  #value: unknown;
  #promise: CallPromise<unknown> | undefined;
  #resolve: ((value: unknown) => void) | undefined;
  #reject: ((error: ServingError) => void) | undefined;

  constructor(scope: CallScope, onUnheard: OnUnheard | undefined) {
    this.#scope = scope;
    this.#onUnheard = onUnheard;
  }

  /** Asked for once the call is sent. */
  promise(): Promise<unknown> {
    return this.#isDone ? Promise.resolve(this.#value) : this.#open();
  }

  output(value: unknown): void {
    if (this.#resolve !== undefined) {
      this.#resolve(value);
      return;
    }
    this.#isDone = true;
    this.#value = value;
  }

  failure(error: ServingError): void {
    const promise = this.#open();
    if (!promise.isHeard) this.#onUnheard?.(error, promise, this.#scope);
    // An incident is somebody's bug: whoever looks for it needs the way that led there.
    if (error.incident === undefined) this.#reject?.(error);
    else this.#resolve?.(rejectFromHere(error, this.#scope.call.caller));
  }

  #open(): CallPromise<unknown> {
    this.#promise ??= new CallPromise<unknown>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    return this.#promise;
  }
}

/** A stack grows with each hop it passes; beyond this it is cut. */
const maxStackLength = 16_384;

/**
 * Rejects with `error`, to whose stack the caller and its own frames are added.
 *
 * V8 knows who awaits a promise, but only once that promise has been joined to the one this returns, which takes two turns
 * of the microtask queue. So the callers' stack costs nothing as long as nothing fails. A function that returns the promise
 * without awaiting it has no frame; its service and api are named all the same.
 */
async function rejectFromHere(error: ServingError, { service, api }: Caller): Promise<never> {
  const stack = error.stack ?? "";
  // One that has no frames of its own is to cost nothing: see `FailureRow.hasNoStack`.
  if (!stack.includes("\n    at ")) throw error;
  await undefined;
  await undefined;
  await undefined;
  const here: { stack?: string } = {};
  Error.captureStackTrace(here, rejectFromHere);
  const frames = (here.stack ?? "")
    .split("\n")
    .filter((line) => /^ +at /.test(line) && !line.includes("node:internal/"));
  const head = `    -- called by ${api === "" ? service : `${service}.${api}`} --`;
  error.stack = [stack, head, ...frames].join("\n").slice(0, maxStackLength);
  throw error;
}
