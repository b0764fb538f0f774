// Changes one SQLite file, from one connection, together with other processes that do the same.
//
// W1  One transaction at a time; all changes that wait when it begins are in it, so they share one wait for the disk.
// W2  Nobody is answered before the commit has reached the disk.
// W3  A change that throws undoes the transaction; then each of its changes runs alone, so that only bad ones fail.
// W4  The lock is waited for here, without holding up the event loop, and no longer than `lockTimeoutMs`. SQLite's own
//     handler would wait in a thread of the driver, of which there are as many as cores: the commit that is to give the lock
//     free may need the same one. And it waits ever longer, up to 100 ms, where a process that writes without a pause leaves
//     the lock for a moment only.
import { type Clock, systemClock } from "../base/clock.js";
import { createDeferred } from "../base/deferred.js";
import { isBusy, type SqliteConnection, type SqliteStatement, toSqliteFailure } from "./sqlite-driver.js";

/** Changes in one transaction: more would keep other processes waiting. */
const maxChanges = 256;
const lockTimeoutMs = 10_000;
const longestPauseMs = 5;

interface Waiting {
  readonly change: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

export interface SqliteWriterOptions {
  readonly connection: SqliteConnection;
  /** `BEGIN IMMEDIATE`, prepared; the connection must not wait for locks. */
  readonly begin: SqliteStatement;
  /** Paces the wait for the lock. Default: the process's own; others hold the lock in real time. */
  readonly clock?: Clock;
  /** Called after each transaction, before its changes are answered. */
  readonly onDone: () => void;
}

export class SqliteWriter {
  readonly #connection: SqliteConnection;
  readonly #begin: SqliteStatement;
  readonly #clock: Clock;
  readonly #onDone: () => void;
  readonly #waiting: Waiting[] = [];
  #work: Promise<void> | undefined;

  constructor({ connection, begin, clock = systemClock, onDone }: SqliteWriterOptions) {
    this.#connection = connection;
    this.#begin = begin;
    this.#clock = clock;
    this.#onDone = onDone;
  }

  /** Whether a transaction is open or about to be. */
  get isBusy(): boolean {
    return this.#work !== undefined;
  }

  /**
   * Runs a change inside a transaction and answers once it is committed.
   *
   * @param change Synchronous, and the same when it runs again: it may be undone first.
   * @throws {ServingError} `task_store_full` or `task_store_unavailable`; then nothing was changed.
   */
  run<T>(change: () => T): Promise<T> {
    const { promise, resolve, reject } = createDeferred<unknown>();
    this.#waiting.push({ change, resolve, reject });
    this.#work ??= this.#drain();
    return promise as Promise<T>;
  }

  async #drain(): Promise<void> {
    // What is handed in during this turn of the event loop joins the first transaction.
    await undefined;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, maxChanges);
      if (await this.#commit(batch)) continue;
      for (const one of batch) await this.#commit([one]);
    }
    this.#work = undefined;
  }

  /** @returns False when the transaction was undone and its changes shall run one by one. */
  async #commit(batch: readonly Waiting[]): Promise<boolean> {
    const settle: (() => void)[] = [];
    let hasBegun = false;
    try {
      await this.#beginTransaction();
      hasBegun = true;
      for (const { change, resolve } of batch) {
        const value = change();
        settle.push(() => resolve(value));
      }
      await this.#connection.exec("COMMIT");
    } catch (error) {
      await this.#undo();
      if (hasBegun && batch.length > 1) return false;
      const failure = toSqliteFailure(error);
      for (const { reject } of batch) reject(failure);
      return true;
    }
    this.#onDone();
    for (const answer of settle) answer();
    return true;
  }

  async #beginTransaction(): Promise<void> {
    const giveUpAt = this.#clock.now() + lockTimeoutMs;
    for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs + 1, longestPauseMs)) {
      try {
        this.#begin.run();
        return;
      } catch (error) {
        if (!isBusy(error) || this.#clock.now() >= giveUpAt) throw error;
      }
      await new Promise<void>((resolve) => this.#clock.setTimer(resolve, pauseMs * (0.5 + Math.random()), true));
    }
  }

  async #undo(): Promise<void> {
    try {
      // A full disk and some other errors undo the transaction by themselves.
      if (this.#connection.inTransaction) await this.#connection.exec("ROLLBACK");
    } catch {
      // The next BEGIN says what is wrong.
    }
  }
}
