import { ServingError } from "../../src/failure/serving-error.js";
import { messageOf } from "../../src/failure/to-serving-error.js";
import type { Channel, ChannelReader } from "../../src/transport/channel.js";
import {
  checkFrameSize,
  type Frame,
  FrameReader,
  frameBound,
  loadTail,
  malformed,
  writeFrame,
} from "../../src/transport/frame.js";

/** Makes two joined ends in one thread: frames cross as bytes, one turn of the event loop later. */
export function createMemoryChannels(): [Channel, Channel] {
  const first = new MemoryChannel();
  const second = new MemoryChannel();
  first.join(second);
  second.join(first);
  return [first, second];
}

class MemoryChannel implements Channel {
  readonly bufferedBytes = 0;
  #other: MemoryChannel | undefined;
  #reader: ChannelReader | undefined;
  #frames: FrameReader | undefined;
  #reason: ServingError | undefined;
  #isClosed = false;
  #isEnded = false;

  join(other: MemoryChannel): void {
    this.#other = other;
  }

  open(reader: ChannelReader): void {
    this.#reader = reader;
    this.#frames = new FrameReader(
      (frame) => reader.receive(frame),
      (slab) => {
        throw malformed(`slab ${slab} was never announced`);
      },
    );
  }

  send(frame: Frame): boolean {
    if (this.#isClosed || this.#isEnded) return false;
    checkFrameSize(frame);
    const loaded = { ...frame, tails: frame.tails.map(loadTail) };
    const bytes = Buffer.alloc(frameBound(loaded, undefined));
    const length = writeFrame(loaded, undefined, bytes, 0);
    setImmediate(() => this.#other?.take(bytes.subarray(0, length)));
    return true;
  }

  close(): void {
    this.#isClosed = true;
    setImmediate(() => {
      this.end();
      this.#other?.end();
    });
  }

  take(bytes: Buffer): void {
    if (this.#isEnded || this.#reason !== undefined) return;
    try {
      this.#frames?.push(bytes);
    } catch (error) {
      this.#reason = error instanceof ServingError ? error : malformed(messageOf(error));
      this.close();
    }
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#reader?.closed(this.#reason);
  }
}
