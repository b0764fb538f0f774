import { fail } from "../../failure/failures.js";
import type { ServingError } from "../../failure/serving-error.js";
import type { Tail } from "../../held/held-file.js";

// Protocol for the items of a stream between stages inside ekiben: by calls, so that a stage costs no promise an item.
//
// SS1  An item, the end or a failure comes only after a pull, and one for each. Nothing comes after the end or a
//      failure.
// SS2  No item comes after a stop. The end still does, once the code that the stage runs in this thread has ended.
// SS3  A stage may answer a pull before it returns.

/** Items as they cross a boundary, one or several. Stages that only pass them on don't read them. */
export interface EncodedItems {
  /** Number of items; together they answer one pull. */
  readonly count: number;
  readonly text: string;
  readonly tails: readonly Tail[];
  readonly isMarked: boolean;
}

/** Receiver of the items of a stream. */
export interface ItemSink {
  /** True when items from a boundary may be passed on in encoded form. */
  readonly takesEncoded: boolean;
  /** @param isFresh True when the item has no other owner and needs no copy. */
  item(value: unknown, isFresh: boolean): void;
  /** Called in place of `item` where `takesEncoded` is true. */
  encoded(items: EncodedItems): void;
  end(): void;
  fail(error: unknown): void;
}

/** Producer of the items of a stream. */
export interface ItemSource {
  /** Asks for one item. Called again only after it has come. */
  pull(): void;
  /** Ends the stream early. */
  stop(): void;
}

/** An unread stream from a handle. Its receiver may pass it on without reading it. */
export interface PassableStream {
  /** Schema object that its items were checked against; `undefined` where it means nothing to other services. */
  readonly itemSchema: unknown;
  readonly isUnread: boolean;
  /**
   * Sends its items to `sink` from now on, instead of to a reader. @param reader Scope of the call that gets them as
   * input.
   */
  passTo(sink: ItemSink, reader?: object): ItemSource;
}

/** Key of a stream that may be passed on. */
export const passable: unique symbol = Symbol.for("ekiben.passable");

/** Returns the stream behind a value that may be passed on unread. */
export function readPassable(value: unknown): PassableStream | undefined {
  const stream = (value as { [passable]?: PassableStream } | null | undefined)?.[passable];
  return stream?.isUnread === true ? stream : undefined;
}

/** Returns the reason of a cancellation for a call whose stream has no reader any more. */
export const readerGone = (): ServingError => fail("cancelled", { reason: "its reader has ended the stream" });

/** Receiver of one item of an input stream, called once for each pull. */
export interface InputReader {
  /** Receives an item. Reads the value before it returns: the value belongs to its producer. */
  item(value: unknown): void;
  end(): void;
  /** @param error A `ServingError` where the producer throws. */
  fail(error: unknown): void;
}

/** Items of a call whose input is a stream, as the link that carries the call takes them from its caller. */
export interface InputStream {
  /** True once an item was asked for. Items are taken once, so the call can't be sent to another replica then. */
  readonly isTaken: boolean;
  /** Asks for the next item. Called again only after it has come. */
  pull(reader: InputReader): void;
  /**
   * Sends all items to `sink` instead, where the caller has passed the unread stream of another service; else returns
   * `undefined`.
   */
  passTo(sink: ItemSink): ItemSource | undefined;
  /** Ends the producer early, once. Does not wait for it. */
  stop(): void;
}

/**
 * True when an author's iterator is over. @throws {TypeError} for a value that is no step; any error of its accessors.
 */
export function isLastStep(step: IteratorResult<unknown, unknown>): boolean {
  if (typeof step === "object" && step !== null) return step.done === true;
  throw new TypeError(`the iterator of a stream gave ${step === null ? "null" : typeof step}, not { done, value }`);
}

/** Last step of every ended stream. */
export const lastStep: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });
