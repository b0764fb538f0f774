import { CallPromise, type OnUnheard } from "../call/call-promise.js";
import type { CallScope } from "../call/call-scope.js";
import type { ServingError } from "../failure/serving-error.js";
import type { AnswerTaker } from "./pending-call.js";
import { rejectFromHere } from "./reject-from-here.js";

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
