import { constants } from "node:os";
import { systemClock } from "../base/clock.js";

/**
 * The same signal may arrive twice: from the terminal, which signals every process of the group, and once more from npm, npx,
 * tsx or `node --watch`, which pass it on.
 */
const samePressMs = 500;

/** Signals that ask a server to stop. */
export const stopSignals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/** One of them. */
type StopSignal = (typeof stopSignals)[number];

/** The signals that stop a server. */
interface StopSignals {
  /** The server runs from now on; resolves at the first signal. A signal before this call ends the process at once. */
  ready(): Promise<StopSignal>;
  /** Signals mean again what they mean to Node. */
  stop(): void;
}

/** Watches the stop signals. The first one asks for a drain, the second ends the process at once, with 128 and its number. */
export function watchSignals(tell: (text: string) => void): StopSignals {
  let press: { readonly signal: StopSignal; readonly at: number } | undefined;
  let isReady = false;
  let onFirst = (_: StopSignal) => {};
  const first = new Promise<StopSignal>((resolve) => (onFirst = resolve));
  const handle = (signal: StopSignal) => {
    const now = systemClock.now();
    const isSamePress = press?.signal === signal && now - press.at < samePressMs;
    if (isReady && press === undefined) {
      press = { signal, at: now };
      onFirst(signal);
    } else if (!isSamePress) {
      tell(isReady ? "ended at once; calls in flight were cut off\n" : "ended before the server was ready\n");
      process.exit(128 + constants.signals[signal]);
    }
  };
  for (const signal of stopSignals) process.on(signal, handle);
  return {
    ready: () => {
      isReady = true;
      return first;
    },
    stop: () => {
      for (const signal of stopSignals) process.off(signal, handle);
    },
  };
}

/** Longer a timer of Node can't be. */
const longestMs = 2 ** 31 - 1;

/**
 * Keeps the process alive until `work` has settled, and settles as it does.
 *
 * Most timers here hold nothing. Where nothing else does, as in an app whose calls wait for something that never comes, Node
 * would otherwise find nothing left to do and end in the middle of it.
 */
export async function holdProcess<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, longestMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
