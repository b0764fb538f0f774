import type { CallScope } from "../call/call-scope.js";
import { copyValue } from "../call/copy-value.js";
import type { FeedReader, ItemFeed } from "../call/streams/item-feed.js";
import type { ItemFlow } from "../call/streams/item-flow.js";
import { ItemReader } from "../call/streams/item-reader.js";
import { nameInput } from "../call/streams/stream-use.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import { crossError } from "../transport/wire-error.js";

/**
 * The callee's end of an input that is a stream, whose caller is in the same thread: an item is asked for when it is read.
 *
 * Items and failures are made the callee's own, as a border would make them. The end of the call ends the input; where the
 * call was cancelled, its reader is told so once.
 */
export class InlineInput implements ItemFlow, FeedReader {
  /** What the api reads. */
  readonly items = new ItemReader(this, () => nameInput(this.#scope));
  readonly #scope: CallScope;
  readonly #feed: ItemFeed;
  #isEnded = false;

  constructor(scope: CallScope, feed: ItemFeed) {
    this.#scope = scope;
    this.#feed = feed;
    scope.input = this.items;
    scope.onEnd(() => this.#end(scope.reason));
  }

  pull(): void {
    this.#feed.pull(this);
  }

  stop(): void {
    this.#end(undefined);
    this.#feed.stop();
  }

  item(value: unknown): void {
    if (this.#isEnded) return;
    let own: unknown;
    try {
      own = this.#scope.call.outside ? value : copyValue(value, "input");
    } catch (error) {
      this.#feed.stop();
      this.fail(error);
      return;
    }
    this.items.item(own);
  }

  end(): void {
    this.#end(undefined);
  }

  fail(error: unknown): void {
    const { service, api } = this.#scope.call;
    this.#end(crossError(toServingError(error, service, api)));
  }

  #end(error: ServingError | undefined): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (error === undefined) this.items.end();
    else this.items.fail(error);
  }
}
