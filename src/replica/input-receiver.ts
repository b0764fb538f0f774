import type { CallScope } from "../call/call-scope.js";
import { ItemReader } from "../call/streams/item-reader.js";
import { readerGone } from "../call/streams/reader-gone.js";
import { nameInput } from "../call/streams/stream-use.js";
import type { Channel } from "../transport/channel.js";
import { type Frame, frameKinds, malformed, noTails } from "../transport/frame.js";
import { PeerStream, type StreamSource } from "../transport/peer-stream.js";
import { decodeError, encodeError } from "../transport/wire-error.js";

/** The callee's end of an input that is a stream: its reader, and the frames that come for it. */
export class InputReceiver {
  /** What the api reads. */
  readonly items: ItemReader;
  readonly #stream: PeerStream;
  readonly #channel: Channel;
  readonly #id: number;
  #isOver = false;

  /** @param scope Of the call: its end ends the input, and a cancellation fails a `next()` that waits. */
  constructor(channel: Channel, scope: CallScope) {
    this.#channel = channel;
    this.#id = scope.slot;
    const flow = { pull: () => this.#stream.pull(), stop: () => this.#stream.stop() };
    this.items = new ItemReader(flow, () => nameInput(scope));
    scope.input = this.items;
    const source: StreamSource = {
      start: () => this.#send(frameKinds.credit, "0"),
      credit: (items) => this.#send(frameKinds.credit, String(items)),
      cancel: () => this.#send(frameKinds.cancel, encodeError(readerGone())),
    };
    this.#stream = new PeerStream(source, this.items);
    scope.onEnd(() => this.#stream.close(scope.reason));
  }

  /** An item, the end or the failure of the input. @throws {ServingError} `malformed_frame` for one that may not come now. */
  receive(frame: Frame): void {
    const { kind, head } = frame;
    if (this.#isOver) throw malformed(`a frame of kind ${kind} for the input of call ${this.#id}, which has ended`);
    if (!this.#stream.isStarted) throw malformed(`a frame of kind ${kind} for an input that nobody has asked for`);
    this.#isOver = kind !== frameKinds.item;
    if (kind === frameKinds.end) this.#stream.end();
    else if (kind === frameKinds.failure) this.#stream.fail(decodeError(head));
    else this.#stream.push(frame);
  }

  #send(kind: number, head: string): void {
    if (!this.#isOver) this.#channel.send({ kind, flags: 0, id: this.#id, head, tails: noTails });
  }
}
