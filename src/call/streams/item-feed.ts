import type { ItemFlow, ItemSink } from "./item-flow.js";

/** Who asked for an item of a feed: told once for each that it asks for. */
export interface FeedReader {
  /** Reads the value before it returns: it is its producer's own. */
  item(value: unknown): void;
  end(): void;
  /** @param error A `ServingError` where the producer throws. */
  fail(error: unknown): void;
}

/** The items of a call whose input is a stream, as whoever carries the call takes them from its caller. */
export interface ItemFeed {
  /** Whether an item was asked for. The call can't be sent anywhere else then: its items are taken once. */
  readonly isTaken: boolean;
  /** Asks for the next item; not again before it has come. */
  pull(reader: FeedReader): void;
  /** Gives all items to `sink` instead, where the caller has passed the unread stream of another service; else `undefined`. */
  passTo(sink: ItemSink): ItemFlow | undefined;
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
