// Tasks in one SQLite file, with large values in files beside it, for all processes of one machine.
//
// LS1  No call blocks the event loop to wait for a lock or the disk (see `SqliteWriter`). The exception is the commit
//      that moves the log into the database: one in a few megabytes.
// LS2  Answered changes survive a power cut, if the disk keeps the data that it reports as written.
// LS3  The file of a value is written before the transaction that names it, and removed after the transaction that
//      deletes its row.
// LS4  A process sees its own changes at once, and changes of other processes at its next look at `data_version`. It
//      looks only while there are listeners.
import type { FileHandle } from "node:fs/promises";
import type { Clock, Timer } from "../../base/clock.js";
import type { Logger } from "../../base/logger.js";
import { TaskEvents } from "../closable-store.js";
import type { LeaseGrace } from "../lease-grace.js";
import {
  type KeyedRow,
  logUnreadable,
  type RenewedRow,
  readRenewed,
  readSubmitted,
  type TaskRow,
  taskColumns,
  toKeyColumns,
  toRecord,
  toRenewal,
} from "../task-row.js";
import type {
  ClaimedTask,
  ClaimRequest,
  HeldTasks,
  Lease,
  LeaseState,
  NewTask,
  OncePlace,
  OnceRecord,
  OnceRequest,
  OpenTasks,
  PlannedTime,
  ReleaseRequest,
  SchedulePlace,
  StoreRun,
  TaskFilter,
  TaskNews,
  TaskOutcome,
  TaskPlace,
  TaskProgress,
  TaskRecord,
  TaskResult,
  TaskStore,
} from "../task-store.js";
import { type SqliteConnection, type SqliteValues, toSqliteFailure, whenFree } from "./sqlite-driver.js";
import type { SqliteStatements } from "./sqlite-statements.js";
import { SqliteUpkeep } from "./sqlite-upkeep.js";
import { SqliteWriter } from "./sqlite-writer.js";
import { type Kept, touchFiles, type ValueFiles } from "./value-files.js";

/** Milliseconds between two looks for changes of other processes. */
export const lookIntervalMs = 100;
/** Most tasks that one claim wakes. */
const maxWoken = 1000;

/** Parts of a `SqliteStore`. It closes the first two. */
interface SqliteDeps {
  readonly connection: SqliteConnection;
  /** Log of commits beside the database. */
  readonly journal: FileHandle;
  readonly statements: SqliteStatements;
  readonly files: ValueFiles;
  readonly clock: Clock;
  readonly grace: LeaseGrace;
  readonly log: Logger;
}

export class SqliteStore implements TaskStore {
  readonly #deps: SqliteDeps;
  readonly #statements: SqliteStatements;
  readonly #writer: SqliteWriter;
  readonly #events: TaskEvents;
  readonly #upkeep: SqliteUpkeep;
  #lookTimer: Timer | undefined;
  #dataVersion = 0;

  constructor(deps: SqliteDeps) {
    const { connection, journal, statements } = deps;
    this.#deps = deps;
    this.#statements = statements;
    this.#writer = new SqliteWriter({ connection, sync: () => journal.datasync() });
    this.#events = new TaskEvents((isWatched) => (isWatched ? this.#lookLater() : this.#lookTimer?.clear()));
    this.#dataVersion = this.#readDataVersion();
    this.#upkeep = new SqliteUpkeep({
      statements,
      files: deps.files,
      grace: deps.grace,
      now: () => this.#now(),
      write: (change) => this.#write(change),
      look: (look) => this.#look(look),
    });
  }

  async submit(task: NewTask): Promise<TaskRecord> {
    const { input, id, namespace, service, api, context, priority, key, delayMs = 0, contract = null } = task;
    const place = { namespace, service, api };
    const find = () => this.#readKeyed(place, key) ?? (this.#statements.task.get({ id }) as KeyedRow | undefined);
    const known = await this.#look<KeyedRow | undefined>(find);
    if (known !== undefined) return readSubmitted(known, key);
    const row = await this.#deps.files.keep(input, async (kept) => {
      const statements = this.#statements;
      const added = await this.#write((tell) => {
        // Another process may have submitted it meanwhile.
        const first = find();
        if (first !== undefined) return { row: first, isNew: false };
        const values = { id, ...place, priority, delayMs, contract, now: this.#now(), ...toKeyColumns(key) };
        const { seq } = statements.submit.get(values) as { seq: number };
        statements.addInput.run({ task: seq, context, ...kept });
        tell({ id, ...place });
        return { row: statements.task.get({ id }) as KeyedRow, isNew: true };
      });
      return { value: added, isFileNamed: added.isNew };
    });
    return row.isNew ? toRecord(row.row) : readSubmitted(row.row, key);
  }

  async claim(request: ClaimRequest): Promise<readonly ClaimedTask[]> {
    const { namespace, service, api, limit, owner, leaseMs, maxAttempts, lostFailure, contract = null } = request;
    const statements = this.#statements;
    const place = { namespace, service, api };
    const { grace } = this.#deps;
    if (grace.noteTime(this.#now(), leaseMs)) {
      await this.#write(() => statements.shortenLeases.run({ ...place, now: this.#now(), leaseMs }));
    }
    const spares = grace.spares(leaseMs) ? 1 : 0;
    // A claim that would find nothing needs no lock.
    const { found } = await this.#look<{ found: number }>(() =>
      statements.canClaim.get({ ...place, now: this.#now(), spares, contract }),
    );
    if (found === 0) return [];
    const rows = await this.#write((tell) => {
      const now = this.#now();
      const { changes } = statements.wake.run({ ...place, now, spares, maxAttempts, lostFailure, maxWoken });
      if (changes + statements.resumeOwn.run({ ...place, contract }).changes > 0) tell(place);
      const claimed: TaskRow[] = [];
      while (claimed.length < limit) {
        const row = statements.claim.get({ ...place, now, leaseMs, owner }) as TaskRow | undefined;
        if (row === undefined) break;
        claimed.push(row);
        tell({ ...place, id: row.id });
      }
      return claimed;
    });
    const tasks = await Promise.all(rows.map((row) => this.#readClaimed(row)));
    return tasks.filter((task) => task !== undefined);
  }

  async nextDueMs({ namespace, service, api }: TaskPlace): Promise<number | undefined> {
    const { leftMs } = this.#deps.grace;
    const values = { namespace, service, api, spares: leftMs > 0 ? 1 : 0 };
    const { at } = await this.#look<{ at: number | null }>(() => this.#statements.nextWake.get(values));
    const dueMs = at === null ? undefined : Math.max(0, at - this.#now());
    return leftMs > 0 ? Math.min(leftMs, dueMs ?? leftMs) : dueMs;
  }

  async renew(lease: Lease, leaseMs: number, progress?: TaskProgress): Promise<LeaseState> {
    const values = toRenewal(lease, leaseMs, progress);
    return this.#write((tell) => {
      const row = this.#statements.renew.get({ ...values, now: this.#now() }) as RenewedRow | undefined;
      if (row !== undefined && progress !== undefined) tell({ id: lease.id, ...placeOf(row) });
      return readRenewed(row);
    });
  }

  async finish({ id, token }: Lease, outcome: TaskOutcome): Promise<boolean> {
    const output = outcome.status === "completed" ? outcome.output : undefined;
    const failure = outcome.status === "completed" ? null : outcome.failure;
    return this.#deps.files.keep(output, async (kept) => {
      const statements = this.#statements;
      const isFinished = await this.#write((tell) => {
        const values = { id, token, status: outcome.status, failure, now: this.#now() };
        const row = statements.finish.get(values) as (TaskPlace & { seq: number }) | undefined;
        if (row === undefined) return false;
        if (output !== undefined) statements.addOutput.run({ task: row.seq, ...kept });
        tell({ id, ...placeOf(row) });
        return true;
      });
      return { value: isFinished, isFileNamed: isFinished };
    });
  }

  async giveBack({ id, token }: Lease, waitMs: number, failure: string | undefined): Promise<boolean> {
    const values = { id, token, waitMs, failure: failure ?? null, uncounted: failure === undefined ? 1 : 0 };
    return this.#write((tell) => {
      const row = this.#statements.giveBack.get({ ...values, now: this.#now() }) as TaskPlace | undefined;
      if (row !== undefined) tell({ id, ...placeOf(row) });
      return row !== undefined;
    });
  }

  hold(lease: Lease, failure: string, contract: string): Promise<boolean> {
    return this.#upkeep.hold(lease, failure, contract);
  }

  resume(which: { readonly id: string } | TaskPlace): Promise<number> {
    return this.#upkeep.resume(which);
  }

  async get(id: string): Promise<TaskRecord | undefined> {
    const row = await this.#lookAt(id);
    return row && toRecord(row);
  }

  async result(id: string): Promise<TaskResult | undefined> {
    const row = await this.#lookAt(id);
    if (row === undefined) return undefined;
    const record = toRecord(row);
    if (row.status !== "completed") return { record, output: undefined };
    const kept = await this.#look<Kept | undefined>(() => this.#statements.output.get({ seq: Number(row.seq) }));
    const output = kept && (await this.#unlessForgotten(id, () => this.#deps.files.readKept(kept)));
    return output && { record, output };
  }

  async cancel(id: string, failure: string): Promise<TaskRecord | undefined> {
    return this.#write((tell) => {
      const row = this.#statements.cancel.get({ id, failure, now: this.#now() }) as TaskRow | undefined;
      if (row === undefined) return this.#readTask(id);
      tell({ id, ...placeOf(row) });
      return toRecord(row);
    });
  }

  async retry(id: string, newId: string): Promise<TaskRecord | undefined> {
    const row = await this.#lookAt(id);
    if (row?.ended_at == null) return row && toRecord(row);
    const seq = Number(row.seq);
    const input = await this.#look<Kept | undefined>(() => this.#statements.input.get({ seq }));
    const { files, statements } = this.#deps;
    if (input === undefined) return undefined;
    const { file: original } = input;
    const copy = async () => (original === null ? null : await touchFiles(() => files.copy(original)));
    const file = await this.#unlessForgotten(id, copy);
    if (file === undefined) return undefined;
    return files.removeUnless(file, async () => {
      const added = await this.#write((tell) => {
        const copied = statements.retry.get({ newId, seq, now: this.#now() }) as { seq: number } | undefined;
        if (copied !== undefined) {
          statements.copyInput.run({ task: copied.seq, seq, file });
          tell({ id: newId, ...placeOf(row) });
        }
        return { record: this.#readTask(newId), isNew: copied !== undefined };
      });
      return { value: added.record, isFileNamed: added.isNew };
    });
  }

  async list({ namespace, service, api, status, limit, before }: TaskFilter): Promise<readonly TaskRecord[]> {
    const wanted = { namespace, service, api, status };
    const given = Object.entries(wanted).filter(([, value]) => value !== undefined);
    const conditions = given.map(([name]) => `t.${name} = :${name}`);
    if (before !== undefined) conditions.push("t.seq < (SELECT seq FROM tasks WHERE id = :before)");
    const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
    const values = { ...Object.fromEntries(given), limit, ...(before !== undefined && { before }) } as SqliteValues;
    const text = `SELECT ${taskColumns} FROM tasks AS t ${where} ORDER BY t.seq DESC LIMIT :limit`;
    const rows = await this.#look<TaskRow[]>(() => this.#deps.connection.prepare(text).all(values));
    return rows.map(toRecord);
  }

  async countWaiting({ namespace, service }: Omit<TaskPlace, "api">): Promise<ReadonlyMap<string, number>> {
    const { countReady, countWoken } = this.#statements;
    const rows = await this.#look<{ api: string; count: number }[]>(() => [
      ...countReady.all({ namespace, service }),
      ...countWoken.all({ namespace, service, now: this.#now() }),
    ]);
    const counts = new Map<string, number>();
    for (const { api, count } of rows) {
      counts.set(api, (counts.get(api) ?? 0) + count);
    }
    return counts;
  }

  listOpen(isLeftOut: (place: TaskPlace) => boolean): Promise<readonly OpenTasks[]> {
    return this.#upkeep.listOpen(isLeftOut);
  }

  listHeld(): Promise<readonly HeldTasks[]> {
    return this.#upkeep.listHeld();
  }

  release(request: ReleaseRequest): Promise<number> {
    return this.#upkeep.release(request);
  }

  enroll(run: StoreRun): Promise<readonly StoreRun[]> {
    return this.#upkeep.enroll(run);
  }

  leave(runId: string): Promise<void> {
    return this.#upkeep.leave(runId);
  }

  adopt(place: TaskPlace): Promise<number> {
    return this.#upkeep.adopt(place);
  }

  move(from: TaskPlace, to: TaskPlace): Promise<number> {
    return this.#upkeep.move(from, to);
  }

  purge(ageMs: number): Promise<number> {
    return this.#upkeep.purge(ageMs);
  }

  readPlanned(place: SchedulePlace, at: number): Promise<PlannedTime> {
    return this.#upkeep.readPlanned(place, at);
  }

  notePlanned(place: TaskPlace, planned: PlannedTime): Promise<void> {
    return this.#upkeep.notePlanned(place, planned);
  }

  readOnce(place: OncePlace): Promise<OnceRecord | undefined> {
    return this.#upkeep.readOnce(place);
  }

  beginOnce(request: OnceRequest): Promise<boolean> {
    return this.#upkeep.beginOnce(request);
  }

  renewOnce(place: OncePlace, token: string, leaseMs: number): Promise<boolean> {
    return this.#upkeep.renewOnce(place, token, leaseMs);
  }

  endOnce(place: OncePlace, token: string, failure: string | undefined): Promise<boolean> {
    return this.#upkeep.endOnce(place, token, failure);
  }

  watch(listener: (news: TaskNews) => void): () => void {
    return this.#events.watch(listener);
  }

  async close(): Promise<void> {
    this.#events.clear();
    // The rest of the log is moved into the database, so that a copy of that file alone is a backup.
    const { connection, journal } = this.#deps;
    await this.#look(() => connection.exec("PRAGMA wal_checkpoint(TRUNCATE)")).catch(() => {});
    await journal.close();
    connection.close();
  }

  #now(): number {
    return Math.floor(this.#deps.clock.now());
  }

  /** Runs a change. Listeners get its news once it is committed. */
  async #write<T>(change: (tell: (news: TaskNews) => void) => T): Promise<T> {
    const news: TaskNews[] = [];
    const run = () => {
      news.length = 0;
      return change((one) => news.push(one));
    };
    const value = await this.#writer.run(run).catch((error: unknown) => {
      this.#noteOutage(error);
      throw error;
    });
    for (const one of news) this.#events.tell(one);
    return value;
  }

  #noteOutage(error: unknown): void {
    if (toSqliteFailure(error).id === "task_store_unavailable") this.#deps.grace.noteOutage();
  }

  /**
   * Reads outside of any transaction. It meets a lock in one case only: another process recovers the file after a
   * crash.
   */
  async #look<T>(look: () => unknown): Promise<T> {
    try {
      return (await whenFree(look)) as T;
    } catch (error) {
      this.#noteOutage(error);
      throw toSqliteFailure(error);
    }
  }

  /** Reads a task within a transaction, including its own changes. */
  #readTask(id: string): TaskRecord | undefined {
    const row = this.#statements.task.get({ id }) as TaskRow | undefined;
    return row && toRecord(row);
  }

  #readKeyed({ namespace, service, api }: TaskPlace, key: NewTask["key"]): KeyedRow | undefined {
    if (key === undefined) return undefined;
    const place = { namespace, service, api, key: toKeyColumns(key).key };
    return this.#statements.ofKey.get(place) as KeyedRow | undefined;
  }

  #lookAt(id: string): Promise<TaskRow | undefined> {
    return this.#look(() => this.#statements.task.get({ id }));
  }

  async #readClaimed(row: TaskRow): Promise<ClaimedTask | undefined> {
    try {
      const seq = Number(row.seq);
      const kept = await this.#look<Kept & { context: string }>(() => this.#statements.input.get({ seq }));
      const lease = { id: row.id, token: row.lease_token as string };
      return { lease, record: toRecord(row), input: await this.#deps.files.readKept(kept), context: kept.context };
    } catch (error) {
      logUnreadable(this.#deps.log, row, error);
      return undefined;
    }
  }

  /** Runs `read`. Returns `undefined` if it failed because the task was deleted meanwhile. */
  async #unlessForgotten<T>(id: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if ((await this.#lookAt(id)) === undefined) return undefined;
      throw error;
    }
  }

  #lookLater(): void {
    this.#lookTimer = this.#deps.clock.setTimer(() => {
      this.#lookLater();
      this.#lookForOthers();
    }, lookIntervalMs);
  }

  /** Looks for changes of others: `data_version` changes with each commit of another connection (LS4). */
  #lookForOthers(): void {
    const version = this.#readDataVersion();
    if (version === this.#dataVersion) return;
    this.#dataVersion = version;
    this.#events.tell({});
  }

  #readDataVersion(): number {
    try {
      return (this.#statements.dataVersion.get() as { data_version: number }).data_version;
    } catch {
      // The next call to the store reports the error.
      return this.#dataVersion;
    }
  }
}

const placeOf = ({ namespace, service, api }: TaskPlace): TaskPlace => ({ namespace, service, api });
