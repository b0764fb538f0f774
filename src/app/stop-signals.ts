import { constants } from "node:os";
import { systemClock } from "../base/clock.js";
import { whenWritten } from "../observe/guarded-output.js";

/**
 * Time within which the same signal counts once. It may arrive twice: from the terminal, which signals every process of
 * the group, and from a parent such as tsx or `node --watch`, which passes it on.
 */
const samePressMs = 500;

/** Signals that ask a server to stop. */
export const stopSignals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/** A signal that asks a server to stop. */
type StopSignal = (typeof stopSignals)[number];

/** Watch on the signals that stop a server. */
interface StopSignals {
  /** Marks the server as ready. Resolves at the first signal; a signal before this call ends the process at once. */
  ready(): Promise<StopSignal>;
  /** Ends the watch: signals have their default effect again. */
  stop(): void;
}

/**
 * Watches the stop signals. The first asks for a drain, the second ends the process at once with 128 plus its number.
 */
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

/** Closes one app, on a signal. Repeated calls share one close. */
type CloseApp = (signal: StopSignal) => Promise<void>;

/** Open apps of this process that leave signals to ekiben. */
const openApps = new Set<CloseApp>();
/** The watch that they share. */
let sharedWatch: StopSignals | undefined;
/** True once a signal closes them. */
let isEnding = false;

/**
 * Closes an app on a stop signal, for a program that leaves signals to it. The process ends when all such apps have
 * been closed.
 *
 * @returns A function to call when the app has been closed. When the last app is closed without a signal, signals have
 *   their default effect again.
 */
export function closeOnSignals(close: CloseApp): () => void {
  openApps.add(close);
  if (sharedWatch === undefined) {
    sharedWatch = watchSignals((text) => process.stderr.write(text));
    void sharedWatch.ready().then(closeAll);
  }
  return () => {
    openApps.delete(close);
    if (openApps.size > 0 || isEnding) return;
    sharedWatch?.stop();
    sharedWatch = undefined;
  };
}

async function closeAll(signal: StopSignal): Promise<void> {
  isEnding = true;
  // An app that starts meanwhile is closed too.
  while (openApps.size > 0) {
    const open = [...openApps];
    await Promise.allSettled(open.map((close) => close(signal)));
    // Those whose close has failed are still there.
    for (const close of open) openApps.delete(close);
  }
  await whenWritten();
  process.exit();
}

/** Longest timer in Node. */
const longestMs = 2 ** 31 - 1;

/**
 * Keeps the process alive until `work` has settled, and settles as it does.
 *
 * Most timers here don't keep the process alive. Without this, Node would find nothing left to do and exit in the
 * middle of `work`, as in an app whose calls wait for something that never arrives.
 */
export async function holdProcess<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, longestMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
