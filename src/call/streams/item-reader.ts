import { createDeferred, type Deferred } from "../../base/clock.js";
import { isPromiseLike } from "../../base/promised-input.js";
import { unreachable } from "../../failure/serving-error.js";
import { CallPromise, settleQuietly } from "../call-promise.js";
import { type ItemSink, type ItemSource, lastStep } from "./item-source.js";
import { onceKey, StreamUse, takeForeign, takeItems } from "./stream-use.js";

type Step = IteratorResult<unknown, undefined>;

/** A `next()` without an answer yet. */
class WaitingNext {
  readonly promise: CallPromise<Step>;
  resolve!: (step: Step) => void;
  reject!: (error: unknown) => void;

  constructor() {
    this.promise = new CallPromise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/**
 * Called when a `next()` has failed whose promise has no reader. It must keep the promise from becoming an unhandled
 * rejection.
 */
type OnUnheardNext = (error: unknown, promise: CallPromise<unknown>) => void;

/**
 * A stream as an author reads it: one pull for each `next()`.
 *
 * A `next()` during another one comes after it, as with a generator. A failure is reported once; afterwards the stream
 * is over. A failed `next()` without a reader is no unhandled rejection.
 */
export class ItemReader implements AsyncIterableIterator<unknown>, ItemSink {
  readonly takesEncoded = false;
  readonly #source: ItemSource;
  readonly #onUnheard: OnUnheardNext;
  #waiting: WaitingNext | undefined;
  /** Set while a reader that left waits for the end of the stream. */
  #leaving: Deferred<Step> | undefined;
  #isEnded = false;
  #error: unknown;

  readonly [onceKey]: StreamUse;
  /** Items received so far. */
  received = 0;

  /**
   * @param stream Name of the stream, in words.
   * @param onUnheard Default: silence.
   */
  constructor(
    source: ItemSource,
    stream: () => string,
    onUnheard: OnUnheardNext = (_, promise) => settleQuietly(promise),
  ) {
    this.#source = source;
    this.#onUnheard = onUnheard;
    this[onceKey] = new StreamUse(stream);
  }

  /** @throws {ServingError} `stream_used_twice`. */
  [Symbol.asyncIterator](): this {
    this[onceKey].read();
    return this;
  }

  /** True while an item is asked for and has not come. */
  get isStarved(): boolean {
    return this.#waiting !== undefined;
  }

  next(): Promise<Step> {
    if (this.#waiting !== undefined) {
      const before = this.#waiting.promise;
      const later = new WaitingNext();
      const again = () => this.next().then(later.resolve, (error: unknown) => this.#reject(later, error));
      const { isHeard } = before;
      before.then(again, again);
      before.isHeard = isHeard;
      return later.promise;
    }
    if (this.#isEnded) return this.#finish();
    const waiting = new WaitingNext();
    this.#waiting = waiting;
    this.#source.pull();
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
    this.#source.stop();
    return leaving.promise;
  }

  item(value: unknown): void {
    const waiting = this.#waiting;
    if (this.#isEnded || waiting === undefined) return;
    this.#waiting = undefined;
    this.received++;
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
    else this.#reject(waiting, error);
  }

  #reject(waiting: WaitingNext, error: unknown): void {
    if (!waiting.promise.isHeard) this.#onUnheard(error, waiting.promise);
    waiting.reject(error);
  }

  #finish(): Promise<Step> {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) return Promise.resolve(lastStep);
    const failed = new WaitingNext();
    this.#reject(failed, error);
    return failed.promise;
  }
}

/**
 * Returns the iterator of a stream, as `for await` would read it: promises in an ordinary iterable are awaited.
 *
 * @param use Use of the stream: `"given to Sink.sum"`.
 * @throws {ServingError} `stream_used_twice` where the stream, or the generator behind it, is already used.
 */
export function openItems(source: AsyncIterable<unknown> | Iterable<unknown>, use: string): AsyncIterator<unknown> {
  if (Symbol.asyncIterator in source) return takeItems(source, use);
  const items = source[Symbol.iterator]();
  takeForeign(items, source, use);
  return {
    next: () => {
      try {
        return toStep(items.next());
      } catch (error) {
        return Promise.reject(error);
      }
    },
    return: async () => {
      items.return?.();
      return lastStep;
    },
  };
}

/** A present item is passed on in the next turn, not some turns later: its producer may change it then. */
function toStep(step: IteratorResult<unknown, unknown>): Promise<IteratorResult<unknown, undefined>> {
  if (step.done === true) return Promise.resolve(lastStep);
  const { value } = step;
  if (!isPromiseLike(value)) return Promise.resolve({ done: false, value });
  return Promise.resolve(value).then((settled) => ({ done: false, value: settled }));
}

/** Returns the reason why a value can't be read as a stream of items; `undefined` when it can. */
export function streamProblem(value: unknown): string | undefined {
  if (isIterable(value)) return undefined;
  return `expected a stream of items (an AsyncIterable or Iterable), got ${formatValueKind(value)}`;
}

/** Texts and byte arrays are iterable too, but a caller that passes one means one item. */
const isIterable = (value: unknown): value is AsyncIterable<unknown> | Iterable<unknown> =>
  typeof value === "object" &&
  value !== null &&
  !ArrayBuffer.isView(value) &&
  (typeof (value as AsyncIterable<unknown>)[Symbol.asyncIterator] === "function" ||
    typeof (value as Iterable<unknown>)[Symbol.iterator] === "function");

function formatValueKind(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "string" || ArrayBuffer.isView(value)) {
    return `a single ${typeof value === "string" ? "text" : (value as object).constructor.name}: put it into a list`;
  }
  return `${typeof value === "object" ? "an" : "a"} ${typeof value}`;
}
