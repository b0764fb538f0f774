import { fail } from "../../failure/failures.js";
import type { ServingError } from "../../failure/serving-error.js";
import type { Tail } from "../../held/held-file.js";

// How the items of a stream go from stage to stage inside ekiben: by calls, so that a stage costs no promise an item.
//
// W1  An item, the end or a failure comes only after a pull, and one for each. After the end or a failure nothing comes.
// W2  After a stop no item comes. The end still does, once what the stage runs in this thread has ended.
// W3  A stage may answer a pull before it returns.

/** Items as they go over a border, one or several: opaque to whoever only passes them on. */
export interface EncodedItems {
  /** How many; they answer one pull. */
  readonly count: number;
  readonly text: string;
  readonly tails: readonly Tail[];
  readonly isMarked: boolean;
}

/** Who gets the items of a stream. */
export interface ItemSink {
  /** Whether items that came over a border may be passed on as they came. */
  readonly takesEncoded: boolean;
  /** @param isFresh Whether nobody else holds the item, so that it need not be copied. */
  item(value: unknown, isFresh: boolean): void;
  /** Called in place of `item` where `takesEncoded` says so. */
  encoded(items: EncodedItems): void;
  end(): void;
  fail(error: unknown): void;
}

/** Who makes the items of a stream. */
export interface ItemSource {
  /** Asks for one item; not again before it has come. */
  pull(): void;
  /** No more are wanted. */
  stop(): void;
}

/** A stream that a handle gave and nobody has read: whoever gets it may pass it on without reading it. */
export interface PassableStream {
  /** What its items were checked against: the very schema; `undefined` where that says nothing to anybody else. */
  readonly itemSchema: unknown;
  readonly isUnread: boolean;
  /** Gives its items to `sink` from now on, instead of to a reader. @param reader The scope of the call whose input they are, if they are one's. */
  passTo(sink: ItemSink, reader?: object): ItemSource;
}

/** Under this key a stream gives itself as one that may be passed on. */
export const passable: unique symbol = Symbol.for("ekiben.passable");

/** The stream behind a value that may be passed on unread. */
export function readPassable(value: unknown): PassableStream | undefined {
  const stream = (value as { [passable]?: PassableStream } | null | undefined)?.[passable];
  return stream?.isUnread === true ? stream : undefined;
}

/** Why a call is cancelled whose stream nobody reads any more. */
export const readerGone = (): ServingError => fail("cancelled", { reason: "its reader has ended the stream" });

/** Who asked for an item of a feed: told once for each that it asks for. */
export interface InputReader {
  /** Reads the value before it returns: it is its producer's own. */
  item(value: unknown): void;
  end(): void;
  /** @param error A `ServingError` where the producer throws. */
  fail(error: unknown): void;
}

/** The items of a call whose input is a stream, as whoever carries the call takes them from its caller. */
export interface InputStream {
  /** Whether an item was asked for. The call can't be sent anywhere else then: its items are taken once. */
  readonly isTaken: boolean;
  /** Asks for the next item; not again before it has come. */
  pull(reader: InputReader): void;
  /** Gives all items to `sink` instead, where the caller has passed the unread stream of another service; else `undefined`. */
  passTo(sink: ItemSink): ItemSource | undefined;
  /** Nothing more is wanted: ends the producer, once, and waits for nothing. */
  stop(): void;
}

/** Whether an author's iterator is over. @throws {TypeError} for what is no step; whatever its own accessors throw. */
export function isLastStep(step: IteratorResult<unknown, unknown>): boolean {
  if (typeof step === "object" && step !== null) return step.done === true;
  throw new TypeError(`the iterator of a stream gave ${step === null ? "null" : typeof step}, not { done, value }`);
}

/** What every ended stream gives. */
export const lastStep: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });
