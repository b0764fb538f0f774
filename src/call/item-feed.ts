import type { ItemFlow, ItemSink } from "./item-flow.js";

/** The items of a call whose input is a stream, as whoever carries the call takes them from its caller. */
export interface ItemFeed {
  /** Whether an item was asked for. The call can't be sent anywhere else then: its items are taken once. */
  readonly isTaken: boolean;
  /** The next item; rejects with a `ServingError` where the producer throws. Asked for one at a time. */
  next(): Promise<IteratorResult<unknown, undefined>>;
  /** Gives all items to `sink` instead, where the caller has passed the unread stream of another service; else `undefined`. */
  passTo(sink: ItemSink): ItemFlow | undefined;
  /** Nothing more is wanted: ends the producer, once, and waits for nothing. */
  stop(): void;
}

/** What every ended stream gives. */
export const lastStep: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });
