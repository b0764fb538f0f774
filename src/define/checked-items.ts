import { lastStep } from "../call/streams/item-feed.js";
import { onceKey, StreamUse } from "../call/streams/stream-use.js";

type Step = IteratorResult<unknown, undefined>;

/** Checks one item and gives it as its schema hands it on; throws, or rejects, with what is wrong. @param index From 0. */
export type ItemCheck = (item: unknown, index: number) => unknown | Promise<unknown>;

/** The items of an input that is a stream, as an api reads them: each is checked when it is read, and the first wrong one ends it. */
export class CheckedItems implements AsyncIterableIterator<unknown> {
  readonly #items: AsyncIterator<unknown>;
  readonly #check: ItemCheck;
  #index = 0;
  #isEnded = false;

  readonly [onceKey]: StreamUse;

  /** @param stream What it is, in words. */
  constructor(items: AsyncIterator<unknown>, check: ItemCheck, stream: () => string) {
    this.#items = items;
    this.#check = check;
    this[onceKey] = new StreamUse(stream);
  }

  /** @throws {ServingError} `stream_used_twice`. */
  [Symbol.asyncIterator](): this {
    this[onceKey].read();
    return this;
  }

  next(): Promise<Step> {
    if (this.#isEnded) return Promise.resolve(lastStep);
    const next = this.#items.next().then(this.#onStep);
    // Asked for ahead and never looked at, it is no unhandled rejection.
    next.then(undefined, ignore);
    return next;
  }

  return(): Promise<Step> {
    this.#isEnded = true;
    return Promise.resolve(this.#items.return?.()).then(() => lastStep);
  }

  readonly #onStep = (step: IteratorResult<unknown, unknown>): Step | Promise<Step> => {
    if (step.done === true || this.#isEnded) return lastStep;
    try {
      const checked = this.#check(step.value, this.#index++);
      if (!(checked instanceof Promise)) return { done: false, value: checked };
      return checked.then(toStep, this.#refuse);
    } catch (error) {
      return this.#refuse(error);
    }
  };

  readonly #refuse = (error: unknown): never => {
    try {
      this.return().then(undefined, ignore);
    } catch {}
    throw error;
  };
}

const ignore = (): void => {};
const toStep = (value: unknown): Step => ({ done: false, value });
