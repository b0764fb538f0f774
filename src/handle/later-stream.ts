import { CallPromise } from "../call/call-promise.js";
import { onceKey, StreamUse } from "../call/streams/stream-use.js";
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
  readonly [onceKey]: StreamUse;

  constructor(opened: Promise<AsyncIterableIterator<unknown>>, call: UnheardCall) {
    this.#opened = opened;
    this.#call = call;
    this[onceKey] = new StreamUse(() => `the stream of ${call.callee}`);
    opened.catch((error: unknown) => noteUnheard(error, call, () => this.#isRead));
  }

  /** @throws {ServingError} `stream_used_twice`. */
  [Symbol.asyncIterator](): this {
    this[onceKey].read();
    return this;
  }

  next(): Promise<Step> {
    return this.#after((items) => items.next());
  }

  return(): Promise<Step> {
    this.#isRead = true;
    this.#isOver = true;
    // Not after what is asked for: that may be waiting for the very signal that this gives.
    return this.#opened.then(
      async (items) => (await items.return?.()) ?? over,
      () => over,
    );
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
