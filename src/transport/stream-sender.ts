import { Fifo } from "../base/fifo.js";
import type { CallScope } from "../call/call-scope.js";
import type { EncodedItems, InputStream, ItemSink, ItemSource } from "../call/streams/item-source.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { Tail } from "../held/held-file.js";
import type { Channel } from "./channel.js";
import { encodeValue } from "./encode-value.js";
import { frameFlags, frameKinds, malformed, noTails } from "./frame.js";
import { charsTogether, itemBytes, itemsTogether, windowBytes, windowItems } from "./peer-stream.js";
import { encodeError } from "./wire-error.js";

/** One stream to send: an output to a caller, or an input to a replica. */
interface PumpedStream {
  readonly channel: Channel;
  /** Number of the call. */
  readonly id: number;
  readonly part: "input" | "output";
  /** Called once, right before the first frame. */
  readonly begin?: () => void;
  /** Called once: after the last item or a stop without an error, or with the failure. */
  readonly done: (error: unknown) => void;
}

/** Items that were sent together, with the number of those that were not taken yet. */
interface Ahead {
  left: number;
  readonly bytes: number;
}

/**
 * Sends the items of one stream as fast as its reader takes them, and no faster.
 *
 * Small items of one turn of the event loop share frames: a stage that passes them on has then little to do.
 */
export class StreamSender implements ItemSink {
  readonly takesEncoded = true;
  readonly #stream: PumpedStream;
  /** Items sent and not yet taken, oldest first. */
  readonly #ahead = new Fifo<Ahead>();
  #oldest: Ahead | undefined;
  #aheadItems = 0;
  #aheadBytes = 0;
  /** Items that wait for others to share a frame with. */
  #gathered = "";
  #gatheredItems = 0;
  #isScheduled = false;
  #source: ItemSource | undefined;
  /** Items that one pull may bring. */
  #perPull = 1;
  /** True while the window is used up: the next item is asked for when there is credit. */
  #isWaiting = false;
  #isStopped = false;
  #hasBegun = false;
  /** Failure of an item that could not be sent: its producer ends first. */
  #refusal: unknown;

  constructor(stream: PumpedStream) {
    this.#stream = stream;
  }

  start(source: ItemSource): void {
    this.#source = source;
    if (this.#isStopped) source.stop();
    else source.pull();
  }

  item(value: unknown): void {
    if (this.#isStopped) return;
    try {
      const encoded = encodeValue(value, this.#stream.part, this.#stream.channel.files);
      if (encoded instanceof Promise) encoded.then((late) => this.#add({ ...late, count: 1 }), this.#refuse);
      else this.#add({ count: 1, text: encoded.text, tails: encoded.tails, isMarked: encoded.isMarked });
    } catch (error) {
      this.#refuse(error);
    }
  }

  encoded(items: EncodedItems): void {
    this.#perPull = itemsTogether;
    this.#add(items);
  }

  end(): void {
    this.#flush();
    this.#stream.done(this.#refusal);
  }

  fail(error: unknown): void {
    this.#flush();
    this.#stream.done(this.#refusal ?? error);
  }

  /** @throws {ServingError} `malformed_frame` for more items than were sent. */
  addCredit(items: number): void {
    const sent = this.#aheadItems - this.#gatheredItems;
    if (items > sent) throw malformed(`a credit of ${items} items, of which ${sent} were sent`);
    this.#aheadItems -= items;
    for (let left = items; left > 0; ) {
      this.#oldest ??= this.#ahead.shift() as Ahead;
      const taken = Math.min(left, this.#oldest.left);
      left -= taken;
      this.#oldest.left -= taken;
      if (this.#oldest.left > 0) continue;
      this.#aheadBytes -= this.#oldest.bytes;
      this.#oldest = undefined;
    }
    if (this.#isWaiting) this.#pullNext();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#gatheredItems = 0;
    this.#source?.stop();
  }

  /** Called by the tick queue alone: nothing more comes in this turn. */
  flushGathered(): void {
    this.#isScheduled = false;
    this.#flush();
  }

  #add({ count, text, tails, isMarked }: EncodedItems): void {
    if (this.#isStopped) return;
    const bytes = itemBytes(text, tails, count);
    this.#ahead.push({ left: count, bytes });
    this.#aheadItems += count;
    this.#aheadBytes += bytes;
    if (isMarked || tails.length > 0 || text.length >= charsTogether) {
      this.#flush();
      this.#send(text, tails, (isMarked ? frameFlags.marked : 0) | (count > 1 ? frameFlags.several : 0));
    } else {
      this.#gather(text, count);
    }
    this.#pullNext();
  }

  #gather(text: string, count: number): void {
    if (this.#gatheredItems + count > itemsTogether) this.#flush();
    this.#gathered = this.#gatheredItems === 0 ? text : `${this.#gathered}\n${text}`;
    this.#gatheredItems += count;
    if (this.#gatheredItems >= itemsTogether || this.#gathered.length >= charsTogether) {
      this.#flush();
    } else if (!this.#isScheduled) {
      this.#isScheduled = true;
      process.nextTick(flushPump, this);
    }
  }

  #flush(): void {
    if (this.#gatheredItems === 0 || this.#isStopped) return;
    const flags = this.#gatheredItems > 1 ? frameFlags.several : 0;
    const text = this.#gathered;
    this.#gatheredItems = 0;
    this.#gathered = "";
    this.#send(text, noTails, flags);
  }

  #send(text: string, tails: readonly Tail[], flags: number): void {
    const { channel, id, begin } = this.#stream;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      begin?.();
    }
    try {
      channel.send({ kind: frameKinds.item, flags, id, head: text, tails });
    } catch (error) {
      this.#refuse(error);
    }
  }

  #pullNext(): void {
    this.#isWaiting = this.#aheadItems + this.#perPull > windowItems || this.#aheadBytes >= windowBytes;
    if (!this.#isWaiting && !this.#isStopped) this.#source?.pull();
  }

  readonly #refuse = (error: unknown): void => {
    if (this.#isStopped) return;
    this.#flush();
    this.#refusal ??= error;
    this.stop();
  };
}

const flushPump = (sender: StreamSender): void => sender.flushGathered();

/** A sent call, with the number of its frame. */
interface SentCall {
  readonly channel: Channel;
  readonly id: number;
  readonly scope: CallScope;
}

/**
 * The caller's end of an input that is a stream. Sends its items once the callee begins to read, as fast as the callee
 * takes them.
 */
export class InputSender {
  readonly #call: SentCall;
  readonly #stream: InputStream;
  #sender: StreamSender | undefined;
  #isOver = false;

  constructor(call: SentCall, stream: InputStream) {
    this.#call = call;
    this.#stream = stream;
  }

  /**
   * Lets more items be sent.
   *
   * @param items 0 once, when the callee begins to read; then the number of items that it has taken.
   * @throws {ServingError} `malformed_frame`.
   */
  addCredit(items: number): void {
    const sender = this.#sender;
    if (this.#isOver) return;
    if ((items === 0) !== (sender === undefined)) {
      throw malformed(`a credit of ${items} items for an input that has ${sender === undefined ? "not " : ""}begun`);
    }
    if (sender === undefined) this.#begin();
    else sender.addCredit(items);
  }

  /** Ends the items, not the call: the callee's reader wants no more. */
  receiveCancel(): void {
    this.end();
    this.#stream.stop();
  }

  /** Sends nothing more: the call has ended, or is sent elsewhere. */
  end(): void {
    this.#isOver = true;
    this.#sender?.stop();
  }

  #begin(): void {
    const stream = this.#stream;
    const { channel, id, scope } = this.#call;
    const { service, api } = scope.call;
    const done = (error: unknown): void => {
      if (error === undefined) this.#finish(frameKinds.end, "");
      else this.#finish(frameKinds.failure, encodeError(toServingError(error, service, api)));
    };
    const sender = new StreamSender({ channel, id, part: "input", done });
    this.#sender = sender;
    const source = stream.passTo(sender) ?? {
      pull: () => stream.pull(sender),
      stop: () => {
        stream.stop();
        sender.end();
      },
    };
    sender.start(source);
  }

  #finish(kind: number, head: string): void {
    // An input that is cut off by the end of its call must not look complete.
    const { channel, id, scope } = this.#call;
    if (this.#isOver || scope.isEnded) return;
    this.#isOver = true;
    channel.send({ kind, flags: 0, id, head, tails: noTails });
  }
}
