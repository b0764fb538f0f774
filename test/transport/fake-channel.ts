import type { ServingError } from "../../src/failure/serving-error.js";
import { type Channel, type ChannelReader, createHello } from "../../src/transport/channel.js";
import { checkFrameSize, type Frame, frameKinds, noTails } from "../../src/transport/frame.js";

/** Channel whose other side is the test. */
export class FakeChannel implements Channel {
  bufferedBytes = 0;
  /** Frames sent, hello included. */
  readonly sent: Frame[] = [];
  /** Called with each frame as it is sent. */
  onSend: (frame: Frame) => void = () => {};
  isClosed = false;
  reader!: ChannelReader;

  open(reader: ChannelReader): void {
    this.reader = reader;
  }

  send(frame: Frame): boolean {
    if (this.isClosed) return false;
    checkFrameSize(frame);
    this.sent.push(frame);
    this.onSend(frame);
    return true;
  }

  close(): void {
    this.isClosed = true;
  }

  /** Ends the channel, as seen from this side. */
  end(reason?: ServingError): void {
    this.isClosed = true;
    this.reader.closed(reason);
  }

  /** Receives a frame from the other side. */
  receive(kind: keyof typeof frameKinds, id: number, head = "", more: Partial<Frame> = {}): void {
    this.reader.receive({ kind: frameKinds[kind], flags: 0, id, head, tails: noTails, ...more });
  }

  /** Receives the hello of the other side. */
  greet(replica: string): void {
    this.reader.receive(createHello(replica));
  }

  /** Returns the sent frames of one kind. */
  sentOf(kind: keyof typeof frameKinds): Frame[] {
    return this.sent.filter((frame) => frame.kind === frameKinds[kind]);
  }
}
