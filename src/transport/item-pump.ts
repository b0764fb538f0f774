import { createDeferred, type Deferred } from "../base/deferred.js";
import { Fifo } from "../base/fifo.js";
import type { Channel } from "./channel.js";
import { type EncodedValue, encodeValue } from "./encode-value.js";
import { frameFlags, frameKinds, malformed } from "./frame.js";
import { itemBytes, windowBytes, windowItems } from "./peer-stream.js";

/** Where a pump takes items from: asked for one at a time, and told when no more are wanted. */
export interface ItemSource {
  next(): Promise<IteratorResult<unknown, unknown>>;
  return(value: undefined): Promise<unknown>;
}

/** One stream that is sent: of an output to a caller, or of an input to a replica. */
export interface PumpedStream {
  readonly channel: Channel;
  /** Number of the call. */
  readonly id: number;
  readonly part: "input" | "output";
  readonly items: ItemSource;
}

/** Sends the items of one stream as fast as its reader takes them, and no faster. */
export class ItemPump {
  readonly #stream: PumpedStream;
  /** Bytes of each item sent and not yet taken, oldest first. */
  readonly #ahead = new Fifo<number>();
  #aheadBytes = 0;
  #waiting: Deferred<void> | undefined;
  #isStopped = false;

  constructor(stream: PumpedStream) {
    this.#stream = stream;
  }

  /** Resolves when the last item was sent or the reader wants no more, and the source has ended; rejects as the source does. */
  async run(): Promise<void> {
    const { items, part } = this.#stream;
    let isOver = false;
    try {
      for (;;) {
        while (this.#isFull()) {
          this.#waiting = createDeferred();
          await this.#waiting.promise;
        }
        if (this.#isStopped) return;
        // What throws is over, as is what says so.
        isOver = true;
        const step = await items.next();
        if (step.done === true) return;
        isOver = false;
        if (this.#isStopped) return;
        const encoded = encodeValue(step.value, part);
        this.#send(encoded instanceof Promise ? await encoded : encoded);
      }
    } finally {
      if (!isOver) await items.return(undefined);
    }
  }

  /** @throws {ServingError} `malformed_frame` for more items than were sent. */
  addCredit(items: number): void {
    if (items > this.#ahead.size) throw malformed(`a credit of ${items} items, of which ${this.#ahead.size} were sent`);
    for (let i = 0; i < items; i++) this.#aheadBytes -= this.#ahead.shift() ?? 0;
    this.#wake();
  }

  stop(): void {
    this.#isStopped = true;
    this.#wake();
  }

  #isFull(): boolean {
    return !this.#isStopped && (this.#ahead.size >= windowItems || this.#aheadBytes >= windowBytes);
  }

  #wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  #send({ text, tails, isMarked }: EncodedValue): void {
    const bytes = itemBytes(text, tails);
    this.#ahead.push(bytes);
    this.#aheadBytes += bytes;
    const flags = isMarked ? frameFlags.marked : 0;
    this.#stream.channel.send({ kind: frameKinds.item, flags, id: this.#stream.id, head: text, tails });
  }
}
