import type { CallScope } from "../call/call-scope.js";
import type { ItemFeed } from "../call/streams/item-feed.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { Channel } from "./channel.js";
import { frameKinds, malformed, noTails } from "./frame.js";
import { ItemPump } from "./item-pump.js";
import { encodeError } from "./wire-error.js";

/** The caller's end of an input that is a stream: sends its items from when the callee reads them on, as fast as it takes them. */
export class InputSender {
  readonly #channel: Channel;
  readonly #scope: CallScope;
  readonly #feed: ItemFeed;
  #pump: ItemPump | undefined;
  #isOver = false;

  /** @param scope Of a call that was sent, and is known by its slot. */
  constructor(channel: Channel, scope: CallScope, feed: ItemFeed) {
    this.#channel = channel;
    this.#scope = scope;
    this.#feed = feed;
  }

  /** @param items None, once, when the callee begins to read; then as many as it has taken. @throws {ServingError} `malformed_frame`. */
  addCredit(items: number): void {
    const pump = this.#pump;
    if (this.#isOver) return;
    if ((items === 0) !== (pump === undefined)) {
      throw malformed(`a credit of ${items} items for an input that has ${pump === undefined ? "not " : ""}begun`);
    }
    if (pump === undefined) this.#begin();
    else pump.addCredit(items);
  }

  /** The callee's reader wants no more; the call goes on. */
  receiveCancel(): void {
    this.end();
    this.#feed.stop();
  }

  /** The call has ended, or is sent elsewhere: nothing more is sent here. */
  end(): void {
    this.#isOver = true;
    this.#pump?.stop();
  }

  #begin(): void {
    const feed = this.#feed;
    const { slot: id } = this.#scope;
    const { service, api } = this.#scope.call;
    const done = (error: unknown): void => {
      if (error === undefined) this.#finish(frameKinds.end, "");
      else this.#finish(frameKinds.failure, encodeError(toServingError(error, service, api)));
    };
    const pump = new ItemPump({ channel: this.#channel, id, part: "input", done });
    this.#pump = pump;
    const flow = feed.passTo(pump) ?? {
      pull: () => feed.pull(pump),
      stop: () => {
        feed.stop();
        pump.end();
      },
    };
    pump.start(flow);
  }

  #finish(kind: number, head: string): void {
    // Where the call has ended, what is left of its input must not look complete.
    if (this.#isOver || this.#scope.isEnded) return;
    this.#isOver = true;
    this.#channel.send({ kind, flags: 0, id: this.#scope.slot, head, tails: noTails });
  }
}
