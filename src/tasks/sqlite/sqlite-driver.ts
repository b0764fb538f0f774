import { type Clock, systemClock } from "../../base/clock.js";
import { GrowingPause } from "../../base/repeat-pace.js";
import { fail } from "../../failure/failures.js";
import { ServingError } from "../../failure/serving-error.js";

/** Values by the names that a statement has for them; never a boolean, which the driver can't take. */
export type SqliteValues = Readonly<Record<string, string | number | null | Uint8Array>>;

/** One prepared statement. */
export interface SqliteStatement {
  run(values?: SqliteValues): { readonly changes: number };
  get(values?: SqliteValues): unknown;
  all(values?: SqliteValues): unknown[];
}

/**
 * What is used of libsql's synchronous interface. Its asynchronous one ends the whole process when a worker thread is
 * terminated while it works, and no call here waits for a disk or a lock, but for what a checkpoint takes now and then.
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

/** It passes. */
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
/** The file of shared memory beside the database could not grow. */
const fullMemoryFile = 4874;

/** Codes of Node's file calls. */
const fileProblems: Readonly<Record<string, string>> = {
  EACCES: "its folder may not be opened by this user",
  EPERM: "its folder may not be opened by this user",
  EROFS: "its file system is read-only",
  EEXIST: "a part of its path is no folder",
  ENOENT: "a file of it is gone",
  ENOTDIR: "a part of its path is no folder",
};

/** When a connection can't be opened, the driver has the code in its text alone. */
function rawCodeOf(error: unknown): number | undefined {
  const { rawCode, message } = (error ?? {}) as { readonly rawCode?: number; readonly message?: string };
  const said = /^ConnectionFailed\(.*: (\d+)"\)$/.exec(message ?? "")?.[1];
  return rawCode ?? (said === undefined ? undefined : Number(said));
}

/** What a driver or a file call threw, as the failure that callers of the store get. */
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
 * Tries again every few milliseconds, for 10 s, while another connection holds the lock that is needed. The connection itself
 * must not wait for locks: that would hold up the event loop, and SQLite waits ever longer, up to 100 ms, where a process that
 * writes without a pause leaves the lock for moments only.
 *
 * @param clock Paces it. Default: the process's own, since others hold the lock in real time.
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
