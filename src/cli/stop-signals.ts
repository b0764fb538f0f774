import { systemClock } from "../base/clock.js";
import { exitCodes } from "./command.js";

/**
 * The same Ctrl-C may arrive twice: from the terminal, which signals every process of the group, and once more from npm
 * or npx, which pass it on.
 */
const samePressMs = 500;

/** The signals that stop a server. */
export interface StopSignals {
  /** The server runs from now on; resolves at the first signal. A signal before this call ends the process at once. */
  ready(): Promise<void>;
}

/** Watches SIGINT and SIGTERM. The first one asks for a drain, the second ends the process at once. */
export function watchSignals(tell: (text: string) => void): StopSignals {
  let press: { readonly signal: string; readonly at: number } | undefined;
  let isReady = false;
  let onFirst = () => {};
  const first = new Promise<void>((resolve) => (onFirst = resolve));
  const handle = (signal: "SIGINT" | "SIGTERM") => {
    const now = systemClock.now();
    const isSamePress = press?.signal === signal && now - press.at < samePressMs;
    if (isReady && press === undefined) {
      press = { signal, at: now };
      onFirst();
    } else if (!isSamePress) {
      tell(isReady ? "ended at once; calls in flight were cut off\n" : "ended before the server was ready\n");
      process.exit((signal === "SIGINT" ? exitCodes.interrupted : exitCodes.terminated).code);
    }
  };
  process.on("SIGINT", handle);
  process.on("SIGTERM", handle);
  return {
    ready: () => {
      isReady = true;
      return first;
    },
  };
}
