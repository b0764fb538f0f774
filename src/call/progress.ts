import { fail } from "../failure/fail.js";

/** How far a task is. */
export interface Progress {
  /** 0 to 1. */
  readonly fraction: number;
  readonly note: string | undefined;
}

const maxNoteLength = 1000;

/** Checks what an author says about progress. @throws {ServingError} `invalid_progress`. */
export function readProgress(fraction: unknown, note: unknown): Progress {
  if (typeof fraction !== "number" || !(fraction >= 0 && fraction <= 1)) {
    throw fail("invalid_progress", { problem: `the fraction is ${String(fraction)}, not a number from 0 to 1` });
  }
  if (note === undefined) return { fraction, note };
  if (typeof note !== "string") throw fail("invalid_progress", { problem: `the note is a ${typeof note}, not a text` });
  if (note.length > maxNoteLength) {
    throw fail("invalid_progress", { problem: `the note has ${note.length} characters, more than ${maxNoteLength}` });
  }
  return { fraction, note };
}
