import { type Clock, systemClock } from "../../base/clock.js";
import { GrowingPause } from "../../base/repeat-pace.js";
import { fail } from "../../failure/failures.js";
import { ServingError } from "../../failure/serving-error.js";

/** Values of a statement, by name. The driver accepts no booleans. */
export type SqliteValues = Readonly<Record<string, string | number | null | Uint8Array>>;

/** Prepared statement. */
export interface SqliteStatement {
  run(values?: SqliteValues): { readonly changes: number };
  get(values?: SqliteValues): unknown;
  all(values?: SqliteValues): unknown[];
}

/**
 * Used part of libsql's synchronous interface. Its asynchronous interface ends the whole process when a worker thread
 * is terminated during a call. No synchronous call here waits for the disk or a lock, except for an occasional
 * checkpoint.
 */
export interface SqliteConnection {
  readonly inTransaction: boolean;
  prepare(sql: string): SqliteStatement;
  exec(sql: string): void;
  close(): void;
}

/** Opens a connection to one file. */
export type SqliteOpen = (file: string) => SqliteConnection;

/** Loads libsql. @throws {ServingError} `task_store_driver_missing`. */
export async function loadSqlite(): Promise<SqliteOpen> {
  try {
    const { default: Database } = await import("libsql");
    return (file) => new Database(file) as unknown as SqliteConnection;
  } catch (error) {
    throw fail("task_store_driver_missing", { engine: "sqlite", driver: "libsql" }, { cause: error });
  }
}

/** Problem that passes by itself. */
export const lockedProblem = "another process holds its lock for too long";

/** SQLite's result codes (https://sqlite.org/rescode.html); the low byte of an extended one. */
const problems: Readonly<Record<number, string>> = {
  3: "its file may not be opened by this user",
  5: lockedProblem,
  6: lockedProblem,
  8: "its file may not be written",
  10: "its file could not be read or written",
  11: "its file is damaged",
  14: "its file could not be opened",
  26: "its file is no SQLite database",
};
const busyCode = 5;
const fullCode = 13;
/** Code for a shared-memory file beside the database that could not grow. */
const fullMemoryFile = 4874;

/** Problems by the codes of Node's file calls. */
const fileProblems: Readonly<Record<string, string>> = {
  EACCES: "its folder may not be opened by this user",
  EPERM: "its folder may not be opened by this user",
  EROFS: "its file system is read-only",
  EEXIST: "a part of its path is no folder",
  ENOENT: "a file of it is gone",
  ENOTDIR: "a part of its path is no folder",
};

/** Reads the code of an error. When a connection can't be opened, only the text of the error contains it. */
function rawCodeOf(error: unknown): number | undefined {
  const { rawCode, message } = (error ?? {}) as { readonly rawCode?: number; readonly message?: string };
  const said = /^ConnectionFailed\(.*: (\d+)"\)$/.exec(message ?? "")?.[1];
  return rawCode ?? (said === undefined ? undefined : Number(said));
}

/** Converts an error of the driver or of a file call into the failure that callers of the store get. */
export function toSqliteFailure(error: unknown): ServingError {
  if (error instanceof ServingError) return error;
  const rawCode = rawCodeOf(error);
  const { code = "" } = (error ?? {}) as { readonly code?: string };
  const isFull = rawCode === undefined ? code === "ENOSPC" || code === "EDQUOT" : (rawCode & 0xff) === fullCode;
  if (isFull || rawCode === fullMemoryFile) {
    return fail("task_store_full", { engine: "sqlite", problem: "the disk is full" }, { cause: error });
  }
  const problem = (rawCode === undefined ? fileProblems[code] : problems[rawCode & 0xff]) ?? "it failed unexpectedly";
  return fail("task_store_unavailable", { engine: "sqlite", problem }, { cause: error });
}

const lockTimeoutMs = 10_000;
const shortestPauseMs = 1;
const longestPauseMs = 5;

/**
 * Repeats an attempt every few milliseconds, for 10 s, while another connection holds the needed lock. The connection
 * itself must not wait for locks: that would block the event loop, and SQLite waits longer and longer, up to 100 ms,
 * although a process that writes without a pause releases the lock only for moments.
 *
 * @param clock Clock for the pauses. Default: that of the process, since other processes hold the lock in real time.
 */
export async function whenFree<T>(attempt: () => T, clock: Clock = systemClock): Promise<T> {
  const giveUpAt = clock.now() + lockTimeoutMs;
  let pause: GrowingPause | undefined;
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (((rawCodeOf(error) ?? 0) & 0xff) !== busyCode || clock.now() >= giveUpAt) throw error;
    }
    pause ??= new GrowingPause(shortestPauseMs, longestPauseMs);
    const pauseMs = pause.begin();
    await new Promise<void>((resolve) => clock.setTimer(resolve, pauseMs * (0.5 + Math.random()), true));
  }
}
