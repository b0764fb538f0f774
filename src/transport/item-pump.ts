import { Fifo } from "../base/fifo.js";
import type { EncodedItem, ItemFlow, ItemSink } from "../call/item-flow.js";
import type { Channel } from "./channel.js";
import { encodeValue } from "./encode-value.js";
import { frameFlags, frameKinds, malformed } from "./frame.js";
import { itemBytes, windowBytes, windowItems } from "./peer-stream.js";

/** One stream that is sent: of an output to a caller, or of an input to a replica. */
export interface PumpedStream {
  readonly channel: Channel;
  /** Number of the call. */
  readonly id: number;
  readonly part: "input" | "output";
  /** Hears once that the last item was sent, or that the stream has ended after a stop; or how it failed. */
  readonly done: (error: unknown) => void;
}

/** Sends the items of one stream as fast as its reader takes them, and no faster. */
export class ItemPump implements ItemSink {
  readonly takesEncoded = true;
  readonly #stream: PumpedStream;
  /** Bytes of each item sent and not yet taken, oldest first. */
  readonly #ahead = new Fifo<number>();
  #aheadBytes = 0;
  #flow: ItemFlow | undefined;
  /** The window is used up: the next item is asked for when there is credit. */
  #isWaiting = false;
  #isStopped = false;
  /** Why an item could not be sent: its maker ends first. */
  #refusal: unknown;

  constructor(stream: PumpedStream) {
    this.#stream = stream;
  }

  start(flow: ItemFlow): void {
    this.#flow = flow;
    if (this.#isStopped) flow.stop();
    else flow.pull();
  }

  item(value: unknown): void {
    if (this.#isStopped) return;
    try {
      const encoded = encodeValue(value, this.#stream.part);
      if (encoded instanceof Promise) encoded.then((item) => this.#sendLate(item), this.#refuse);
      else this.encoded(encoded);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** @throws {ServingError} `payload_too_large` */
  encoded({ text, tails, isMarked }: EncodedItem): void {
    if (this.#isStopped) return;
    const bytes = itemBytes(text, tails);
    this.#ahead.push(bytes);
    this.#aheadBytes += bytes;
    const flags = isMarked ? frameFlags.marked : 0;
    this.#stream.channel.send({ kind: frameKinds.item, flags, id: this.#stream.id, head: text, tails });
    this.#pullNext();
  }

  end(): void {
    this.#stream.done(this.#refusal);
  }

  fail(error: unknown): void {
    this.#stream.done(this.#refusal ?? error);
  }

  /** @throws {ServingError} `malformed_frame` for more items than were sent. */
  addCredit(items: number): void {
    if (items > this.#ahead.size) throw malformed(`a credit of ${items} items, of which ${this.#ahead.size} were sent`);
    for (let i = 0; i < items; i++) this.#aheadBytes -= this.#ahead.shift() ?? 0;
    if (this.#isWaiting) this.#pullNext();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#flow?.stop();
  }

  #pullNext(): void {
    this.#isWaiting = this.#ahead.size >= windowItems || this.#aheadBytes >= windowBytes;
    if (!this.#isWaiting && !this.#isStopped) this.#flow?.pull();
  }

  #sendLate(item: EncodedItem): void {
    try {
      this.encoded(item);
    } catch (error) {
      this.#refuse(error);
    }
  }

  readonly #refuse = (error: unknown): void => {
    if (this.#isStopped) return;
    this.#refusal = error;
    this.stop();
  };
}
