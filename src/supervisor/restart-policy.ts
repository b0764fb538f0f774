import type { RestartSettings } from "../options/settings.js";

// When a replica that ended is started again. It always is: nothing a client sends may use up the restarts of a service.
//
// R1  The first restart is at once, and so is that after a healthy life: each begins a row.
// R2  Each further one waits: `backoffMs`, then twice as long as the one before, never longer than `maxBackoffMs`.
// R3  Only a replica that was ready for `resetAfterMs` ends the row. Time spent starting does not count.
// R4  It never spins: of two restarts less than `resetAfterMs` apart, the later one has waited at least the shorter of
//     `backoffMs` and `maxBackoffMs`.
// R5  After `giveUpAfter` lives in a row that were not healthy the place counts as down; 0 is never.
// R6  One that is down is started again for ever, each time after `slowBackoffMs` and up to a quarter more, so that places
//     which went down together do not come back together. The wait is never shorter than `maxBackoffMs`.

/** What is remembered of the lives of one replica's place. */
export interface RestartHistory {
  /** Restarts since the last life that was healthy, the one after it included. */
  readonly restarts: number;
  /** Lives in a row that were not healthy, failed starts included. */
  readonly shortLives: number;
}

/** A life that has ended. */
export interface EndedRun {
  /** From ready to its end, in milliseconds; `undefined` when it never was ready. */
  readonly readyForMs: number | undefined;
  /** A random number from 0 to 1. */
  readonly random: number;
}

/** What comes after a life. */
export interface NextRestart {
  readonly delayMs: number;
  /** Whether the place counts as down until a replica is ready in it again (R5). */
  readonly isDown: boolean;
  readonly history: RestartHistory;
}

/** No life has ended yet. */
export const emptyHistory: RestartHistory = Object.freeze({ restarts: 0, shortLives: 0 });

/** By how much of itself a slow wait is made longer at most. */
const jitterShare = 0.25;

/** How long after its end a replica is started again. */
export function nextRestart(settings: RestartSettings, history: RestartHistory, run: EndedRun): NextRestart {
  const { resetAfterMs, giveUpAfter, slowBackoffMs, maxBackoffMs } = settings;
  if ((run.readyForMs ?? 0) >= resetAfterMs) {
    return { delayMs: 0, isDown: false, history: { restarts: 1, shortLives: 0 } };
  }
  const next = { restarts: history.restarts + 1, shortLives: history.shortLives + 1 };
  const isDown = giveUpAfter > 0 && next.shortLives >= giveUpAfter;
  if (!isDown) return { delayMs: backoffOf(settings, next.restarts), isDown, history: next };
  const slowMs = Math.max(slowBackoffMs, maxBackoffMs);
  return { delayMs: Math.round(slowMs * (1 + jitterShare * run.random)), isDown, history: next };
}

/** The wait before the restart of that number in its row, from 1. */
function backoffOf({ backoffMs, maxBackoffMs }: RestartSettings, restart: number): number {
  return restart === 1 ? 0 : Math.min(maxBackoffMs, backoffMs * 2 ** (restart - 2));
}
