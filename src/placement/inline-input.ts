import type { CallScope } from "../call/call-scope.js";
import { copyValue } from "../call/copy-value.js";
import { type ItemFeed, lastStep } from "../call/item-feed.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import { crossError } from "../transport/wire-error.js";

type Step = IteratorResult<unknown, undefined>;

/**
 * The callee's end of an input that is a stream, whose caller is in the same thread: an item is asked for when it is read.
 *
 * Items and failures are made the callee's own, as a border would make them. The end of the call ends the input; where the
 * call was cancelled, its reader is told so once.
 */
export class InlineInput implements AsyncIterableIterator<unknown> {
  readonly #scope: CallScope;
  readonly #feed: ItemFeed;
  #isEnded = false;
  #error: ServingError | undefined;
  #pending: Promise<Step> | undefined;
  #resolve!: (step: Step) => void;
  #reject!: (error: unknown) => void;

  constructor(scope: CallScope, feed: ItemFeed) {
    this.#scope = scope;
    this.#feed = feed;
    scope.onEnd(() => this.#end(scope.reason));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (this.#pending !== undefined) {
      const again = () => this.next();
      return this.#pending.then(again, again);
    }
    if (this.#isEnded) return this.#finish();
    const step = new Promise<Step>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#pending = step;
    this.#feed.next().then(this.#onStep, this.#onError);
    return step;
  }

  return(): Promise<Step> {
    this.#end(undefined);
    this.#feed.stop();
    return Promise.resolve(lastStep);
  }

  readonly #onStep = (step: Step): void => {
    if (this.#pending === undefined) return;
    if (step.done === true) {
      this.#end(undefined);
      return;
    }
    let value: unknown;
    try {
      value = this.#scope.call.outside ? step.value : copyValue(step.value, "input");
    } catch (error) {
      this.#feed.stop();
      this.#onError(error);
      return;
    }
    this.#pending = undefined;
    this.#resolve({ done: false, value });
  };

  readonly #onError = (error: unknown): void => {
    const { service, api } = this.#scope.call;
    this.#end(crossError(toServingError(error, service, api)));
  };

  #end(error: ServingError | undefined): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#pending === undefined) {
      this.#error = error;
      return;
    }
    this.#pending = undefined;
    if (error === undefined) this.#resolve(lastStep);
    else this.#reject(error);
  }

  #finish(): Promise<Step> {
    const error = this.#error;
    this.#error = undefined;
    return error === undefined ? Promise.resolve(lastStep) : Promise.reject(error);
  }
}
