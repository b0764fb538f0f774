import { Fifo, type FifoPlace } from "../base/fifo.js";
import type { Priority } from "../call/call.js";

/**
 * How much later than it came a background call counts as having come.
 *
 * So it is overtaken by interactive calls that come within this time of it, and by none that come later: its wait is
 * bounded by what waited when it came and what came in this time, however many interactive calls there are.
 */
export const backgroundAgeMs = 1000;

interface Waiting<T> {
  readonly value: T;
  readonly queue: Fifo<Waiting<T>>;
  /** When it came, or counts as having come. */
  readonly rank: number;
}

/** Where a value stands in a `CallQueue`; needed to take it out of the middle. */
export type QueuePlace<T> = FifoPlace<Waiting<T>>;

/** Calls that wait, in the order in which their turn comes: first come first, background ones as if they came a second later. */
export class CallQueue<T> {
  readonly #interactive = new Fifo<Waiting<T>>();
  readonly #background = new Fifo<Waiting<T>>();

  get size(): number {
    return this.#interactive.size + this.#background.size;
  }

  /** The rank of the one whose turn is next; `undefined` when nothing waits. Of two queues the lower one is older. */
  get rank(): number | undefined {
    return this.#next()?.first?.rank;
  }

  /** The one whose turn is next, left where it is. */
  get first(): T | undefined {
    return this.#next()?.first?.value;
  }

  /** Visits every one that waits, in no order that counts. */
  forEach(visit: (value: T) => void): void {
    const open = ({ value }: Waiting<T>) => {
      visit(value);
    };
    this.#interactive.forEach(open);
    this.#background.forEach(open);
  }

  /** @param now When it came. */
  push(value: T, priority: Priority, now: number): QueuePlace<T> {
    const isBackground = priority === "background";
    const queue = isBackground ? this.#background : this.#interactive;
    return queue.push({ value, queue, rank: isBackground ? now + backgroundAgeMs : now });
  }

  /** Takes the one whose turn is next; `undefined` when nothing waits. */
  shift(): T | undefined {
    return this.#next()?.shift()?.value;
  }

  /** Takes a value out. The place must come from `push` of this queue and still be in it. */
  remove(place: QueuePlace<T>): void {
    place.value.queue.remove(place);
  }

  #next(): Fifo<Waiting<T>> | undefined {
    const interactive = this.#interactive.first;
    const background = this.#background.first;
    if (background === undefined) return interactive === undefined ? undefined : this.#interactive;
    return interactive !== undefined && interactive.rank < background.rank ? this.#interactive : this.#background;
  }
}
