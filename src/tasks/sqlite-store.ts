// Tasks in one SQLite file, and large values in files beside it, for all processes of one machine.
//
// Q1  Changes are made by `SqliteWriter`, on one connection; another one looks. So nobody waits for a commit who only looks.
// Q2  `synchronous` is FULL: what was answered for survives a power cut, as far as the disk keeps what it says it has
//     written. All changes that wait at once share one such wait.
// Q3  A file of a value is written before the transaction that names it, and removed after the one that forgets it.
// Q4  A process hears of its own changes at once, and of those of others when it next looks at `data_version`, which it
//     does only while somebody watches.
import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { ServingError } from "../failure/serving-error.js";
import { NewsBoard } from "./news-board.js";
import { type SqliteConnection, type SqliteValues, toSqliteFailure } from "./sqlite-driver.js";
import type { LookStatements, WriteStatements } from "./sqlite-statements.js";
import { SqliteWriter } from "./sqlite-writer.js";
import { type TaskRow, taskColumns, toKeptText, toRecord } from "./task-row.js";
import type {
  ClaimedTask,
  ClaimRequest,
  Lease,
  LeaseState,
  NewTask,
  TaskFilter,
  TaskNews,
  TaskOutcome,
  TaskRecord,
  TaskResult,
  TaskStore,
} from "./task-store.js";
import type { ValueFiles } from "./value-files.js";

/** A larger value is a file of its own. */
const largestInlineBytes = 64 * 1024;
/** How often changes by other processes are looked for. */
export const lookIntervalMs = 100;
/** Tasks that one claim wakes, and that one transaction forgets. */
const maxWoken = 1000;
const maxForgotten = 200;

/** What a `SqliteStore` is made of; it closes both connections. */
export interface SqliteParts {
  readonly writing: SqliteConnection;
  readonly looking: SqliteConnection;
  readonly writes: WriteStatements;
  readonly looks: LookStatements;
  readonly files: ValueFiles;
  readonly clock: Clock;
  readonly log: Logger;
}

type Place = Pick<TaskRow, "service" | "api">;
/** A value as it is kept: in the row, or as a file. */
type Kept = { readonly bytes: Uint8Array | null; readonly file: string | null };

export class SqliteStore implements TaskStore {
  readonly #parts: SqliteParts;
  readonly #writer: SqliteWriter;
  readonly #board: NewsBoard;
  #lookTimer: Timer | undefined;
  #dataVersion = 0;
  #isLookDue = false;

  constructor(parts: SqliteParts) {
    this.#parts = parts;
    this.#writer = new SqliteWriter({
      connection: parts.writing,
      begin: parts.writes.begin,
      onDone: () => this.#isLookDue && this.#lookForOthers(),
    });
    this.#board = new NewsBoard((isWatched) => (isWatched ? this.#lookLater() : this.#lookTimer?.clear()));
    this.#dataVersion = this.#readDataVersion();
  }

  async submit({ input, id, service, api, context, priority }: NewTask): Promise<TaskRecord> {
    const known = await this.get(id);
    if (known !== undefined) return known;
    return this.#withFile(input, async (kept) => {
      const { writes } = this.#parts;
      const added = await this.#write((tell) => {
        const row = writes.submit.get({ id, service, api, priority, now: this.#now() }) as { seq: number } | undefined;
        if (row !== undefined) {
          writes.addInput.run({ task: row.seq, context, ...kept });
          tell({ id, service, api });
        }
        return { record: this.#readTask(id), isNew: row !== undefined };
      });
      return { value: added.record as TaskRecord, isFileNamed: added.isNew };
    });
  }

  async claim(request: ClaimRequest): Promise<readonly ClaimedTask[]> {
    const { service, api, limit, owner, leaseMs, maxAttempts, lostFailure } = request;
    const { looks, writes } = this.#parts;
    const place = { service, api };
    const { found } = this.#look(() => looks.canClaim.get({ ...place, now: this.#now() })) as { found: number };
    if (found === 0) return [];
    const rows = await this.#write((tell) => {
      const now = this.#now();
      const { changes } = writes.wake.run({ ...place, now, maxAttempts, lostFailure, maxWoken });
      if (changes > 0) tell(place);
      const claimed: TaskRow[] = [];
      while (claimed.length < limit) {
        const row = writes.claim.get({ ...place, now, leaseMs, owner }) as TaskRow | undefined;
        if (row === undefined) break;
        claimed.push(row);
        tell({ ...place, id: row.id });
      }
      return claimed;
    });
    const tasks = await Promise.all(rows.map((row) => this.#readClaimed(row)));
    return tasks.filter((task) => task !== undefined);
  }

  async nextDueMs(service: string, api: string): Promise<number | undefined> {
    const now = this.#now();
    const { at } = this.#look(() => this.#parts.looks.nextWake.get({ service, api, now })) as { at: number | null };
    return at === null ? undefined : at - now;
  }

  async renew(
    { id, token }: Lease,
    leaseMs: number,
    progress?: { fraction: number; note: string | undefined },
  ): Promise<LeaseState> {
    const said = { progress: progress?.fraction ?? null, note: toKeptText(progress?.note) };
    return this.#write((tell) => {
      const values = { id, token, leaseMs, now: this.#now(), ...said };
      const row = this.#parts.writes.renew.get(values) as (Place & { cancel_failure: string | null }) | undefined;
      if (row === undefined) return "lost";
      if (progress !== undefined) tell({ id, service: row.service, api: row.api });
      return row.cancel_failure === null ? "held" : "cancel_asked";
    });
  }

  async finish({ id, token }: Lease, outcome: TaskOutcome): Promise<boolean> {
    const output = outcome.status === "completed" ? outcome.output : undefined;
    const failure = outcome.status === "completed" ? null : outcome.failure;
    return this.#withFile(output, async (kept) => {
      const { writes } = this.#parts;
      const isFinished = await this.#write((tell) => {
        const values = { id, token, status: outcome.status, failure, now: this.#now() };
        const row = writes.finish.get(values) as (Place & { seq: number }) | undefined;
        if (row === undefined) return false;
        if (output !== undefined) writes.addOutput.run({ task: row.seq, ...kept });
        tell({ id, service: row.service, api: row.api });
        return true;
      });
      return { value: isFinished, isFileNamed: isFinished };
    });
  }

  async giveBack({ id, token }: Lease, waitMs: number, failure: string | undefined): Promise<boolean> {
    const values = { id, token, waitMs, failure: failure ?? null, uncounted: failure === undefined ? 1 : 0 };
    return this.#write((tell) => {
      const row = this.#parts.writes.giveBack.get({ ...values, now: this.#now() }) as Place | undefined;
      if (row !== undefined) tell({ id, service: row.service, api: row.api });
      return row !== undefined;
    });
  }

  async get(id: string): Promise<TaskRecord | undefined> {
    const row = this.#lookAt(id);
    return row && toRecord(row);
  }

  async result(id: string): Promise<TaskResult | undefined> {
    const row = this.#lookAt(id);
    if (row === undefined) return undefined;
    const record = toRecord(row);
    if (row.status !== "completed") return { record, output: undefined };
    const kept = this.#look(() => this.#parts.looks.output.get({ seq: Number(row.seq) })) as Kept | undefined;
    const output = kept && (await this.#unlessForgotten(id, () => this.#readKept(kept)));
    return output && { record, output };
  }

  async cancel(id: string, failure: string): Promise<TaskRecord | undefined> {
    return this.#write((tell) => {
      const row = this.#parts.writes.cancel.get({ id, failure, now: this.#now() }) as TaskRow | undefined;
      if (row === undefined) return this.#readTask(id);
      tell({ id, service: row.service, api: row.api });
      return toRecord(row);
    });
  }

  async retry(id: string, newId: string): Promise<TaskRecord | undefined> {
    const row = this.#lookAt(id);
    if (row?.ended_at == null) return row && toRecord(row);
    const seq = Number(row.seq);
    const input = this.#look(() => this.#parts.looks.input.get({ seq })) as Kept | undefined;
    const { files, writes } = this.#parts;
    if (input === undefined) return undefined;
    const { file: original } = input;
    const copy = async () => (original === null ? null : await this.#touch(() => files.copy(original)));
    const file = await this.#unlessForgotten(id, copy);
    if (file === undefined) return undefined;
    return this.#removeUnless(file, async () => {
      const added = await this.#write((tell) => {
        const copied = writes.retry.get({ newId, seq, now: this.#now() }) as { seq: number } | undefined;
        if (copied !== undefined) {
          writes.copyInput.run({ task: copied.seq, seq, file });
          tell({ id: newId, service: row.service, api: row.api });
        }
        return { record: this.#readTask(newId), isNew: copied !== undefined };
      });
      return { value: added.record, isFileNamed: added.isNew };
    });
  }

  async list({ service, api, status, limit, before }: TaskFilter): Promise<readonly TaskRecord[]> {
    const wanted = { service, api, status };
    const given = Object.entries(wanted).filter(([, value]) => value !== undefined);
    const conditions = given.map(([name]) => `t.${name} = :${name}`);
    if (before !== undefined) conditions.push("t.seq < (SELECT seq FROM tasks WHERE id = :before)");
    const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
    const values = { ...Object.fromEntries(given), limit, ...(before !== undefined && { before }) } as SqliteValues;
    const text = `SELECT ${taskColumns} FROM tasks AS t ${where} ORDER BY t.seq DESC LIMIT :limit`;
    return this.#touch(async () => {
      const statement = await this.#parts.looking.prepare(text);
      return ((await statement.all(values)) as TaskRow[]).map(toRecord);
    });
  }

  async countWaiting(service: string): Promise<ReadonlyMap<string, number>> {
    const { countReady, countWoken } = this.#parts.looks;
    const rows = await this.#touch(async () => [
      ...(await countReady.all({ service })),
      ...(await countWoken.all({ service, now: this.#now() })),
    ]);
    const counts = new Map<string, number>();
    for (const { api, count } of rows as { api: string; count: number }[]) {
      counts.set(api, (counts.get(api) ?? 0) + count);
    }
    return counts;
  }

  async purge(ageMs: number): Promise<number> {
    const { looks, writes, files } = this.#parts;
    let purged = 0;
    for (;;) {
      const values = { until: this.#now() - ageMs, limit: maxForgotten };
      type Ended = { seq: number; input_file: string | null; output_file: string | null };
      const ended = (await this.#touch(() => looks.ended.all(values))) as Ended[];
      const seqs = JSON.stringify(ended.map(({ seq }) => seq));
      if (ended.length > 0) purged += await this.#write(() => writes.forget.run({ seqs }).changes);
      const named = ended.flatMap(({ input_file, output_file }) => [input_file, output_file]);
      await this.#touch(() => files.remove(named.filter((name) => name !== null)));
      if (ended.length < maxForgotten) break;
    }
    await this.#touch(() => files.sweep(this.#now(), (names) => this.#pickNamed(names)));
    return purged;
  }

  watch(listener: (news: TaskNews) => void): () => void {
    return this.#board.watch(listener);
  }

  async close(): Promise<void> {
    this.#board.clear();
    // What is still in the log is moved into the database itself, so that a copy of it alone is a backup.
    await this.#parts.writing.exec("PRAGMA wal_checkpoint(TRUNCATE)").catch(() => {});
    this.#parts.looking.close();
    this.#parts.writing.close();
  }

  #now(): number {
    return Math.floor(this.#parts.clock.now());
  }

  /** Runs a change; the listeners hear what it tells once it is committed. */
  async #write<T>(change: (tell: (news: TaskNews) => void) => T): Promise<T> {
    const news: TaskNews[] = [];
    const value = await this.#writer.run(() => {
      news.length = 0;
      return change((one) => news.push(one));
    });
    for (const one of news) this.#board.tell(one);
    return value;
  }

  /** A look that waits for nothing. */
  #look<T>(look: () => T): T {
    try {
      return look();
    } catch (error) {
      throw toSqliteFailure(error);
    }
  }

  /** A look that takes longer, or a call of the file system. */
  async #touch<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toSqliteFailure(error);
    }
  }

  /** Within a transaction: sees what it has changed. */
  #readTask(id: string): TaskRecord | undefined {
    const row = this.#parts.writes.task.get({ id }) as TaskRow | undefined;
    return row && toRecord(row);
  }

  #lookAt(id: string): TaskRow | undefined {
    return this.#look(() => this.#parts.looks.task.get({ id })) as TaskRow | undefined;
  }

  async #readClaimed(row: TaskRow): Promise<ClaimedTask | undefined> {
    try {
      const seq = Number(row.seq);
      const kept = this.#parts.looks.input.get({ seq }) as Kept & { context: string };
      const lease = { id: row.id, token: row.lease_token as string };
      return { lease, record: toRecord(row), input: await this.#readKept(kept), context: kept.context };
    } catch (error) {
      const fields = { err: error, task: row.id, service: row.service, api: row.api };
      this.#parts.log.error(fields, "the input of a task can't be read; its lease is left to run out");
      return undefined;
    }
  }

  async #readKept({ bytes, file }: Kept): Promise<Uint8Array> {
    return file === null ? toBytes(bytes) : this.#touch(() => this.#parts.files.read(file));
  }

  /** A file that is gone is no fault where its task was forgotten meanwhile. */
  async #unlessForgotten<T>(id: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if (this.#lookAt(id) === undefined) return undefined;
      throw error;
    }
  }

  /** Keeps a large value as a file of its own, and removes it again where no row has come to name it (Q3). */
  async #withFile<T>(
    bytes: Uint8Array | undefined,
    change: (kept: Kept) => Promise<{ value: T; isFileNamed: boolean }>,
  ): Promise<T> {
    if (bytes === undefined || bytes.length <= largestInlineBytes) {
      return (await change({ bytes: bytes ?? null, file: null })).value;
    }
    const file = await this.#touch(() => this.#parts.files.write(bytes));
    return this.#removeUnless(file, () => change({ bytes: null, file }));
  }

  /** After most errors it is not certain what is on the disk: then the file is left, and swept later if no row names it. */
  async #removeUnless<T>(file: string | null, change: () => Promise<{ value: T; isFileNamed: boolean }>): Promise<T> {
    const remove = async () => {
      if (file !== null) await this.#parts.files.remove([file]).catch(() => {});
    };
    try {
      const { value, isFileNamed } = await change();
      if (!isFileNamed) await remove();
      return value;
    } catch (error) {
      if (error instanceof ServingError && error.id === "task_store_full") await remove();
      throw error;
    }
  }

  /** Of some names of files those that rows have. */
  async #pickNamed(names: readonly string[]): Promise<ReadonlySet<string>> {
    const rows = await this.#parts.looks.named.all({ names: JSON.stringify(names) });
    return new Set((rows as { file: string }[]).map(({ file }) => file));
  }

  #lookLater(): void {
    this.#lookTimer = this.#parts.clock.setTimer(() => {
      this.#lookLater();
      // On a connection that is just committing, the look would wait for the disk.
      if (this.#writer.isBusy) this.#isLookDue = true;
      else this.#lookForOthers();
    }, lookIntervalMs);
  }

  /** `data_version` changes with each commit of another connection (Q4). */
  #lookForOthers(): void {
    this.#isLookDue = false;
    const version = this.#readDataVersion();
    if (version === this.#dataVersion) return;
    this.#dataVersion = version;
    this.#board.tell({});
  }

  #readDataVersion(): number {
    try {
      return (this.#parts.writes.dataVersion.get() as { data_version: number }).data_version;
    } catch {
      // Whoever uses the store next learns what is wrong.
      return this.#dataVersion;
    }
  }
}

/** The driver gives an ArrayBuffer or a Buffer, and nothing for no bytes. */
function toBytes(bytes: Uint8Array | ArrayBuffer | null): Uint8Array {
  if (bytes === null) return new Uint8Array(0);
  return bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
}
