import type { CallScope } from "../call/call-scope.js";

/** How much of the average the newest call makes up. */
const averageWeight = 0.1;

/** What a call is taken to last while none has ended. */
const unknownRunMs = 1_000;

/** The average of late: that of the first call is its own. */
export const averageRun = (averageMs: number | undefined, runMs: number): number =>
  averageMs === undefined ? runMs : averageMs + averageWeight * (runMs - averageMs);

/**
 * Milliseconds after which a caller that was refused may try again, at least 1.
 *
 * @param averageMs What a call takes; `undefined` while none has ended.
 * @param running   Calls that run: what they have lasted already says more than an average of others.
 * @param turns     How often all that run must be over before its turn comes.
 */
export function expectWait(averageMs: number | undefined, running: readonly CallScope[], turns: number): number {
  let runMs = averageMs ?? unknownRunMs;
  if (running.length > 0) {
    let newest = 0;
    for (const { startedAt } of running) newest = Math.max(newest, startedAt);
    const [{ time }] = running as [CallScope];
    runMs = Math.max(runMs, time.clock.now() - newest);
  }
  return Math.max(1, Math.ceil(runMs * turns));
}
