import { createDeferred, type Deferred } from "../base/deferred.js";
import { Fifo } from "../base/fifo.js";
import { lastStep } from "../call/item-feed.js";
import type { ServingError } from "../failure/serving-error.js";
import { type Frame, malformed } from "./frame.js";

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

/** The items that a credit frame is for. @param least 0 where it may say that a reader begins. @throws {ServingError} `malformed_frame`. */
export function readCredit({ head }: Frame, least: 0 | 1): number {
  const count = head === "" ? Number.NaN : Number(head);
  if (!Number.isSafeInteger(count) || count < least) throw malformed(`the credit ${head.slice(0, 40)} is no count`);
  return count;
}

/** What a stream needs of the link it comes over. */
export interface StreamSource {
  /** Asks for the first item: until then nothing is sent. */
  start(): void | Promise<void>;
  /** Lets the producer send so many more. */
  credit(items: number): void;
  /** The reader wants no more. */
  cancel(): void;
}

/**
 * The reader's end of a stream that comes over a channel, an output or an input: at most a window of items waits in it.
 *
 * A `next()` that is asked for while another waits comes after it.
 */
export class PeerStream implements AsyncIterableIterator<unknown> {
  readonly #source: StreamSource;
  readonly #items = new Fifo<{ readonly value: unknown; readonly bytes: number }>();
  #waiting: Deferred<Step> | undefined;
  /** Items that have come and were not credited yet, and those of them that were read. */
  #held = 0;
  #heldBytes = 0;
  #taken = 0;
  #takenBytes = 0;
  #isStarted = false;
  #isEnded = false;
  #error: ServingError | undefined;

  constructor(source: StreamSource) {
    this.#source = source;
  }

  /** Somebody has asked for an item. */
  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** Nothing more is wanted of it, or will come. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (!this.#isStarted && !this.#isEnded) {
      this.#isStarted = true;
      const starting = this.#source.start();
      if (starting !== undefined) return starting.then(() => this.next());
    }
    if (this.#waiting !== undefined) {
      const again = () => this.next();
      return this.#waiting.promise.then(again, again);
    }
    if (this.#items.size > 0) return Promise.resolve(this.#take());
    if (this.#isEnded) return this.#finish();
    this.#waiting = createDeferred<Step>();
    return this.#waiting.promise;
  }

  return(): Promise<Step> {
    if (!this.#isEnded) this.#source.cancel();
    this.#isStarted = true;
    this.#error = undefined;
    this.#drop();
    this.end();
    return Promise.resolve(lastStep);
  }

  /**
   * An item has come; dropped where nobody reads any more.
   *
   * @param bytes What `itemBytes` says of it.
   * @throws {ServingError} `malformed_frame` for one beyond the window.
   */
  push(value: unknown, bytes: number): void {
    if (this.#isEnded) return;
    if (this.#held >= windowItems || this.#heldBytes >= windowBytes) {
      throw malformed(`an item beyond the window: ${this.#held} items of ${this.#heldBytes} bytes are not taken yet`);
    }
    this.#held++;
    this.#heldBytes += bytes;
    this.#items.push({ value, bytes });
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    waiting.resolve(this.#take());
  }

  /** Items that came before are still read. */
  end(): void {
    this.#isEnded = true;
    this.#waiting?.resolve(lastStep);
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

  /** Fails or ends at once: what has come is read no more. */
  close(reason: ServingError | undefined): void {
    this.#drop();
    if (reason === undefined) this.end();
    else this.fail(reason);
  }

  #take(): Step {
    const item = this.#items.shift();
    this.#taken++;
    this.#takenBytes += item?.bytes ?? 0;
    if ((this.#taken >= creditItems || this.#takenBytes >= creditBytes) && !this.#isEnded) {
      this.#source.credit(this.#taken);
      this.#held -= this.#taken;
      this.#heldBytes -= this.#takenBytes;
      this.#taken = 0;
      this.#takenBytes = 0;
    }
    return { done: false, value: item?.value };
  }

  #finish(): Promise<Step> {
    const error = this.#error;
    this.#error = undefined;
    return error === undefined ? Promise.resolve(lastStep) : Promise.reject(error);
  }

  #drop(): void {
    while (this.#items.size > 0) this.#items.shift();
  }
}
