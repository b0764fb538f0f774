import { GrowingPause } from "./repeat-pace.js";

const firstPauseMs = 100;
const longestPauseMs = 5_000;
/** Most attempts in a row to open a lost source again: with their pauses some 95 s. */
const maxAttempts = 24;

/** Source of the states of one thing: the present state first, then each change, as long as its connection lasts. */
interface StateSource<T> {
  readonly open: () => AsyncIterable<T>;
  /** True for a state after which no other comes. */
  readonly isLast: (state: T) => boolean;
  /** True for an error that ended the connection only, so that the source may be opened again. */
  readonly isPassing: (error: unknown) => boolean;
  /** Waits before the source is opened again; less when the reader leaves. */
  readonly pause: (ms: number) => Promise<void>;
}

/**
 * Yields each state of a thing once, up to the last one, and opens its source again when the connection was lost.
 *
 * @throws the error of a source that was never read, that does not come back, or that has failed for good.
 */
export async function* followStates<T>({
  open,
  isLast,
  isPassing,
  pause,
}: StateSource<T>): AsyncGenerator<T, void, undefined> {
  const pauses = new GrowingPause(firstPauseMs, longestPauseMs);
  let last: string | undefined;
  for (let attempts = 0; ; attempts++) {
    try {
      for await (const state of open()) {
        attempts = 0;
        pauses.reset();
        const text = JSON.stringify(state);
        if (text !== last) yield state;
        last = text;
        if (isLast(state)) return;
      }
    } catch (error) {
      if (last === undefined || attempts >= maxAttempts || !isPassing(error)) throw error;
    }
    await pause(pauses.begin());
  }
}
