import type { Caller } from "../call/call.js";
import { CallPromise, type OnUnheard } from "../call/call-promise.js";
import type { CallScope } from "../call/call-scope.js";
import type { ServingError } from "../failure/serving-error.js";
import type { AnswerTaker } from "./call-target.js";

/**
 * Promise of a call's answer. An output that arrives before the promise is asked for becomes an ordinary resolved
 * promise.
 */
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

  /** Returns the promise. Called once, after the call was sent. */
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
    // An incident is a bug in code: its stack shows the callers too.
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

/** Longest stack. It grows with each hop, and is cut beyond this. */
const maxStackLength = 16_384;

/**
 * Rejects with `error`, after adding the caller and its frames to the stack.
 *
 * V8 knows which functions await a promise, but only once that promise is joined to the one returned here, which takes
 * two turns of the microtask queue. So the stack of the callers costs nothing until a call fails. A function that
 * returns the promise without awaiting it has no frame; its service and api are named anyway.
 */
async function rejectFromHere(error: ServingError, { service, api }: Caller): Promise<never> {
  const stack = error.stack ?? "";
  // A failure without frames must stay cheap: see `FailureRow.hasNoStack`.
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
