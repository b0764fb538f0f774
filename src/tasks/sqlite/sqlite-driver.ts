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
 * Used part of the synchronous interface that both drivers have. libsql's asynchronous interface ends the whole process
 * when a worker thread is terminated during a call. No synchronous call here waits for the disk or a lock, except for
 * an occasional checkpoint.
 */
export interface SqliteConnection {
  prepare(sql: string): SqliteStatement;
  exec(sql: string): void;
  close(): void;
}

/** Opens a connection to one file. */
export type SqliteOpen = (file: string) => SqliteConnection;

/** Driver of SQLite: the one that Node has from 22.13 on, or the package that older versions need. */
export type SqliteDriver = "node:sqlite" | "libsql";

/**
 * Loads a driver. Both read and write the same files, also at the same time in different processes. One process must
 * not use both for one file: two copies of SQLite in a process release each other's locks.
 *
 * @param driver Default: Node's own where Node has it, else libsql.
 * @throws {ServingError} `task_store_driver_missing`.
 */
export async function loadSqlite(driver?: SqliteDriver): Promise<SqliteOpen> {
  const own = driver === "libsql" ? undefined : loadNodeSqlite();
  if (own !== undefined) return (file) => new own.DatabaseSync(file);
  try {
    if (driver === "node:sqlite") throw new Error(`Node ${process.versions.node} has no node:sqlite`);
    const { default: Database } = await import("libsql");
    return (file) => new Database(file) as unknown as SqliteConnection;
  } catch (error) {
    throw fail("task_store_driver_missing", { engine: "sqlite", driver: "libsql" }, { cause: error });
  }
}

/** Used part of `node:sqlite`. */
interface NodeSqlite {
  readonly DatabaseSync: new (file: string) => SqliteConnection;
}

/**
 * Loads Node's own SQLite; `undefined` where Node has none. While it is loaded, Node's warning that it is experimental
 * is left out: whoever starts an app can do nothing about it. All other warnings are printed.
 */
function loadNodeSqlite(): NodeSqlite | undefined {
  const { emitWarning } = process;
  const emitOthers = (warning: string | Error, ...rest: unknown[]): void => {
    if (!String(warning).startsWith("SQLite is an experimental feature")) {
      Reflect.apply(emitWarning, process, [warning, ...rest]);
    }
  };
  process.emitWarning = emitOthers as typeof emitWarning;
  try {
    return process.getBuiltinModule("node:sqlite") as NodeSqlite | undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Undoes the open transaction. Some errors, such as a full disk, have undone it already. */
export function rollBack(connection: SqliteConnection): void {
  try {
    connection.exec("ROLLBACK");
  } catch {
    // No transaction is open; or the next BEGIN reports the error.
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

/** Error of a driver: libsql names the code `rawCode`, Node `errcode`. */
interface DriverError {
  readonly rawCode?: number;
  readonly errcode?: number;
  readonly message?: string;
}

/** Reads the code of an error. When libsql can't open a connection, only the text of its error contains the code. */
function rawCodeOf(error: unknown): number | undefined {
  const { rawCode, errcode, message } = (error ?? {}) as DriverError;
  const said = /^ConnectionFailed\(.*: (\d+)"\)$/.exec(message ?? "")?.[1];
  return rawCode ?? errcode ?? (said === undefined ? undefined : Number(said));
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
