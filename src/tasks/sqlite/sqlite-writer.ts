// Writes to one SQLite file from one connection, together with other processes that do the same.
//
// LW1  All changes that wait when a transaction begins are part of it, and share one wait for the disk. It begins and
//      ends in one turn of the event loop, so no code of this process sees it unfinished.
// LW2  The lock is released before the wait for the disk. No change is answered before that wait has ended. Changes of
//      several processes reach the disk in the order of their commits, since all of them are in one log.
// LW3  A change that throws undoes the transaction. Then each of its changes runs alone, so that only bad ones fail.
import { type Clock, createDeferred } from "../../base/clock.js";
import { rollBack, type SqliteConnection, type SqliteStatement, toSqliteFailure, whenFree } from "./sqlite-driver.js";

/** Most changes in one transaction; more would block the event loop and other processes. */
const maxChanges = 256;

interface Waiting {
  readonly change: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

interface SqliteWriterOptions {
  /** Connection, set not to wait for locks. */
  readonly connection: SqliteConnection;
  /** Resolves when all earlier commits are on the disk. */
  readonly sync: () => Promise<void>;
  /** Clock for the pauses of the wait for the lock. */
  readonly clock?: Clock;
}

export class SqliteWriter {
  readonly #connection: SqliteConnection;
  readonly #sync: () => Promise<void>;
  readonly #clock: Clock | undefined;
  readonly #begin: SqliteStatement;
  readonly #commit: SqliteStatement;
  readonly #waiting: Waiting[] = [];
  #isWorking = false;

  constructor({ connection, sync, clock }: SqliteWriterOptions) {
    this.#connection = connection;
    this.#sync = sync;
    this.#clock = clock;
    this.#begin = connection.prepare("BEGIN IMMEDIATE");
    this.#commit = connection.prepare("COMMIT");
  }

  /**
   * Runs a change inside a transaction, and resolves once it is on the disk.
   *
   * @param change Synchronous. It may run a second time after it was undone, and must then do the same.
   * @throws {ServingError} `task_store_full` or `task_store_unavailable`.
   */
  run<T>(change: () => T): Promise<T> {
    const { promise, resolve, reject } = createDeferred<unknown>();
    this.#waiting.push({ change, resolve, reject });
    if (!this.#isWorking) void this.#drain();
    return promise as Promise<T>;
  }

  async #drain(): Promise<void> {
    this.#isWorking = true;
    // Changes submitted in this turn of the event loop join the first transaction.
    await undefined;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, maxChanges);
      if (await this.#write(batch)) continue;
      for (const one of batch) await this.#write([one]);
    }
    this.#isWorking = false;
  }

  /** Runs one transaction. @returns False when it was undone, and its changes must run one by one. */
  async #write(batch: readonly Waiting[]): Promise<boolean> {
    let isUndone = false;
    try {
      const answers = await whenFree(() => {
        this.#begin.run();
        isUndone = true;
        const answers = this.#changeAll(batch);
        isUndone = false;
        return answers;
      }, this.#clock);
      await this.#sync();
      for (const answer of answers) answer();
    } catch (error) {
      if (isUndone && batch.length > 1) return false;
      const failure = toSqliteFailure(error);
      for (const { reject } of batch) reject(failure);
    }
    return true;
  }

  #changeAll(batch: readonly Waiting[]): (() => void)[] {
    try {
      const answers = batch.map(({ change, resolve }) => {
        const value = change();
        return () => resolve(value);
      });
      this.#commit.run();
      return answers;
    } catch (error) {
      rollBack(this.#connection);
      throw error;
    }
  }
}
