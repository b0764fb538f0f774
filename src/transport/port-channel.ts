import { MessageChannel, type MessagePort } from "node:worker_threads";
import { countBytes, newBytesToGive } from "../base/new-bytes.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import { HeldFile, type Tail } from "../held/held-file.js";
import { LongText } from "../held/long-text.js";
import { type Channel, type ChannelReader, framesTogether } from "./channel.js";
import { checkFrameSize, type Frame, malformed, noTails } from "./frame.js";

/** Bytes from which on the copy of a tail is transferred instead of copied once more. */
const minTransferBytes = 4096;

/** Items of a frame in a message before its tails: kind, flags, id, head, number of tails. */
const frameItems = 5;

/**
 * Frames between two threads of one process. Frames of one turn of the event loop go in one message.
 *
 * Tails are copied once, into memory that is transferred.
 */
export class PortChannel implements Channel {
  readonly #port: MessagePort;
  #message: unknown[] = [];
  #transfers: ArrayBuffer[] = [];
  #isScheduled = false;
  #frames = 0;
  /** True when nothing more is sent: the channel was closed, or a message can't be read. */
  #isClosed = false;
  #isEnded = false;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /**
   * Always 0 bytes: a port takes everything at once. Data on its way is bounded by the calls in flight and the windows
   * of streams.
   */
  get bufferedBytes(): number {
    return 0;
  }

  open(reader: ChannelReader): void {
    let reason: ServingError | undefined;
    this.#port.on("message", (message: unknown) => {
      // A closed port still delivers earlier messages.
      if (reason !== undefined) return;
      try {
        readMessage(message, reader);
      } catch (error) {
        reason = error instanceof ServingError ? error : malformed(messageOf(error));
        this.#isClosed = true;
        this.#port.close();
      }
    });
    this.#port.on("close", () => {
      if (this.#isEnded) return;
      this.#isClosed = true;
      this.#isEnded = true;
      reader.closed(reason);
    });
  }

  send(frame: Frame): boolean {
    if (this.#isClosed) return false;
    const { kind, flags, id, head, tails } = frame;
    checkFrameSize(frame);
    // First, since a copy may fail: half a frame would end the channel.
    const copies = tails.length === 0 ? noTails : tails.map(copyTail);
    this.#message.push(kind, flags, id, head, copies.length);
    for (const copy of copies) {
      this.#message.push(copy);
      if (copy.byteLength >= minTransferBytes) this.#transfers.push(copy.buffer as ArrayBuffer);
    }
    if (++this.#frames >= framesTogether) {
      this.#flush();
    } else if (!this.#isScheduled) {
      this.#isScheduled = true;
      process.nextTick(flushChannel, this);
    }
    return true;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#flush();
    this.#isClosed = true;
    this.#port.close();
  }

  /** Called by the tick queue alone. */
  flushGathered(): void {
    this.#isScheduled = false;
    this.#flush();
  }

  #flush(): void {
    this.#frames = 0;
    if (this.#message.length === 0 || this.#isClosed) return;
    const message = this.#message;
    this.#message = [];
    if (this.#transfers.length === 0) {
      this.#port.postMessage(message);
      return;
    }
    const transfers = this.#transfers;
    this.#transfers = [];
    this.#port.postMessage(message, transfers);
  }
}

/** Copies the bytes of a tail into memory that can be transferred. @throws {ServingError} `held_bytes_lost`. */
function copyTail(tail: Tail): Uint8Array {
  // Bytes read from a file have no other owner.
  if (tail instanceof HeldFile) return tail.copy();
  const copy = newBytesToGive(tail.byteLength);
  if (tail instanceof LongText) tail.copyTo(copy, 0);
  else copy.set(tail);
  return copy;
}

const flushChannel = (channel: PortChannel): void => channel.flushGathered();

function readMessage(message: unknown, reader: ChannelReader): void {
  if (!Array.isArray(message)) throw malformed("a message that is no list of frames");
  for (let at = 0; at < message.length; ) {
    const tailCount = message[at + 4] as number;
    const tailsEnd = at + frameItems + tailCount;
    if (!(tailCount >>> 0 === tailCount && tailsEnd <= message.length)) throw malformed("a message cut short");
    if (typeof message[at + 3] !== "string") throw malformed("a head that is no text");
    const tails = tailCount === 0 ? noTails : (message.slice(at + frameItems, tailsEnd) as Uint8Array[]);
    for (let i = 0; i < tails.length; i++) {
      if (!(tails[i] instanceof Uint8Array)) throw malformed("a tail that is no bytes");
      countBytes((tails[i] as Uint8Array).byteLength);
    }
    reader.receive({ kind: message[at], flags: message[at + 1], id: message[at + 2], head: message[at + 3], tails });
    at = tailsEnd;
  }
}

/**
 * Port to a replica in another thread, which carries the ports of further links there. A link that has ended can thus
 * be made again, as over the address of a socket. It lasts as long as both threads.
 */
export class PortLine {
  readonly #line: MessagePort;

  constructor(line: MessagePort) {
    this.#line = line;
  }

  /** Opens a new channel to the replica. The channel ends by itself where no replica takes it. */
  connect(): Channel {
    const { port1, port2 } = new MessageChannel();
    this.#line.postMessage(port2, [port2]);
    return new PortChannel(port1);
  }

  /** Ends the line. Its channels stay open. */
  close(): void {
    this.#line.close();
  }
}
