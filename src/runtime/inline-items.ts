import type { CallScope } from "../call/call-scope.js";
import { copyValue } from "../call/copy-value.js";
import { ItemReader } from "../call/streams/item-reader.js";
import type { EncodedItems, InputReader, InputStream, ItemSink, ItemSource } from "../call/streams/item-source.js";
import { nameInput } from "../call/streams/stream-use.js";
import { type ServingError, unreachable } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import { crossError } from "../transport/wire-error.js";

/** Caller and callee of a streaming call in this thread. */
interface InlineSides {
  readonly scope: CallScope;
  /** Runs the call. @throws {ServingError} when the input can't be passed on. */
  readonly serve: (sink: ItemSink) => ItemSource;
  /** Receives items for the caller. */
  readonly sink: ItemSink;
  /** Called once the callee's code has ended. */
  readonly onEnd: () => void;
}

/** A streaming call in this thread. It copies items and failures for the caller, as a process boundary would. */
export class InlineItems implements ItemSource, ItemSink {
  readonly takesEncoded = false;
  readonly #sides: InlineSides;
  #stream: ItemSource | undefined;
  /** Set when an item could not be copied. The callee's stream ends before the caller receives the failure. */
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

  /** Passes an item on. A call from outside needs no copy: its item is written at once. */
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
 * Callee's end of an input stream whose caller is in the same thread. It asks for an item when the api reads one.
 *
 * It copies items and failures for the callee, as a process boundary would. The end of the call ends the input; when
 * the call was cancelled, the reader gets the reason once.
 */
export class InlineInput implements ItemSource, InputReader {
  /** Iterator that the api reads. */
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
