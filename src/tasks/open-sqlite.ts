import { chmod, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { fail } from "../failure/fail.js";
import { ClosableStore } from "./closable-store.js";
import { isBusy, loadSqlite, type SqliteConnection, type SqliteOpen, toSqliteFailure } from "./sqlite-driver.js";
import { migrateSqlite } from "./sqlite-schema.js";
import { prepareLooks, prepareWrites } from "./sqlite-statements.js";
import { SqliteStore } from "./sqlite-store.js";
import type { TaskStore } from "./task-store.js";
import { ValueFiles } from "./value-files.js";

/** How long processes that open one file at once wait for one another. */
const openTimeoutMs = 10_000;
const openPauseMs = 5;
/** Who only looks waits for a lock in one case: another process is mending the file after a crash. */
const lookTimeoutMs = 1000;

/** The processes of one machine share its clock, also when it is set: a lease must mean the same to all of them. */
const machineClock: Clock = { now: Date.now, setTimer: systemClock.setTimer };

export interface SqliteStoreOptions {
  readonly log: Logger;
  /** Default: the clock of the machine. */
  readonly clock?: Clock;
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
  { log, clock = machineClock }: SqliteStoreOptions,
): Promise<TaskStore> {
  const openFile = await loadSqlite();
  const file = join(folder, "tasks.db");
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await createPrivately(file);
    const files = await ValueFiles.open(join(folder, "values"));
    const { writing, looking } = await openConnections(openFile, file);
    const writes = await prepareWrites(writing);
    const looks = await prepareLooks(looking);
    const store = new SqliteStore({ writing, looking, writes, looks, files, clock, log });
    return new ClosableStore(store, closedFailure);
  } catch (error) {
    throw toSqliteFailure(error);
  }
}

const closedFailure = () => fail("task_store_unavailable", { engine: "sqlite", problem: "it has been closed" });

/** SQLite gives the files beside the database the mode that this one has. */
async function createPrivately(file: string): Promise<void> {
  await (await open(file, "a", 0o600)).close();
  await chmod(file, 0o600);
}

async function openConnections(openFile: SqliteOpen, file: string) {
  const writing = openFile(file);
  try {
    const giveUpAt = systemClock.now() + openTimeoutMs;
    while (!(await tryPrepareFile(writing, systemClock.now() >= giveUpAt))) {
      await new Promise<void>((resolve) => systemClock.setTimer(resolve, openPauseMs, true));
    }
    const looking = openFile(file);
    await looking.exec(`PRAGMA busy_timeout = ${lookTimeoutMs}; PRAGMA query_only = ON`);
    return { writing, looking };
  } catch (error) {
    writing.close();
    throw error;
  }
}

/** @returns False when another process is just doing the same. */
async function tryPrepareFile(connection: SqliteConnection, isLastTry: boolean): Promise<boolean> {
  try {
    await connection.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 67108864");
    await connection.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
    await migrateSqlite(connection);
    return true;
  } catch (error) {
    if (connection.inTransaction) await connection.exec("ROLLBACK");
    if (isBusy(error) && !isLastTry) return false;
    throw error;
  }
}
