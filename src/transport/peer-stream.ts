import { Fifo } from "../base/fifo.js";
import type { EncodedItems, ItemSink, ItemSource } from "../call/streams/item-source.js";
import type { ServingError } from "../failure/serving-error.js";
import type { Tail } from "../held/held-file.js";
import { decodeValue } from "./decode-value.js";
import { type Frame, frameFlags, malformed, noTails } from "./frame.js";

/** Window of a stream: items and bytes that the producer may be ahead of the reader. */
export const windowItems = 256;
export const windowBytes = 1024 ** 2;

/**
 * Items in one frame at most: small items travel together. A window has room for four such frames, so that both sides
 * work at once.
 */
export const itemsTogether = windowItems / 4;
/** Characters beyond which items don't wait for others. */
export const charsTogether = 16 * 1024;

/** Items for which credit is sent at once: a frame for each item would double the traffic of a stream. */
const creditItems = windowItems / 2;
const creditBytes = windowBytes / 2;

/** Returns the bytes that items take of the window, the same on both sides: newlines between items count nothing. */
export function itemBytes(text: string, tails: readonly Tail[], count = 1): number {
  let bytes = text.length - count + 1;
  for (const tail of tails) bytes += tail.byteLength;
  return bytes;
}

/**
 * Reads the items of a credit frame.
 *
 * @param least 0 where the frame may say that a reader begins.
 * @throws {ServingError} `malformed_frame`.
 */
export function readCredit({ head }: Frame, least: 0 | 1): number {
  const count = head === "" ? Number.NaN : Number(head);
  if (!Number.isSafeInteger(count) || count < least) throw malformed(`the credit ${head.slice(0, 40)} is no count`);
  return count;
}

/** Connection of a stream to its link. */
export interface StreamSource {
  /** Asks for the first item: nothing is sent before. */
  start(): void;
  /** Lets the producer send more items. */
  credit(items: number): void;
  /** Ends the stream for its reader. */
  cancel(): void;
}

/** A waiting item; or all items of one frame, where they are passed on as they came. */
interface Held {
  readonly value: unknown;
  readonly count: number;
  readonly bytes: number;
}

/**
 * The reader's end of a stream that comes over a channel, an output or an input. At most a window of items waits in it.
 */
export class PeerStream implements ItemSource {
  readonly #source: StreamSource;
  readonly #sink: ItemSink;
  readonly #items = new Fifo<Held>();
  #isPulled = false;
  /** Items that have come without credit for them yet, and those of them that were read. */
  #held = 0;
  #heldBytes = 0;
  #taken = 0;
  #takenBytes = 0;
  #isStarted = false;
  #isStopped = false;
  /** End of the stream; `undefined` before it. */
  #end: { readonly error: ServingError | undefined } | undefined;

  constructor(source: StreamSource, sink: ItemSink) {
    this.#source = source;
    this.#sink = sink;
  }

  /** True once an item was asked for. */
  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** True when no more items are wanted or will come. */
  get isEnded(): boolean {
    return this.#isStopped || this.#end !== undefined;
  }

  pull(): void {
    this.#isPulled = true;
    if (this.#isStarted) {
      this.#give();
      return;
    }
    this.#isStarted = true;
    this.#source.start();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#drop();
    if (this.#end === undefined) this.#source.cancel();
    this.#sink.end();
  }

  /**
   * Receives an item; drops it where the stream has no reader any more.
   *
   * @throws {ServingError} `malformed_frame` for one beyond the window, or that is no value.
   */
  push(frame: Frame): void {
    if (this.isEnded) return;
    const { head, tails, flags } = frame;
    const isMarked = (flags & frameFlags.marked) !== 0;
    const texts = (flags & frameFlags.several) === 0 ? undefined : readSeveral(frame);
    const count = texts?.length ?? 1;
    const bytes = itemBytes(head, tails, count);
    if (this.#held + count > windowItems || this.#heldBytes >= windowBytes) {
      throw malformed(`an item beyond the window: ${this.#held} items of ${this.#heldBytes} bytes are not taken yet`);
    }
    this.#held += count;
    this.#heldBytes += bytes;
    if (this.#sink.takesEncoded) {
      this.#items.push({ value: { count, text: head, tails, isMarked }, count, bytes });
    } else if (texts === undefined) {
      this.#items.push({ value: decodeValue(head, tails, isMarked), count, bytes });
    } else {
      for (const text of texts) {
        this.#items.push({ value: decodeValue(text, noTails, false), count: 1, bytes: text.length });
      }
    }
    this.#give();
  }

  /** Ends the stream. Earlier items are still read. */
  end(): void {
    this.#end ??= { error: undefined };
    this.#give();
  }

  /** Fails the stream. Earlier items are still read before the failure. */
  fail(error: ServingError): void {
    this.#end ??= { error };
    this.#give();
  }

  /** Ends or fails at once: waiting items are dropped. */
  close(reason: ServingError | undefined): void {
    this.#drop();
    if (reason === undefined) this.end();
    else this.fail(reason);
  }

  /** Gives the asked item, if it has come. */
  #give(): void {
    if (!this.#isPulled || this.#isStopped) return;
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#isPulled = false;
      this.#take(item);
    } else if (this.#end !== undefined) {
      this.#isPulled = false;
      const { error } = this.#end;
      if (error === undefined) this.#sink.end();
      else this.#sink.fail(error);
    }
  }

  #take({ value, count, bytes }: Held): void {
    this.#taken += count;
    this.#takenBytes += bytes;
    if ((this.#taken >= creditItems || this.#takenBytes >= creditBytes) && this.#end === undefined) {
      this.#source.credit(this.#taken);
      this.#held -= this.#taken;
      this.#heldBytes -= this.#takenBytes;
      this.#taken = 0;
      this.#takenBytes = 0;
    }
    if (this.#sink.takesEncoded) this.#sink.encoded(value as EncodedItems);
    else this.#sink.item(value, true);
  }

  #drop(): void {
    while (this.#items.size > 0) this.#items.shift();
  }
}

/** Returns the texts of a frame that holds several items. */
function readSeveral({ head, tails, flags }: Frame): string[] {
  const texts = head.split("\n");
  if (texts.length > itemsTogether || tails.length > 0 || (flags & frameFlags.marked) !== 0) {
    throw malformed(`a frame of ${texts.length} items with ${tails.length} tails`);
  }
  return texts;
}
