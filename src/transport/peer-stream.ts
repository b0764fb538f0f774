import { createDeferred, type Deferred } from "../base/deferred.js";
import { Fifo } from "../base/fifo.js";
import type { ServingError } from "../failure/serving-error.js";

type Step = IteratorResult<unknown, undefined>;

/** How many items the producer may be ahead of the reader, and how many bytes. */
export const windowItems = 32;
export const windowBytes = 1024 ** 2;

/** What was taken is told to the producer in lots: a frame for each item would double the traffic of a stream. */
const creditItems = windowItems / 2;
const creditBytes = windowBytes / 2;

/** What an item counts for in the window: the same on both sides. */
export function itemBytes(text: string, tails: readonly Uint8Array[]): number {
  let bytes = text.length;
  for (const tail of tails) bytes += tail.byteLength;
  return bytes;
}

/** What a stream needs of the link it comes over. */
export interface StreamSource {
  start(): Promise<void>;
  /** Lets the producer send so many more. */
  credit(items: number): void;
  /** The reader wants no more. */
  cancel(): void;
}

/** The reader's end of a stream that comes over a channel: at most a window of items waits in it. */
export class PeerStream implements AsyncIterableIterator<unknown> {
  readonly #source: StreamSource;
  readonly #items = new Fifo<{ readonly value: unknown; readonly bytes: number }>();
  #waiting: Deferred<Step> | undefined;
  #taken = 0;
  #takenBytes = 0;
  #isStarted = false;
  #isEnded = false;
  #error: ServingError | undefined;

  constructor(source: StreamSource) {
    this.#source = source;
  }

  /** Nothing more is wanted of it, or will come. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<Step> {
    if (!this.#isStarted) {
      this.#isStarted = true;
      await this.#source.start();
    }
    if (this.#items.size > 0) return this.#take();
    if (this.#isEnded) return this.#finish();
    this.#waiting = createDeferred<Step>();
    return this.#waiting.promise;
  }

  async return(): Promise<Step> {
    if (this.#isStarted && !this.#isEnded) this.#source.cancel();
    this.#isStarted = true;
    this.#isEnded = true;
    this.#clear();
    this.#waiting?.resolve({ done: true, value: undefined });
    return { done: true, value: undefined };
  }

  /** @param bytes What `itemBytes` says of it. */
  push(value: unknown, bytes: number): void {
    if (this.#isEnded) return;
    this.#items.push({ value, bytes });
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    waiting.resolve(this.#take());
  }

  end(): void {
    this.#isEnded = true;
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = undefined;
  }

  /** Items that came before the failure are still read before it. */
  fail(error: ServingError): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#waiting === undefined) this.#error = error;
    else this.#waiting.reject(error);
    this.#waiting = undefined;
  }

  #take(): Step {
    const item = this.#items.shift();
    this.#taken++;
    this.#takenBytes += item?.bytes ?? 0;
    if ((this.#taken >= creditItems || this.#takenBytes >= creditBytes) && !this.#isEnded) {
      this.#source.credit(this.#taken);
      this.#taken = 0;
      this.#takenBytes = 0;
    }
    return { done: false, value: item?.value };
  }

  #finish(): Step {
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error;
    return { done: true, value: undefined };
  }

  #clear(): void {
    while (this.#items.size > 0) this.#items.shift();
  }
}
