// Tasks in a PostgreSQL database, for processes on any number of machines.
//
// PG1  Each change is one statement, which is a transaction.
// PG2  Claims skip rows that other claims have locked, so they neither wait for each other nor claim a task twice.
// PG3  Times are the server's, in SQL. Only tests pass a clock.
// PG4  Values are kept in the database, since the machines share no disk: at most 1 GB each, which is PostgreSQL's
//      limit.
import type { Pool, QueryResult } from "pg";
import type { Clock } from "../../base/clock.js";
import type { Logger } from "../../base/logger.js";
import { TaskEvents } from "../closable-store.js";
import type { LeaseGrace } from "../lease-grace.js";
import { listOpenTasks } from "../list-open-tasks.js";
import {
  type KeyedRow,
  logUnreadable,
  type OnceRow,
  type PlannedRow,
  type RenewedRow,
  readRenewed,
  readSubmitted,
  type TaskRow,
  toKeyColumns,
  toOnce,
  toPlanned,
  toRecord,
  toRenewal,
} from "../task-row.js";
import {
  type ClaimedTask,
  type ClaimRequest,
  type HeldTasks,
  type Lease,
  type LeaseState,
  mostCounted,
  type NewTask,
  type OncePlace,
  type OnceRecord,
  type OnceRequest,
  type OpenTasks,
  type PlannedTime,
  type ReleaseRequest,
  runFreshMs,
  runOldMs,
  type SchedulePlace,
  type StoreRun,
  type TaskFilter,
  type TaskNews,
  type TaskOutcome,
  type TaskPlace,
  type TaskProgress,
  type TaskRecord,
  type TaskResult,
  type TaskStore,
} from "../task-store.js";
import { answerTimeoutMs, isOutage, longAnswerTimeoutMs, toPgFailure } from "./pg-driver.js";
import type { NewsListener, NewsSender } from "./pg-news.js";
import { compileList, compileStatements, type PgStatement, type PgStatements } from "./pg-statements.js";

/** Most tasks that one claim wakes, and that one statement deletes. */
const maxWoken = 1000;
const maxForgotten = 500;
/** Size of an input from which a submit first asks whether the task exists, before it sends the input. */
const largeBytes = 64 * 1024;

/** Length of the parts in which longer values are read. */
const partBytes = 4 * 1024 * 1024;

type Values = Readonly<Record<string, string | number | boolean | null | Uint8Array>>;
/** Value that came with its row. A longer value has only its size; a missing one has neither. */
type ValueRow = { readonly bytes: Buffer | null; readonly size: number | null };
/** Row of a claimed task. If none was claimed, there is one row with the number of tasks that were woken instead. */
type ClaimedRow = { readonly woken: number; readonly context: string } & TaskRow & ValueRow;

/** Parts of a `PgStore`. It closes all of them. */
interface PgDeps {
  readonly pool: Pool;
  readonly sender: NewsSender;
  readonly createListener: (tell: (news: TaskNews) => void) => NewsListener;
  /** Clock of the store's times, if not the server's. */
  readonly clock: Clock | undefined;
  readonly grace: LeaseGrace;
  readonly log: Logger;
}

export class PgStore implements TaskStore {
  readonly #pool: Pool;
  readonly #sender: NewsSender;
  readonly #listener: NewsListener;
  readonly #events: TaskEvents;
  readonly #clock: Clock | undefined;
  readonly #statements: PgStatements;
  readonly #grace: LeaseGrace;
  readonly #log: Logger;

  constructor({ pool, sender, createListener, clock, grace, log }: PgDeps) {
    this.#pool = pool;
    this.#sender = sender;
    this.#clock = clock;
    this.#log = log;
    this.#grace = grace;
    this.#statements = compileStatements(clock !== undefined);
    this.#events = new TaskEvents((isWatched) => (isWatched ? this.#listener.start() : this.#listener.stop()));
    this.#listener = createListener((news) => this.#events.tell(news));
  }

  async submit(task: NewTask): Promise<TaskRecord> {
    const { id, namespace, service, api, input, context, priority, key, delayMs = 0, contract = null } = task;
    const place = { namespace, service, api };
    const named = toKeyColumns(key);
    const find = async (): Promise<KeyedRow | undefined> => {
      const keyed = key && (await this.#query<KeyedRow>(this.#statements.ofKey, { ...place, key: named.key }))[0];
      return keyed ?? (await this.#query<KeyedRow>(this.#statements.task, { id }))[0];
    };
    let known = input.length > largeBytes ? await find() : undefined;
    while (known === undefined) {
      const [row] = await this.#query<TaskRow>(this.#statements.submit, {
        id,
        ...place,
        input,
        context,
        priority,
        delayMs,
        contract,
        ...named,
      });
      if (row !== undefined) {
        this.#tell(row);
        return toRecord(row);
      }
      // A task that was deleted in between is submitted again.
      known = await find();
    }
    return readSubmitted(known, key);
  }

  async claim(request: ClaimRequest): Promise<readonly ClaimedTask[]> {
    const { namespace, service, api, limit, owner, leaseMs, maxAttempts, lostFailure, contract = null } = request;
    const place = { namespace, service, api };
    const spares = this.#grace.spares(leaseMs);
    const bounds = { limit, owner, leaseMs, maxAttempts, lostFailure, contract };
    const values = { ...place, ...bounds, maxWoken, partBytes, spares };
    let rows: ClaimedRow[];
    do {
      rows = await this.#query<ClaimedRow>(this.#statements.claim, values);
      if (rows[0]?.woken !== 0) this.#tell(place);
    } while (rows[0]?.woken !== 0);
    const claimed: ClaimedTask[] = [];
    for (const row of rows) {
      if (row.id === null) break;
      this.#tell(row);
      const task = await this.#readClaimed(row);
      if (task !== undefined) claimed.push(task);
    }
    return claimed;
  }

  async #readClaimed(row: ClaimedRow): Promise<ClaimedTask | undefined> {
    try {
      const input = await this.#readValue(this.#statements.inputPart, row);
      const lease = { id: row.id, token: row.lease_token as string };
      // Absent if the task was ended and deleted meanwhile.
      return input && { lease, record: toRecord(row), input, context: row.context };
    } catch (error) {
      logUnreadable(this.#log, row, error);
      return undefined;
    }
  }

  async nextDueMs({ namespace, service, api }: TaskPlace): Promise<number | undefined> {
    const { leftMs } = this.#grace;
    const values = { namespace, service, api, spares: leftMs > 0 };
    const [row] = await this.#query<{ ms: string | null }>(this.#statements.nextDue, values);
    const dueMs = row?.ms == null ? undefined : Math.max(0, Number(row.ms));
    return leftMs > 0 ? Math.min(leftMs, dueMs ?? leftMs) : dueMs;
  }

  async renew(lease: Lease, leaseMs: number, progress?: TaskProgress): Promise<LeaseState> {
    const [row] = await this.#query<RenewedRow>(this.#statements.renew, toRenewal(lease, leaseMs, progress));
    if (row !== undefined && progress !== undefined) this.#tell({ id: lease.id, ...row });
    return readRenewed(row);
  }

  async finish({ id, token }: Lease, outcome: TaskOutcome): Promise<boolean> {
    const isCompleted = outcome.status === "completed";
    const kept = { output: isCompleted ? outcome.output : null, failure: isCompleted ? null : outcome.failure };
    const values = { id, token, status: outcome.status, ...kept };
    const [row] = await this.#query<TaskPlace>(this.#statements.finish, values);
    if (row !== undefined) this.#tell({ id, ...row });
    return row !== undefined;
  }

  async giveBack({ id, token }: Lease, waitMs: number, failure: string | undefined): Promise<boolean> {
    const values = { id, token, waitMs, failure: failure ?? null, uncounted: failure === undefined ? 1 : 0 };
    const [row] = await this.#query<TaskPlace>(this.#statements.giveBack, values);
    if (row !== undefined) this.#tell({ id, ...row });
    return row !== undefined;
  }

  async hold({ id, token }: Lease, failure: string, contract: string): Promise<boolean> {
    const [row] = await this.#query<TaskPlace>(this.#statements.hold, { id, token, failure, contract });
    if (row !== undefined) this.#tell({ id, ...row });
    return row !== undefined;
  }

  async resume(which: { readonly id: string } | TaskPlace): Promise<number> {
    if ("api" in which) {
      const { namespace, service, api } = which;
      return this.#change(this.#statements.resumeAll, { namespace, service, api }, which);
    }
    const [row] = await this.#query<TaskPlace>(this.#statements.resumeOne, { id: which.id });
    if (row !== undefined) this.#tell({ id: which.id, ...row });
    return row === undefined ? 0 : 1;
  }

  async get(id: string): Promise<TaskRecord | undefined> {
    const [row] = await this.#query<TaskRow>(this.#statements.task, { id });
    return row && toRecord(row);
  }

  async result(id: string): Promise<TaskResult | undefined> {
    const [row] = await this.#query<TaskRow & ValueRow>(this.#statements.result, { id, partBytes });
    if (row === undefined) return undefined;
    const record = toRecord(row);
    if (row.size === null) return { record, output: undefined };
    const output = await this.#readValue(this.#statements.outputPart, row);
    return output && { record, output };
  }

  async cancel(id: string, failure: string): Promise<TaskRecord | undefined> {
    const [row] = await this.#query<TaskRow>(this.#statements.cancel, { id, failure });
    if (row === undefined) return this.get(id);
    this.#tell(row);
    return toRecord(row);
  }

  async retry(id: string, newId: string): Promise<TaskRecord | undefined> {
    const [row] = await this.#query<TaskRow>(this.#statements.retry, { id, newId });
    if (row !== undefined) {
      this.#tell(row);
      return toRecord(row);
    }
    const old = await this.get(id);
    return old?.endedAt === undefined ? old : this.get(newId);
  }

  async list({ limit, ...wanted }: TaskFilter): Promise<readonly TaskRecord[]> {
    const given = Object.entries(wanted).filter(([, value]) => value !== undefined);
    const statement = compileList(given.map(([name]) => name));
    return (await this.#query<TaskRow>(statement, { ...Object.fromEntries(given), limit })).map(toRecord);
  }

  async countWaiting({ namespace, service }: Omit<TaskPlace, "api">): Promise<ReadonlyMap<string, number>> {
    const values = { namespace, service };
    const rows = await this.#query<{ api: string; count: string }>(this.#statements.countWaiting, values);
    return new Map(rows.map(({ api, count }) => [api, Number(count)]));
  }

  listOpen(isLeftOut: (place: TaskPlace) => boolean): Promise<readonly OpenTasks[]> {
    const { nextReadyPlace, nextWokenPlace, countOpen } = this.#statements;
    const findNext = (statement: PgStatement) => async (last: TaskPlace) =>
      (await this.#query<TaskPlace>(statement, { ...last }))[0];
    return listOpenTasks(
      {
        nextPlaces: [findNext(nextReadyPlace), findNext(nextWokenPlace)],
        countOpen: async (place) => {
          const values = { ...place, most: mostCounted };
          const [row] = await this.#query<{ waiting: string; running: string }>(countOpen, values);
          return { waiting: Number(row?.waiting), running: Number(row?.running) };
        },
        listHeld: () => this.listHeld(),
      },
      isLeftOut,
    );
  }

  async listHeld(): Promise<readonly HeldTasks[]> {
    const rows = await this.#query<TaskPlace & { count: string }>(this.#statements.listHeld, {});
    return rows.map((row) => ({ ...row, count: Number(row.count) }));
  }

  async release({ namespace, service, api, life, maxAttempts, lostFailure }: ReleaseRequest): Promise<number> {
    if (life === undefined && this.#grace.leftMs > 0) return 0;
    const owner = life === undefined ? null : `%/${life}`;
    const place = { namespace, service, api };
    return this.#change(this.#statements.release, { ...place, owner, maxAttempts, lostFailure }, place);
  }

  async enroll({ id, namespace, host, pid, session }: StoreRun): Promise<readonly StoreRun[]> {
    await this.#run(this.#statements.enroll, { id, namespace, host, pid, session });
    return this.#query<StoreRun>(this.#statements.otherRuns, { id, freshMs: runFreshMs });
  }

  async leave(id: string): Promise<void> {
    await this.#run(this.#statements.forgetRuns, { id, oldMs: runOldMs });
  }

  adopt(place: TaskPlace): Promise<number> {
    return this.#change(this.#statements.adopt, { ...place }, place);
  }

  async move(from: TaskPlace, to: TaskPlace): Promise<number> {
    const values = { ...from, toNamespace: to.namespace, toService: to.service, toApi: to.api };
    await this.#run(this.#statements.freeKeys, values);
    await this.#run(this.#statements.moveSchedule, values);
    await this.#run(this.#statements.forgetSchedule, { ...from });
    return this.#change(this.#statements.move, values, to);
  }

  async purge(ageMs: number): Promise<number> {
    let purged = 0;
    for (;;) {
      const { rowCount } = await this.#run(this.#statements.purge, { ageMs, limit: maxForgotten });
      purged += rowCount ?? 0;
      if ((rowCount ?? 0) < maxForgotten) return purged;
    }
  }

  async readPlanned({ namespace, service, api, schedule }: SchedulePlace, at: number): Promise<PlannedTime> {
    const values = { namespace, service, api, schedule, at };
    const [row] = await this.#query<PlannedRow>(this.#statements.readPlanned, values);
    return toPlanned(row as PlannedRow);
  }

  async notePlanned({ namespace, service, api }: TaskPlace, { at, task }: PlannedTime): Promise<void> {
    await this.#run(this.#statements.notePlanned, { namespace, service, api, at, task: task ?? null });
  }

  async readOnce({ namespace, name }: OncePlace): Promise<OnceRecord | undefined> {
    const [row] = await this.#query<OnceRow>(this.#statements.readOnce, { namespace, name });
    return row && toOnce(row);
  }

  async beginOnce({ namespace, name, token, holder, leaseMs, after = "", isGone }: OnceRequest): Promise<boolean> {
    const values = { namespace, name, token, holder, leaseMs, after, isGone: isGone ? 1 : 0 };
    return this.#hasChanged(this.#statements.beginOnce, values);
  }

  renewOnce({ namespace, name }: OncePlace, token: string, leaseMs: number): Promise<boolean> {
    return this.#hasChanged(this.#statements.renewOnce, { namespace, name, token, leaseMs });
  }

  endOnce({ namespace, name }: OncePlace, token: string, failure: string | undefined): Promise<boolean> {
    return this.#hasChanged(this.#statements.endOnce, { namespace, name, token, failure: failure ?? null });
  }

  watch(listener: (news: TaskNews) => void): () => void {
    return this.#events.watch(listener);
  }

  async close(): Promise<void> {
    this.#events.clear();
    await this.#sender.close();
    await Promise.all([this.#listener.closed(), this.#pool.end()]);
  }

  async #hasChanged(statement: PgStatement, values: Values): Promise<boolean> {
    return ((await this.#run(statement, values)).rowCount ?? 0) > 0;
  }

  /** Runs a change, and reports it to the listeners. @returns The number of changed tasks. */
  async #change(statement: PgStatement, values: Values, place: TaskPlace): Promise<number> {
    const { rowCount } = await this.#run(statement, values);
    if (rowCount !== null && rowCount > 0) this.#tell(place);
    return rowCount ?? 0;
  }

  #tell({ id, namespace, service, api }: TaskPlace & { readonly id?: string }): void {
    const news = { ...(id !== undefined && { id }), namespace, service, api };
    this.#events.tell(news);
    this.#sender.tell(news);
  }

  async #query<Row>(statement: PgStatement, values: Values): Promise<Row[]> {
    return (await this.#run(statement, values)).rows as Row[];
  }

  /** Reads a value, in parts if it is long. @returns `undefined` when it no longer exists. */
  async #readValue(statement: PgStatement, { seq, bytes, size }: TaskRow & ValueRow): Promise<Buffer | undefined> {
    if (bytes !== null || size === null) return bytes ?? undefined;
    const value = Buffer.allocUnsafe(size);
    for (let at = 0; at < size; at += partBytes) {
      const [row] = await this.#query<{ part: Buffer }>(statement, { seq, from: at + 1, partBytes });
      if (row === undefined) return undefined;
      row.part.copy(value, at);
    }
    return value;
  }

  async #run({ name, text, names, isLong }: PgStatement, values: Values): Promise<QueryResult> {
    const now = this.#clock && Math.floor(this.#clock.now());
    const all = names.map((value) => (value === "now" ? now : values[value]));
    try {
      const limit = { query_timeout: isLong ? longAnswerTimeoutMs : answerTimeoutMs };
      return await this.#pool.query({ name, text, values: all, ...limit });
    } catch (error) {
      if (isOutage(error)) this.#grace.noteOutage();
      throw toPgFailure(error);
    }
  }
}
