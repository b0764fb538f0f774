import type { CallScope } from "../call/call-scope.js";
import type { Code } from "../failure/codes.js";
import { ServingError } from "../failure/serving-error.js";

type Step = IteratorResult<unknown, undefined>;

/**
 * The reader's end of a streaming call.
 *
 * Lazy: the call is sent when the first item is asked for. A cancelled scope fails the pending `next()` at once; ending
 * the iteration early ends the call. The producer is asked for one item at a time, so nothing is buffered.
 */
export class ReplyStream implements AsyncIterableIterator<unknown> {
  readonly #scope: CallScope;
  readonly #open: () => AsyncIterableIterator<unknown>;
  readonly #onEnd: (outcome: Code | "ok") => void;
  #items: AsyncIterableIterator<unknown> | undefined;
  #isEnded = false;
  #last: Promise<unknown> = Promise.resolve();
  #rejectPending: ((reason: ServingError) => void) | undefined;

  constructor(scope: CallScope, open: () => AsyncIterableIterator<unknown>, onEnd: (outcome: Code | "ok") => void) {
    this.#scope = scope;
    this.#open = open;
    this.#onEnd = onEnd;
    scope.onCancel((reason) => {
      const wasOpen = this.#items !== undefined;
      this.#isEnded = true;
      if (wasOpen) this.#onEnd(reason.code);
      this.#items?.return?.()?.catch(() => {});
      this.#rejectPending?.(reason);
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Calls made while another is pending wait for it, as with a generator. */
  next(): Promise<Step> {
    const step = this.#last.then(() => this.#advance());
    this.#last = step.catch(() => {});
    return step;
  }

  async return(): Promise<Step> {
    if (!this.#isEnded) {
      this.#end("ok");
      await this.#items?.return?.();
    }
    return { done: true, value: undefined };
  }

  async #advance(): Promise<Step> {
    if (this.#scope.reason !== undefined && !this.#isReported) {
      this.#isReported = true;
      throw this.#scope.reason;
    }
    if (this.#isEnded) return { done: true, value: undefined };
    try {
      this.#items ??= this.#open();
      const step = (await this.#race(this.#items.next())) as Step;
      if (step.done === true) this.#end("ok");
      return step;
    } catch (error) {
      if (error === this.#scope.reason) this.#isReported = true;
      else this.#end(error instanceof ServingError ? error.code : "internal");
      throw error;
    }
  }

  /** A cancellation is reported by one `next()`; after it the stream is simply over. */
  #isReported = false;

  #race(step: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#rejectPending = reject;
      step.then(resolve, reject);
    });
  }

  #end(outcome: Code | "ok"): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#items !== undefined) this.#onEnd(outcome);
    else this.#scope.close();
  }
}
