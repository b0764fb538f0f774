import { chmod, type FileHandle, lstat, mkdir, open, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Clock, systemClock } from "../../base/clock.js";
import type { Logger } from "../../base/logger.js";
import { fail } from "../../failure/failures.js";
import { ClosableStore, type StoreHealth } from "../closable-store.js";
import { LeaseGrace } from "../lease-grace.js";
import type { TaskStore } from "../task-store.js";
import {
  loadSqlite,
  rollBack,
  type SqliteConnection,
  type SqliteDriver,
  type SqliteOpen,
  toSqliteFailure,
  whenFree,
} from "./sqlite-driver.js";
import { prepareStatements } from "./sqlite-statements.js";
import { SqliteStore } from "./sqlite-store.js";
import { syncFolder, ValueFiles } from "./value-files.js";

/**
 * Wall clock of the machine. All its processes share it, even when it is set, so a lease means the same to all of them.
 */
const machineClock: Clock = { now: Date.now, wallTimeOf: (instant) => instant, setTimer: systemClock.setTimer };

interface SqliteStoreOptions {
  readonly log: Logger;
  /** Is notified how calls end. */
  readonly health?: StoreHealth | undefined;
  /** Clock of the store's times. Default: the clock of the machine. */
  readonly clock?: Clock;
  /**
   * Steady clock, by which a set `clock` is detected. Default: the monotonic clock of the process; with a custom
   * `clock`, that one.
   */
  readonly steadyNow?: () => number;
  /** Default: Node's own where Node has it, else libsql. */
  readonly driver?: SqliteDriver | undefined;
}

/**
 * Opens the task store in a folder, and creates missing parts: `tasks.db`, and `values/` for large inputs and results.
 * Only their owner can read them. The folder must be on a disk of this machine: on network file systems SQLite's locks
 * and shared memory do not work.
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
    driver,
  }: SqliteStoreOptions,
): Promise<TaskStore> {
  const openFile = await loadSqlite(driver);
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
    // If Node can't make the first missing folder of a path, it reports the last one as missing.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") await mkdir(await findMissing(folder));
    throw error;
  }
}

/** Finds the first missing folder of a path. */
async function findMissing(folder: string): Promise<string> {
  const above = dirname(folder);
  const isThere = await stat(above).then(
    () => true,
    () => false,
  );
  return isThere || above === folder ? folder : findMissing(above);
}

/**
 * Finds the database file. SQLite follows a link, and keeps its log beside the target.
 *
 * @throws {Error} for a broken link.
 */
async function findDatabase(folder: string): Promise<string> {
  const file = join(folder, "tasks.db");
  const found = await lstat(file).catch(() => undefined);
  return found?.isSymbolicLink() === true ? realpath(file) : file;
}

const mayOthersWrite = 0o022;

/**
 * Refuses a link in a folder that other users may write to, since they could point it to any file. They could still
 * remove the store, so a private folder is better.
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

/**
 * Opens the database.
 *
 * @returns The connection, and the log of its commits, which exists as long as a process has it open.
 */
async function openConnection(
  openFile: SqliteOpen,
  file: string,
): Promise<{ connection: SqliteConnection; journal: FileHandle }> {
  const connection = openFile(file);
  try {
    // A new file is empty, and SQLite copies its mode to the files beside it. It must never be opened here: a
    // process that closes any descriptor of a file releases all its locks on it, including SQLite's.
    await chmod(file, 0o600);
    // Processes that open a file at the same time block each other for a moment.
    await whenFree(() => {
      // NORMAL: the store itself waits until the log is on the disk, in a thread of Node's, once the lock is free
      // again.
      connection.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
      connection.exec("PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864");
      migrateSqlite(connection);
      // Changes nothing, but fails on a read-only database: better now than at the first submit.
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
 * Versions of the schema, one text each. The file's `user_version` is the number of texts that were applied. A
 * published text never changes; a change is a further text.
 *
 * Indexes hold only unfinished tasks (see `changes` for `wake_at`), so ended tasks cost nothing.
 *
 * Inputs and outputs have tables of their own, since SQLite rewrites a whole row when one of its fields changes.
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
  `
  CREATE TABLE schedules (
    namespace TEXT NOT NULL,
    service TEXT NOT NULL,
    api TEXT NOT NULL,
    schedule TEXT NOT NULL,
    planned_at INTEGER NOT NULL,
    task TEXT,
    PRIMARY KEY (namespace, service, api)
  ) STRICT;
  CREATE TABLE onces (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    token TEXT NOT NULL,
    holder TEXT NOT NULL,
    lease_ends_at INTEGER NOT NULL,
    done_at INTEGER,
    failure TEXT,
    PRIMARY KEY (namespace, name)
  ) STRICT;
  `,
  `
  ALTER TABLE tasks ADD COLUMN contract TEXT;
  ALTER TABLE tasks ADD COLUMN held_by TEXT;
  CREATE INDEX tasks_held ON tasks (namespace, service, api, contract) WHERE status = 'held';
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
    // Another process may have migrated the file meanwhile.
    for (const text of versions.slice(readVersion(connection))) connection.exec(text);
    connection.exec(`PRAGMA user_version = ${versions.length}; COMMIT`);
  } catch (error) {
    rollBack(connection);
    throw error;
  }
}

function readVersion(connection: SqliteConnection): number {
  const { user_version: version } = connection.prepare("PRAGMA user_version").get() as { user_version: number };
  if (version <= versions.length) return version;
  throw fail("task_store_newer", { engine: "sqlite", version, known: versions.length });
}
