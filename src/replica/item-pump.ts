import { createDeferred, type Deferred } from "../base/deferred.js";
import { Fifo } from "../base/fifo.js";
import type { Channel } from "../transport/channel.js";
import { encodeValue } from "../transport/encode-value.js";
import { frameFlags, frameKinds, malformed } from "../transport/frame.js";
import { itemBytes, windowBytes, windowItems } from "../transport/peer-stream.js";

/** Sends the items of one stream as fast as its reader takes them, and no faster. */
export class ItemPump {
  readonly #channel: Channel;
  readonly #id: number;
  readonly #items: AsyncGenerator<unknown, void, undefined>;
  /** Bytes of each item sent and not yet taken, oldest first. */
  readonly #ahead = new Fifo<number>();
  #aheadBytes = 0;
  #waiting: Deferred<void> | undefined;
  #isStopped = false;

  constructor(channel: Channel, id: number, items: AsyncGenerator<unknown, void, undefined>) {
    this.#channel = channel;
    this.#id = id;
    this.#items = items;
  }

  /** Resolves when the last item was sent or the reader wants no more; rejects as the stream does. */
  async run(): Promise<void> {
    for await (const item of this.#items) {
      if (this.#isStopped) return;
      await this.#send(item);
      while (this.#isFull()) {
        this.#waiting = createDeferred();
        await this.#waiting.promise;
      }
      if (this.#isStopped) return;
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

  async #send(item: unknown): Promise<void> {
    const encoded = encodeValue(item, "output");
    const { text, tails, isMarked } = encoded instanceof Promise ? await encoded : encoded;
    const bytes = itemBytes(text, tails);
    this.#ahead.push(bytes);
    this.#aheadBytes += bytes;
    const flags = isMarked ? frameFlags.marked : 0;
    this.#channel.send({ kind: frameKinds.item, flags, id: this.#id, head: text, tails });
  }
}
