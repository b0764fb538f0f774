import { chmod, type FileHandle, lstat, mkdir, open, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Clock, systemClock } from "../../base/clock.js";
import type { Logger } from "../../base/logger.js";
import { fail } from "../../failure/failures.js";
import { ClosableStore, type StoreHealth } from "../closable-store.js";
import { LeaseGrace } from "../lease-grace.js";
import type { TaskStore } from "../task-store.js";
import { loadSqlite, type SqliteConnection, type SqliteOpen, toSqliteFailure, whenFree } from "./sqlite-driver.js";
import { prepareStatements } from "./sqlite-statements.js";
import { SqliteStore } from "./sqlite-store.js";
import { syncFolder, ValueFiles } from "./value-files.js";

/** The processes of one machine share its clock, also when it is set: a lease must mean the same to all of them. */
const machineClock: Clock = { now: Date.now, wallTimeOf: (instant) => instant, setTimer: systemClock.setTimer };

export interface SqliteStoreOptions {
  readonly log: Logger;
  /** Hears how calls end. */
  readonly health?: StoreHealth | undefined;
  /** Default: the clock of the machine. */
  readonly clock?: Clock;
  /** What tells that `clock` was set. Default: the process's own time; with a clock of one's own, that. */
  readonly steadyNow?: () => number;
}

/**
 * Opens the tasks kept in a folder, and creates what is missing: `tasks.db`, and `values/` for large inputs and results.
 * Only their owner can read them. The folder must be on a disk of this machine: on network file systems SQLite's locks and
 * shared memory do not work.
 *
 * @throws {ServingError} `task_store_driver_missing`, `task_store_newer`, `task_store_unavailable`, `task_store_full`.
 */
export async function openSqliteStore(
  folder: string,
  {
    log,
    health,
    clock = machineClock,
    steadyNow = clock === machineClock ? systemClock.now : () => clock.now(),
  }: SqliteStoreOptions,
): Promise<TaskStore> {
  const openFile = await loadSqlite();
  try {
    await makeFolder(folder);
    await refuseOthersLinks(folder);
    const files = await ValueFiles.open(join(folder, "values"));
    const { connection, journal } = await openConnection(openFile, await findDatabase(folder));
    await syncFolder(folder);
    const statements = prepareStatements(connection);
    const grace = new LeaseGrace(steadyNow);
    const store = new SqliteStore({ connection, journal, statements, files, clock, grace, log });
    return new ClosableStore(store, closedFailure, health);
  } catch (error) {
    throw toSqliteFailure(error);
  }
}

const closedFailure = () => fail("task_store_unavailable", { engine: "sqlite", problem: "it has been closed" });

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    // Where the first folder that is missing can't be made, Node says of the last one that it is not there.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") await mkdir(await findMissing(folder));
    throw error;
  }
}

/** The first folder of a path that is not there. */
async function findMissing(folder: string): Promise<string> {
  const above = dirname(folder);
  const isThere = await stat(above).then(
    () => true,
    () => false,
  );
  return isThere || above === folder ? folder : findMissing(above);
}

/** SQLite follows a link, and has its log beside what that leads to. @throws {Error} for a link to nowhere. */
async function findDatabase(folder: string): Promise<string> {
  const file = join(folder, "tasks.db");
  const found = await lstat(file).catch(() => undefined);
  return found?.isSymbolicLink() === true ? realpath(file) : file;
}

const mayOthersWrite = 0o022;

/**
 * In a folder that others may write to, a link may lead to a file that was never meant: it is not followed. Whoever may write there
 * can still take the store away, so the folder is better one's own.
 */
async function refuseOthersLinks(folder: string): Promise<void> {
  if (process.platform === "win32" || ((await stat(folder)).mode & mayOthersWrite) === 0) return;
  for (const name of ["tasks.db", "tasks.db-wal", "tasks.db-shm", "values"]) {
    const found = await lstat(join(folder, name)).catch(() => undefined);
    if (found?.isSymbolicLink() !== true) continue;
    const problem = `${name} in it is a link, and others may write to the folder: take that right away, or the link`;
    throw fail("task_store_unavailable", { engine: "sqlite", problem });
  }
}

/** @returns The connection, and the log that its commits are written to, which lasts as long as anybody has it open. */
async function openConnection(
  openFile: SqliteOpen,
  file: string,
): Promise<{ connection: SqliteConnection; journal: FileHandle }> {
  const connection = openFile(file);
  try {
    // It is empty when new, and SQLite gives the files beside it its mode. Nothing here may open it: a process that closes
    // any descriptor of a file gives up all its locks on it, SQLite's too.
    await chmod(file, 0o600);
    // Processes that open a file at once are in one another's way for a moment.
    await whenFree(() => {
      // NORMAL: the store itself waits until the log is on the disk, in a thread of Node's, once the lock is free again.
      connection.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
      connection.exec("PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864");
      migrateSqlite(connection);
      // Changes nothing, but fails where nothing could be changed: better now than at the first submit.
      connection.exec("UPDATE runs SET seen_at = seen_at WHERE false");
    });
    const journal = await open(`${file}-wal`, "r+").catch((error: unknown) => {
      const problem = "its file system lacks what SQLite needs; keep it on a disk of this machine";
      throw fail("task_store_unavailable", { engine: "sqlite", problem }, { cause: error });
    });
    return { connection, journal };
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * One text for each version of the schema; the file's `user_version` says how many of them it has seen. Texts are never
 * changed once published: a change is a further text.
 *
 * Indexes hold only tasks that somebody waits for (see `changes` for `wake_at`), so that what has ended costs nothing.
 *
 * Inputs and outputs have tables of their own, since SQLite writes a row anew as a whole when one of its fields changes.
 */
const versions: readonly string[] = [
  `
  CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    service TEXT NOT NULL,
    api TEXT NOT NULL,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    not_before INTEGER NOT NULL,
    wake_at INTEGER,
    progress REAL,
    note TEXT,
    failure TEXT,
    cancel_failure TEXT,
    lease_token TEXT,
    lease_owner TEXT
  ) STRICT;
  CREATE INDEX tasks_ready ON tasks (service, api, priority DESC, seq) WHERE status = 'pending' AND wake_at IS NULL;
  CREATE INDEX tasks_wake ON tasks (service, api, wake_at) WHERE wake_at IS NOT NULL;
  CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
  CREATE TABLE inputs (
    task INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE,
    context TEXT NOT NULL,
    bytes BLOB,
    file TEXT
  ) STRICT;
  CREATE TABLE outputs (
    task INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE,
    bytes BLOB,
    file TEXT
  ) STRICT;
  CREATE UNIQUE INDEX inputs_file ON inputs (file) WHERE file IS NOT NULL;
  CREATE UNIQUE INDEX outputs_file ON outputs (file) WHERE file IS NOT NULL;
  `,
  `
  ALTER TABLE tasks ADD COLUMN namespace TEXT NOT NULL DEFAULT '';
  ALTER TABLE tasks ADD COLUMN key TEXT;
  ALTER TABLE tasks ADD COLUMN fingerprint TEXT;
  DROP INDEX tasks_ready;
  DROP INDEX tasks_wake;
  CREATE INDEX tasks_ready ON tasks (namespace, service, api, priority DESC, seq) WHERE status = 'pending' AND wake_at IS NULL;
  CREATE INDEX tasks_wake ON tasks (namespace, service, api, wake_at) WHERE wake_at IS NOT NULL;
  CREATE UNIQUE INDEX tasks_key ON tasks (namespace, service, api, key) WHERE key IS NOT NULL;
  CREATE INDEX tasks_nobody ON tasks (service, api) WHERE namespace = '';
  CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    session TEXT NOT NULL,
    seen_at INTEGER NOT NULL
  ) STRICT;
  `,
];

/**
 * Brings the file to the newest schema, in one transaction.
 *
 * @throws {ServingError} `task_store_newer` for a file that a newer ekiben has written.
 */
export function migrateSqlite(connection: SqliteConnection): void {
  if (readVersion(connection) === versions.length) return;
  connection.exec("BEGIN IMMEDIATE");
  try {
    // Another process may have done it meanwhile.
    for (const text of versions.slice(readVersion(connection))) connection.exec(text);
    connection.exec(`PRAGMA user_version = ${versions.length}; COMMIT`);
  } catch (error) {
    if (connection.inTransaction) connection.exec("ROLLBACK");
    throw error;
  }
}

function readVersion(connection: SqliteConnection): number {
  const { user_version: version } = connection.prepare("PRAGMA user_version").get() as { user_version: number };
  if (version <= versions.length) return version;
  throw fail("task_store_newer", { engine: "sqlite", version, known: versions.length });
}
