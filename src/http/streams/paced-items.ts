import { lastStep } from "../../call/streams/item-feed.js";

type Step = IteratorResult<unknown, undefined>;

/** Some milliseconds of checks and calls. */
const burstItems = 256;

/**
 * The items of a list that came as the input of a stream; after each `burstItems` of them, others have a turn.
 *
 * A list that is there whole would otherwise be read to its end without pause, and nothing else be answered meanwhile.
 */
export class PacedItems implements AsyncIterableIterator<unknown> {
  readonly #list: readonly unknown[];
  #at = 0;

  constructor(list: readonly unknown[]) {
    this.#list = list;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (this.#at >= this.#list.length) return Promise.resolve(lastStep);
    const step: Step = { done: false, value: this.#list[this.#at++] };
    if (this.#at % burstItems !== 0) return Promise.resolve(step);
    return new Promise((resolve) => void setImmediate(resolve, step));
  }

  return(): Promise<Step> {
    this.#at = this.#list.length;
    return Promise.resolve(lastStep);
  }
}
