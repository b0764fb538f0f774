import { createDeferred } from "../../src/base/clock.js";
import type { ServingError } from "../../src/failure/serving-error.js";
import type { ChannelReader } from "../../src/transport/channel.js";
import type { Frame } from "../../src/transport/frame.js";

/** Reader of a channel that records what it receives. */
export class ReaderLog implements ChannelReader {
  readonly frames: Frame[] = [];
  ends = 0;
  /** Error that it throws for a frame, if any. */
  refuse: (frame: Frame) => unknown = () => undefined;
  readonly #end = createDeferred<ServingError | undefined>();
  #wanted: { readonly count: number; readonly resolve: () => void } | undefined;

  /** Resolves with the reason when the channel has ended. */
  get ended(): Promise<ServingError | undefined> {
    return this.#end.promise;
  }

  receive(frame: Frame): void {
    const refusal = this.refuse(frame);
    if (refusal !== undefined) throw refusal;
    this.frames.push(frame);
    if (this.#wanted !== undefined && this.frames.length >= this.#wanted.count) this.#wanted.resolve();
  }

  closed(reason: ServingError | undefined): void {
    this.ends++;
    this.#end.resolve(reason);
  }

  /** Resolves with the first `count` frames. @throws {Error} when the channel ends before. */
  async take(count: number): Promise<Frame[]> {
    if (this.frames.length < count) {
      const come = createDeferred<void>();
      this.#wanted = { count, resolve: come.resolve };
      await Promise.race([come.promise, this.ended]);
      if (this.frames.length < count) throw new Error(`ended after ${this.frames.length} of ${count} frames`);
    }
    return this.frames.slice(0, count);
  }
}
