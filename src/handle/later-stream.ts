import { CallPromise } from "../call/call-promise.js";
import { noteFailure, noteUnheard, type UnheardCall } from "./unheard-failure.js";

type Step = IteratorResult<unknown, undefined>;

/**
 * A stream whose input is a promise: it is opened when that has come, whether or not somebody reads by then.
 *
 * What is asked for meanwhile comes in order. An input that fails is told to its reader once; the stream is then over.
 */
export class LaterStream implements AsyncIterableIterator<unknown> {
  readonly #opened: Promise<AsyncIterableIterator<unknown>>;
  readonly #call: UnheardCall;
  #last: Promise<unknown> = Promise.resolve();
  #isRead = false;
  #isOver = false;

  constructor(opened: Promise<AsyncIterableIterator<unknown>>, call: UnheardCall) {
    this.#opened = opened;
    this.#call = call;
    opened.catch((error: unknown) => noteUnheard(error, call, () => this.#isRead));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    return this.#after((items) => items.next());
  }

  return(): Promise<Step> {
    return this.#after(async (items) => {
      this.#isOver = true;
      return (await items.return?.()) ?? over;
    });
  }

  #after(step: (items: AsyncIterableIterator<unknown>) => Promise<Step>): Promise<Step> {
    this.#isRead = true;
    const stepped = this.#last.then(async () => {
      if (this.#isOver) return over;
      try {
        return await step(await this.#opened);
      } catch (error) {
        this.#isOver = true;
        throw error;
      }
    });
    this.#last = stepped.catch(() => {});
    const promise: CallPromise<Step> = new CallPromise((resolve, reject) => {
      stepped.then(resolve, (error: unknown) => {
        noteFailure(promise, error, this.#call);
        reject(error);
      });
    });
    return promise;
  }
}

const over: Step = { done: true, value: undefined };
