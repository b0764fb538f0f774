import type { ServingError } from "../../src/failure/serving-error.js";
import type { Channel, ChannelReader } from "../../src/transport/channel.js";
import { type Frame, FrameReader } from "../../src/transport/frame.js";
import { encodeFrame, noSlabs } from "./random-frame.js";

/** Channel whose other side is a test that sends arbitrary bytes. */
export class ByteChannel implements Channel {
  readonly bufferedBytes = 0;
  /** Bytes that were sent. */
  sentBytes = 0;
  isEnded = false;
  #reader!: ChannelReader;
  #frames!: FrameReader;

  open(reader: ChannelReader): void {
    this.#reader = reader;
    this.#frames = new FrameReader((frame) => reader.receive(frame), noSlabs);
  }

  send(frame: Frame): boolean {
    if (this.isEnded) return false;
    this.sentBytes += encodeFrame(frame).length;
    return true;
  }

  close(): void {
    this.end(undefined);
  }

  /** Receives bytes. @throws any error of the channel's reader, where another channel would end. */
  push(bytes: Buffer): void {
    if (!this.isEnded) this.#frames.push(bytes);
  }

  end(reason: ServingError | undefined): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.#reader.closed(reason);
  }
}
