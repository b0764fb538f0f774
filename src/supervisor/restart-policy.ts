import type { RestartSettings } from "../options/settings.js";

// When a replica that ended is started again.
//
// R1  The first restart is at once, and so is that after a healthy life: each begins a row.
// R2  Each further one waits: `backoffMs`, then twice as long as the one before, never longer than `maxBackoffMs`.
// R3  Only a replica that was ready for `resetAfterMs` ends the row. Time spent starting does not count.
// R4  It never spins: of two restarts less than `resetAfterMs` apart, the later one has waited at least the shorter of
//     `backoffMs` and `maxBackoffMs`.
// R5  After `giveUpAfter` lives in a row that were not healthy there is no further one; 0 is never.

/** What is remembered of the lives of one replica's place. */
export interface RestartHistory {
  /** Restarts since the last life that was healthy, the one after it included. */
  readonly restarts: number;
  /** Lives in a row that were not healthy, failed starts included. */
  readonly shortLives: number;
}

/** A life that has ended. */
export interface EndedLife {
  /** From ready to its end, in milliseconds; `undefined` when it never was ready. */
  readonly readyForMs: number | undefined;
}

/** What comes after a life. */
export type NextRestart =
  | { readonly kind: "restart"; readonly delayMs: number; readonly history: RestartHistory }
  | { readonly kind: "give-up"; readonly attempts: number };

/** No life has ended yet. */
export const emptyHistory: RestartHistory = Object.freeze({ restarts: 0, shortLives: 0 });

/** Whether a replica that has ended is started again, and after how long. */
export function nextRestart(settings: RestartSettings, history: RestartHistory, life: EndedLife): NextRestart {
  const { resetAfterMs, giveUpAfter } = settings;
  if ((life.readyForMs ?? 0) >= resetAfterMs) {
    return { kind: "restart", delayMs: 0, history: { restarts: 1, shortLives: 0 } };
  }
  const shortLives = history.shortLives + 1;
  if (giveUpAfter > 0 && shortLives >= giveUpAfter) return { kind: "give-up", attempts: shortLives };
  const restarts = history.restarts + 1;
  return { kind: "restart", delayMs: backoffOf(settings, restarts), history: { restarts, shortLives } };
}

/** The wait before the restart of that number in its row, from 1. */
function backoffOf({ backoffMs, maxBackoffMs }: RestartSettings, restart: number): number {
  return restart === 1 ? 0 : Math.min(maxBackoffMs, backoffMs * 2 ** (restart - 2));
}
