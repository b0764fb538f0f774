import type { RestartSettings } from "../options/settings.js";

// Decides when a replica that ended is restarted. It always is: no request can use up the restarts of a service.
//
// JP1  The first restart is immediate, and so is the one after a healthy run. Each of them begins a series.
// JP2  Each further restart of the series waits: `backoffMs`, then twice the previous wait, at most `maxBackoffMs`.
// JP3  A run is healthy when the replica was ready for `resetAfterMs`; only that ends the series. Time spent starting
//      does not count.
// JP4  Restarts never spin: of two that are less than `resetAfterMs` apart, the later one has waited at least the
//      shorter of `backoffMs` and `maxBackoffMs`.
// JP5  After `giveUpAfter` runs in a row that were not healthy, the slot is down; 0 is never.
// JP6  A slot that is down is restarted without end, each time after `slowBackoffMs` plus up to a quarter of it at
//      random, so that slots which went down together do not restart together. The wait is never shorter than
//      `maxBackoffMs`.

/** Counts that one slot keeps from one restart to the next. */
export interface RestartHistory {
  /** Restarts since the last healthy run, including the one right after it. */
  readonly restarts: number;
  /** Runs in a row that were not healthy, including failed starts. */
  readonly failures: number;
}

/** A run that has ended. */
interface EndedRun {
  /** Milliseconds from ready to the end; `undefined` if it was never ready. */
  readonly readyForMs: number | undefined;
  /** A random number from 0 to 1. */
  readonly random: number;
}

/** Restart that follows a run. */
interface NextRestart {
  readonly delayMs: number;
  /** True when the slot is down until a replica is ready again (JP5). */
  readonly isDown: boolean;
  readonly history: RestartHistory;
}

/** History before the first run has ended. */
export const emptyHistory: RestartHistory = Object.freeze({ restarts: 0, failures: 0 });

/** Largest share by which a slow wait is lengthened at random (JP6). */
const jitterShare = 0.25;

/** Decides the wait before the next restart. */
export function nextRestart(settings: RestartSettings, history: RestartHistory, run: EndedRun): NextRestart {
  const { resetAfterMs, giveUpAfter, slowBackoffMs, maxBackoffMs } = settings;
  if ((run.readyForMs ?? 0) >= resetAfterMs) {
    return { delayMs: 0, isDown: false, history: { restarts: 1, failures: 0 } };
  }
  const next = { restarts: history.restarts + 1, failures: history.failures + 1 };
  const isDown = giveUpAfter > 0 && next.failures >= giveUpAfter;
  if (!isDown) return { delayMs: backoffOf(settings, next.restarts), isDown, history: next };
  const slowMs = Math.max(slowBackoffMs, maxBackoffMs);
  return { delayMs: Math.round(slowMs * (1 + jitterShare * run.random)), isDown, history: next };
}

/** Returns the wait before a restart, by its number in the series, from 1 (JP1, JP2). */
function backoffOf({ backoffMs, maxBackoffMs }: RestartSettings, restart: number): number {
  return restart === 1 ? 0 : Math.min(maxBackoffMs, backoffMs * 2 ** (restart - 2));
}
