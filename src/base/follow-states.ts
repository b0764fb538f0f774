import { GrowingPause } from "./repeat-pace.js";

const firstPauseMs = 100;
const longestPauseMs = 5_000;
/** Most attempts in a row to open a source again that gives no state: with their pauses some 95 s. */
const maxAttempts = 24;

/** Source of the states of one thing: the present state first, then each change, as long as its connection lasts. */
interface StateSource<T> {
  readonly open: () => AsyncIterable<T>;
  /** True for a state after which no other comes. */
  readonly isLast: (state: T) => boolean;
  /** True for an error that ended the connection only, so that the source may be opened again. */
  readonly isPassing: (error: unknown) => boolean;
  /** Creates the error of a connection that has ended before the last state, as if all were well. */
  readonly cutOff: () => unknown;
  /** Waits before the source is opened again; less when the reader leaves. */
  readonly pause: (ms: number) => Promise<void>;
  /** True when the reader has left: the source is not opened again. Default: never, as `pause` throws then. */
  readonly isLeft?: () => boolean;
}

/**
 * Yields each state of a thing once, up to the last one, and opens its source again when the connection was lost.
 *
 * A source that gives the same state each time it is opened is asked less and less often, down to every five seconds.
 *
 * @throws the error of a source that was never read, that does not come back, or that has failed for good.
 */
export async function* followStates<T>({
  open,
  isLast,
  isPassing,
  cutOff,
  pause,
  isLeft = () => false,
}: StateSource<T>): AsyncGenerator<T, void, undefined> {
  const pauses = new GrowingPause(firstPauseMs, longestPauseMs);
  let last: string | undefined;
  for (let attempts = 0; !isLeft(); attempts++) {
    let lost: unknown;
    try {
      for await (const state of open()) {
        attempts = 0;
        const text = JSON.stringify(state);
        if (text !== last) {
          pauses.reset();
          yield state;
        }
        last = text;
        if (isLast(state)) return;
      }
      if (isLeft()) return;
      lost = cutOff();
    } catch (error) {
      if (!isPassing(error)) throw error;
      lost = error;
    }
    if (last === undefined || attempts >= maxAttempts) throw lost;
    await pause(pauses.begin());
  }
}

/**
 * Returns the items of a generator to a reader that may leave while it waits: the generator's own `return` would first
 * wait for the item it was asked for.
 *
 * @param leave Ends whatever the generator waits for.
 */
export function leavable<T>(
  items: AsyncGenerator<T, void, undefined>,
  leave: () => void,
): AsyncIterableIterator<T, void, undefined> {
  return {
    next: () => items.next(),
    return: () => {
      leave();
      return items.return();
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
