import type { CallScope } from "../call/call-scope.js";
import { fail } from "../failure/fail.js";
import type { Channel } from "../transport/channel.js";
import { decodeValue } from "../transport/decode-value.js";
import { type Frame, frameFlags, frameKinds, malformed, noTails } from "../transport/frame.js";
import { itemBytes, PeerStream } from "../transport/peer-stream.js";
import { decodeError, encodeError } from "../transport/wire-error.js";

/** The callee's end of an input that is a stream: its reader, and the frames that come for it. */
export class InputReceiver {
  /** What the api reads. */
  readonly items: PeerStream;
  readonly #channel: Channel;
  readonly #id: number;
  #isOver = false;

  /** @param scope Of the call: its end ends the input, and a cancellation fails a `next()` that waits. */
  constructor(channel: Channel, scope: CallScope) {
    this.#channel = channel;
    this.#id = scope.slot;
    this.items = new PeerStream({
      start: () => this.#send(frameKinds.credit, "0"),
      credit: (items) => this.#send(frameKinds.credit, String(items)),
      cancel: () => this.#send(frameKinds.cancel, encodeError(readerGone())),
    });
    scope.onEnd(() => this.items.close(scope.reason));
  }

  /** An item, the end or the failure of the input. @throws {ServingError} `malformed_frame` for one that may not come now. */
  receive(frame: Frame): void {
    const { kind, head, tails, flags } = frame;
    if (this.#isOver) throw malformed(`a frame of kind ${kind} for the input of call ${this.#id}, which has ended`);
    if (!this.items.isStarted) throw malformed(`a frame of kind ${kind} for an input that nobody has asked for`);
    this.#isOver = kind !== frameKinds.item;
    if (kind === frameKinds.end) this.items.end();
    else if (kind === frameKinds.failure) this.items.fail(decodeError(head));
    else this.items.push(decodeValue(head, tails, (flags & frameFlags.marked) !== 0), itemBytes(head, tails));
  }

  #send(kind: number, head: string): void {
    if (!this.#isOver) this.#channel.send({ kind, flags: 0, id: this.#id, head, tails: noTails });
  }
}

const readerGone = () => fail("cancelled", { reason: "its reader has ended the stream" });
