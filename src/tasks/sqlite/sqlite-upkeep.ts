import type { LeaseGrace } from "../lease-grace.js";
import { listOpenTasks } from "../list-open-tasks.js";
import { type OnceRow, type PlannedRow, toOnce, toPlanned } from "../task-row.js";
import {
  type HeldTasks,
  type Lease,
  mostCounted,
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
  type TaskNews,
  type TaskPlace,
} from "../task-store.js";
import type { SqliteStatement } from "./sqlite-driver.js";
import type { SqliteStatements } from "./sqlite-statements.js";
import { touchFiles, type ValueFiles } from "./value-files.js";

/** Rows that one transaction looks at. It blocks the event loop and other processes. */
const rowsAtOnce = 2_000;
/** Tasks that one transaction deletes. */
const maxForgotten = 200;

/** Parts that the upkeep of a store is made with. */
interface SqliteUpkeepDeps {
  readonly statements: SqliteStatements;
  readonly files: ValueFiles;
  readonly grace: LeaseGrace;
  readonly now: () => number;
  /** Runs a change, and reports it to listeners. */
  readonly write: <T>(change: (tell: (news: TaskNews) => void) => T) => Promise<T>;
  readonly look: <T>(look: () => unknown) => Promise<T>;
}

/** Administrative work on a store: counts, moves and deletes tasks, and releases leases of holders that are gone. */
export class SqliteUpkeep {
  readonly #deps: SqliteUpkeepDeps;

  constructor(deps: SqliteUpkeepDeps) {
    this.#deps = deps;
  }

  listOpen(isLeftOut: (place: TaskPlace) => boolean): Promise<readonly OpenTasks[]> {
    const { statements, look } = this.#deps;
    const { nextReadyPlace, nextWokenPlace, countOpen } = statements;
    const findNext =
      (statement: SqliteStatement) =>
      ({ namespace, service, api }: TaskPlace) =>
        look<TaskPlace | undefined>(() => statement.get({ namespace, service, api }));
    return listOpenTasks(
      {
        nextPlaces: [findNext(nextReadyPlace), findNext(nextWokenPlace)],
        countOpen: (place) => look(() => countOpen.get({ ...place, most: mostCounted })),
        listHeld: () => this.listHeld(),
      },
      isLeftOut,
    );
  }

  async listHeld(): Promise<readonly HeldTasks[]> {
    const { statements, look } = this.#deps;
    const rows = await look<HeldTasks[]>(() => statements.listHeld.all({}));
    return rows.map(({ namespace, service, api, count }) => ({ namespace, service, api, count }));
  }

  async hold({ id, token }: Lease, failure: string, contract: string): Promise<boolean> {
    const { statements, write, now } = this.#deps;
    return write((tell) => {
      const row = statements.hold.get({ id, token, failure, contract, now: now() }) as TaskPlace | undefined;
      if (row !== undefined) tell({ id, namespace: row.namespace, service: row.service, api: row.api });
      return row !== undefined;
    });
  }

  async resume(which: { readonly id: string } | TaskPlace): Promise<number> {
    const { statements, write } = this.#deps;
    return write((tell) => {
      if ("api" in which) {
        const { namespace, service, api } = which;
        const { changes } = statements.resumeAll.run({ namespace, service, api });
        if (changes > 0) tell({ namespace, service, api });
        return changes;
      }
      const row = statements.resumeOne.get({ id: which.id }) as TaskPlace | undefined;
      if (row !== undefined) tell({ id: which.id, namespace: row.namespace, service: row.service, api: row.api });
      return row === undefined ? 0 : 1;
    });
  }

  async release({ namespace, service, api, life, maxAttempts, lostFailure }: ReleaseRequest): Promise<number> {
    const { statements, grace, write, now } = this.#deps;
    const place = { namespace, service, api };
    const owner = life === undefined ? null : `%/${life}`;
    if (life === undefined && grace.leftMs > 0) return 0;
    return this.#untilFew(() =>
      write((tell) => {
        const values = { ...place, owner, maxAttempts, lostFailure, now: now(), maxWoken: rowsAtOnce };
        const { changes } = statements.release.run(values);
        if (changes > 0) tell(place);
        return changes;
      }),
    );
  }

  /** Repeats a change that handles part of the rows at a time. @returns The number of changed rows. */
  async #untilFew(change: () => Promise<number>): Promise<number> {
    for (let all = 0; ; ) {
      const count = await change();
      all += count;
      if (count < rowsAtOnce) return all;
    }
  }

  async adopt({ namespace, service, api }: TaskPlace): Promise<number> {
    const { statements, write } = this.#deps;
    const place = { namespace, service, api };
    return this.#untilFew(() =>
      write((tell) => {
        const { changes } = statements.adopt.run({ ...place, limit: rowsAtOnce });
        if (changes > 0) tell(place);
        return changes;
      }),
    );
  }

  async enroll({ id, namespace, host, pid, session }: StoreRun): Promise<readonly StoreRun[]> {
    const { statements, write, look, now } = this.#deps;
    await write(() => statements.enroll.run({ id, namespace, host, pid, session, now: now() }));
    const runs = await look<StoreRun[]>(() => statements.otherRuns.all({ id, now: now(), freshMs: runFreshMs }));
    // Rows of Node's driver have no prototype.
    return runs.map((run) => ({ ...run }));
  }

  async leave(id: string): Promise<void> {
    const { statements, write, now } = this.#deps;
    await write(() => statements.forgetRuns.run({ id, now: now(), oldMs: runOldMs }));
  }

  async move(from: TaskPlace, to: TaskPlace): Promise<number> {
    const { statements, write } = this.#deps;
    const target = { toNamespace: to.namespace, toService: to.service, toApi: to.api };
    const values = { namespace: from.namespace, service: from.service, api: from.api, ...target };
    await write(() => {
      statements.freeKeys.run(values);
      statements.moveSchedule.run(values);
      statements.forgetSchedule.run({ namespace: from.namespace, service: from.service, api: from.api });
    });
    return this.#inParts(
      { namespace: to.namespace, service: to.service, api: to.api },
      (range) => statements.move.run({ ...values, ...range }).changes,
    );
  }

  async purge(ageMs: number): Promise<number> {
    const { files, statements, write, look, now } = this.#deps;
    let purged = 0;
    for (;;) {
      const values = { until: now() - ageMs, limit: maxForgotten };
      type Ended = { seq: number; input_file: string | null; output_file: string | null };
      const ended = await look<Ended[]>(() => statements.ended.all(values));
      const seqs = JSON.stringify(ended.map(({ seq }) => seq));
      if (ended.length > 0) purged += await write(() => statements.forget.run({ seqs }).changes);
      const named = ended.flatMap(({ input_file, output_file }) => [input_file, output_file]);
      await touchFiles(() => files.remove(named.filter((name) => name !== null)));
      if (ended.length < maxForgotten) break;
    }
    await touchFiles(() => files.sweep(now(), (names) => this.#pickNamed(names)));
    return purged;
  }

  async readPlanned({ namespace, service, api, schedule }: SchedulePlace, at: number): Promise<PlannedTime> {
    const { statements, write } = this.#deps;
    const values = { namespace, service, api, schedule, at };
    return write(() => toPlanned(statements.readPlanned.get(values) as PlannedRow));
  }

  async notePlanned({ namespace, service, api }: TaskPlace, { at, task }: PlannedTime): Promise<void> {
    const { statements, write } = this.#deps;
    await write(() => statements.notePlanned.run({ namespace, service, api, at, task: task ?? null }));
  }

  async readOnce({ namespace, name }: OncePlace): Promise<OnceRecord | undefined> {
    const { statements, look, now } = this.#deps;
    const row = await look<OnceRow | undefined>(() => statements.readOnce.get({ namespace, name, now: now() }));
    return row && toOnce(row);
  }

  async beginOnce({ namespace, name, token, holder, leaseMs, after = "", isGone }: OnceRequest): Promise<boolean> {
    const { statements, write, now } = this.#deps;
    const values = { namespace, name, token, holder, leaseMs, after, isGone: isGone ? 1 : 0 };
    return write(() => statements.beginOnce.run({ ...values, now: now() }).changes > 0);
  }

  async renewOnce({ namespace, name }: OncePlace, token: string, leaseMs: number): Promise<boolean> {
    const { statements, write, now } = this.#deps;
    return write(() => statements.renewOnce.run({ namespace, name, token, leaseMs, now: now() }).changes > 0);
  }

  async endOnce({ namespace, name }: OncePlace, token: string, failure: string | undefined): Promise<boolean> {
    const { statements, write, now } = this.#deps;
    const values = { namespace, name, token, failure: failure ?? null };
    return write(() => statements.endOnce.run({ ...values, now: now() }).changes > 0);
  }

  /** Selects the names of files that rows have. */
  async #pickNamed(names: readonly string[]): Promise<ReadonlySet<string>> {
    const { statements, look } = this.#deps;
    const rows = await look<{ file: string }[]>(() => statements.named.all({ names: JSON.stringify(names) }));
    return new Set(rows.map(({ file }) => file));
  }

  /** Changes all tasks, part of them in each transaction. */
  async #inParts(place: TaskPlace, change: (range: { after: number; until: number }) => number): Promise<number> {
    const { statements, write, look } = this.#deps;
    const { seq: last } = await look<{ seq: number }>(() => statements.lastSeq.get());
    let changed = 0;
    for (let after = 0; after < last; after += rowsAtOnce) {
      changed += await write((tell) => {
        const count = change({ after, until: after + rowsAtOnce });
        if (count > 0) tell(place);
        return count;
      });
    }
    return changed;
  }
}
