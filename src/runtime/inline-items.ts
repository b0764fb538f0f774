import type { CallScope } from "../call/call-scope.js";
import { copyValue } from "../call/copy-value.js";
import { ItemReader } from "../call/streams/item-reader.js";
import type { EncodedItems, InputReader, InputStream, ItemSink, ItemSource } from "../call/streams/item-source.js";
import { nameInput } from "../call/streams/stream-use.js";
import { type ServingError, unreachable } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import { crossError } from "../transport/wire-error.js";

/** The two sides of a streaming call in this thread. */
interface InlineSides {
  readonly scope: CallScope;
  /** Runs the call. @throws {ServingError} when the input can't be passed on. */
  readonly serve: (sink: ItemSink) => ItemSource;
  /** The caller's. */
  readonly sink: ItemSink;
  /** When the callee's code has ended. */
  readonly onEnd: () => void;
}

/** A streaming call in this thread: items and failures are made the caller's own, as a border would make them. */
export class InlineItems implements ItemSource, ItemSink {
  readonly takesEncoded = false;
  readonly #sides: InlineSides;
  #stream: ItemSource | undefined;
  /** Why an item can't cross: its maker ends first. */
  #refusal: { readonly error: unknown } | undefined;

  constructor(sides: InlineSides) {
    this.#sides = sides;
  }

  pull(): void {
    if (this.#stream === undefined) {
      try {
        this.#stream = this.#sides.serve(this);
      } catch (error) {
        this.fail(error);
        return;
      }
    }
    this.#stream.pull();
  }

  stop(): void {
    if (this.#stream === undefined) this.end();
    else this.#stream.stop();
  }

  /** Whoever calls from outside writes an item when it is given, and needs no copy. */
  item(value: unknown, isFresh: boolean): void {
    if (isFresh || this.#sides.scope.call.outside) {
      this.#sides.sink.item(value, isFresh);
      return;
    }
    let own: unknown;
    try {
      own = copyValue(value, "output");
    } catch (error) {
      this.#refusal = { error };
      this.#stream?.stop();
      return;
    }
    this.#sides.sink.item(own, true);
  }

  encoded(items: EncodedItems): void {
    unreachable(`items of ${items.text.length} characters were passed on where they can't be`);
  }

  end(): void {
    if (this.#refusal !== undefined) {
      this.fail(this.#refusal.error);
      return;
    }
    this.#sides.onEnd();
    this.#sides.sink.end();
  }

  fail(error: unknown): void {
    const { service, api } = this.#sides.scope.call;
    this.#sides.onEnd();
    this.#sides.sink.fail(crossError(toServingError(error, service, api)));
  }
}

/**
 * The callee's end of an input that is a stream, whose caller is in the same thread: an item is asked for when it is read.
 *
 * Items and failures are made the callee's own, as a border would make them. The end of the call ends the input; where the
 * call was cancelled, its reader is told so once.
 */
export class InlineInput implements ItemSource, InputReader {
  /** What the api reads. */
  readonly items = new ItemReader(this, () => nameInput(this.#scope));
  readonly #scope: CallScope;
  readonly #stream: InputStream;
  #isEnded = false;

  constructor(scope: CallScope, stream: InputStream) {
    this.#scope = scope;
    this.#stream = stream;
    scope.onEnd(() => this.#end(scope.reason));
  }

  pull(): void {
    this.#stream.pull(this);
  }

  stop(): void {
    this.#end(undefined);
    this.#stream.stop();
  }

  item(value: unknown): void {
    if (this.#isEnded) return;
    let own: unknown;
    try {
      own = this.#scope.call.outside ? value : copyValue(value, "input");
    } catch (error) {
      this.#stream.stop();
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
