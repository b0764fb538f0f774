import { createDeferred, type Deferred } from "../base/deferred.js";
import { unreachable } from "../failure/serving-error.js";
import { lastStep } from "./item-feed.js";
import type { ItemFlow, ItemSink } from "./item-flow.js";

type Step = IteratorResult<unknown, undefined>;

/**
 * A stream as an author reads it: one pull for each `next()`.
 *
 * A `next()` that is asked for while another waits comes after it, as with a generator. A failure is told once; the stream is
 * simply over after it.
 */
export class ItemReader implements AsyncIterableIterator<unknown>, ItemSink {
  readonly takesEncoded = false;
  readonly #flow: ItemFlow;
  #waiting: Deferred<Step> | undefined;
  /** A reader that left waits for the end of what it has left. */
  #leaving: Deferred<Step> | undefined;
  #isEnded = false;
  #error: unknown;

  constructor(flow: ItemFlow) {
    this.#flow = flow;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (this.#waiting !== undefined) {
      const again = () => this.next();
      return this.#waiting.promise.then(again, again);
    }
    if (this.#isEnded) return this.#finish();
    const waiting = createDeferred<Step>();
    this.#waiting = waiting;
    this.#flow.pull();
    return waiting.promise;
  }

  return(): Promise<Step> {
    this.#error = undefined;
    if (this.#isEnded) return this.#leaving?.promise ?? Promise.resolve(lastStep);
    const leaving = createDeferred<Step>();
    this.#leaving = leaving;
    this.#isEnded = true;
    this.#waiting?.resolve(lastStep);
    this.#waiting = undefined;
    this.#flow.stop();
    return leaving.promise;
  }

  item(value: unknown): void {
    const waiting = this.#waiting;
    if (this.#isEnded || waiting === undefined) return;
    this.#waiting = undefined;
    waiting.resolve({ done: false, value });
  }

  encoded(): void {
    unreachable("a reader was given an item that is encoded");
  }

  end(): void {
    this.#isEnded = true;
    this.#leaving?.resolve(lastStep);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(lastStep);
  }

  fail(error: unknown): void {
    if (this.#isEnded) {
      this.#leaving?.resolve(lastStep);
      return;
    }
    this.#isEnded = true;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#error = error;
    else waiting.reject(error);
  }

  #finish(): Promise<Step> {
    const error = this.#error;
    this.#error = undefined;
    return error === undefined ? Promise.resolve(lastStep) : Promise.reject(error);
  }
}
