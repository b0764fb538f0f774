import type { Logger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import type {
  Lease,
  LeaseState,
  OnceRecord,
  PlannedTime,
  TaskKey,
  TaskPlace,
  TaskProgress,
  TaskRecord,
  TaskStatus,
} from "./task-store.js";

/** Row of the table of tasks, as a driver returns it. PostgreSQL's driver returns large integers as texts. */
export interface TaskRow {
  readonly seq: number | string;
  readonly id: string;
  readonly namespace: string;
  readonly service: string;
  readonly api: string;
  readonly status: string;
  readonly attempt: number;
  readonly created_at: number | string;
  readonly started_at: number | string | null;
  readonly ended_at: number | string | null;
  readonly not_before: number | string;
  readonly progress: number | null;
  readonly note: string | null;
  readonly failure: string | null;
  readonly cancel_failure: string | null;
  readonly lease_token: string | null;
  readonly wake_at: number | string | null;
  readonly key: string | null;
  readonly contract: string | null;
  readonly held_by: string | null;
}

/** Columns of `TaskRow` for a query. */
export const taskColumns: string = [
  ...["seq", "id", "service", "api", "status", "attempt", "created_at", "started_at", "ended_at", "not_before"],
  ...[
    "progress",
    "note",
    "failure",
    "cancel_failure",
    "lease_token",
    "namespace",
    "wake_at",
    "key",
    "contract",
    "held_by",
  ],
]
  .map((column) => `t.${column}`)
  .join(", ");

const toTime = (value: number | string | null): number | undefined => (value === null ? undefined : Number(value));

/** Separates a key from its scope in the column. No key has this character. */
const scopeMark = "\n";

/** Makes the values of the columns of a key. */
export const toKeyColumns = (key: TaskKey | undefined) => ({
  key: key === undefined ? null : key.scope === undefined ? key.text : `${key.text}${scopeMark}${key.scope}`,
  fingerprint: key?.fingerprint ?? null,
});

/** Status in the table of a task that is held. Callers see `pending`. */
const heldStatus = "held";

/** Converts a row to a task. */
export function toRecord(row: TaskRow): TaskRecord {
  return {
    id: row.id,
    namespace: row.namespace,
    service: row.service,
    api: row.api,
    status: row.status === heldStatus ? "pending" : (row.status as TaskStatus),
    isHeld: row.status === heldStatus,
    heldFor: row.status === heldStatus && row.contract !== row.held_by ? (row.contract ?? undefined) : undefined,
    attempt: row.attempt,
    createdAt: Number(row.created_at),
    startedAt: toTime(row.started_at),
    endedAt: toTime(row.ended_at),
    notBefore: Number(row.not_before),
    waitsUntil: row.status === "pending" ? toTime(row.wake_at) : undefined,
    progress: row.progress ?? undefined,
    note: row.note ?? undefined,
    failure: row.failure ?? undefined,
    isCancelAsked: row.cancel_failure !== null,
    leaseEndsAt: row.status === "in_progress" ? toTime(row.wake_at) : undefined,
    key: row.key?.split(scopeMark, 1)[0],
  };
}

/** Replaces characters that the engines can't store, NUL and lone surrogates, in an author's text. */
function toKeptText(text: string | undefined): string | null {
  return text === undefined ? null : text.replaceAll("\0", "\ufffd").replace(/\p{Surrogate}/gu, "\ufffd");
}

/** Text that is the same for equal places. Rows of a driver may have more fields. */
export const placeKey = ({ namespace, service, api }: TaskPlace): string => JSON.stringify([namespace, service, api]);

/** Row that a renewal returns. */
export type RenewedRow = TaskPlace & { readonly cancel_failure: string | null };

/** Makes the values of a statement that renews a lease. */
export const toRenewal = ({ id, token }: Lease, leaseMs: number, progress: TaskProgress | undefined) => ({
  id,
  token,
  leaseMs,
  progress: progress?.fraction ?? null,
  note: toKeptText(progress?.note),
});

/** Reads the state of a lease from the row that its renewal returned; there is no row for a lost lease. */
export function readRenewed(row: RenewedRow | undefined): LeaseState {
  if (row === undefined) return "lost";
  return row.cancel_failure === null ? "held" : "cancel_asked";
}

/** Row of the planned time of a schedule. */
export interface PlannedRow {
  readonly planned_at: number | string;
  readonly task: string | null;
}

export const toPlanned = ({ planned_at: at, task }: PlannedRow): PlannedTime => ({
  at: Number(at),
  task: task ?? undefined,
});

/** Row of work that runs once. */
export interface OnceRow {
  readonly token: string;
  readonly holder: string;
  readonly done_at: number | string | null;
  readonly failure: string | null;
  readonly lease_ms: number | string;
}

export const toOnce = ({ token, holder, done_at: doneAt, failure, lease_ms: leaseMs }: OnceRow): OnceRecord => ({
  token,
  holder,
  isDone: doneAt !== null,
  failure: failure ?? undefined,
  leaseMs: Number(leaseMs),
});

/**
 * Logs a claimed task whose input can't be read. The task keeps its lease until it expires, since another try now would
 * fail too.
 */
export function logUnreadable(log: Logger, { id, service, api }: TaskRow, error: unknown): void {
  const fields = { err: error, task: id, service, api };
  log.error(fields, "the input of a task can't be read; the task waits until its lease expires");
}

/** Row of an earlier task that a submit has found. Only a row found by its key has the fingerprint of the input. */
export type KeyedRow = TaskRow & { readonly fingerprint?: string | null };

/**
 * Converts the row of an earlier task for its second submit.
 *
 * @throws {ServingError} `task_key_reused` if the input differs.
 */
export function readSubmitted(row: KeyedRow, key: TaskKey | undefined): TaskRecord {
  const { id: taskId, service, api, fingerprint } = row;
  if (key !== undefined && fingerprint != null && fingerprint !== key.fingerprint) {
    throw fail("task_key_reused", { key: key.text, taskId }, { service, api });
  }
  return toRecord(row);
}

/** Makes SQL for the value of a field: `canceled` if the task was asked to end, else `otherwise`. */
const unlessCanceled = (otherwise: string, canceled: string): string =>
  `CASE WHEN t.cancel_failure IS NULL THEN ${otherwise} ELSE ${canceled} END`;

/** True in SQL for a task with an expired lease whose attempts are used up. */
const isSpent = "t.status = 'in_progress' AND t.attempt >= :maxAttempts";

const isPending = "t.status IN ('pending', 'held')";
const noLease = "lease_token = NULL, lease_owner = NULL";

/**
 * Changes of a task from one state to the next, as `SET` lists of SQL for both engines: `t` is its row, `:now` the
 * store's clock. Each engine itself selects and locks the rows.
 *
 * `wake_at` is the time at which the store must look at a task that can't be claimed now: a pending task whose time has
 * not come, or a running task whose lease expires. A pending task without it can be claimed.
 */
export const changes = {
  /** Makes a task claimable, or ends it, when its time has come or its lease has expired. */
  wake: `
    status = ${unlessCanceled(`CASE WHEN ${isSpent} THEN 'failed' ELSE 'pending' END`, "'canceled'")},
    failure = ${unlessCanceled(`CASE WHEN ${isSpent} THEN :lostFailure ELSE t.failure END`, "t.cancel_failure")},
    ended_at = ${unlessCanceled(`CASE WHEN ${isSpent} THEN :now END`, ":now")},
    wake_at = NULL, ${noLease}`,

  /** @param newToken SQL that makes a unique text for each row. */
  claim: (newToken: string): string => `
    status = 'in_progress', attempt = t.attempt + 1, started_at = :now, wake_at = :now + :leaseMs,
    lease_token = ${newToken}, lease_owner = :owner, progress = NULL, note = NULL, failure = NULL`,

  renew: `
    wake_at = :now + :leaseMs,
    progress = coalesce(:progress, t.progress),
    note = CASE WHEN :progress IS NULL THEN t.note ELSE :note END`,

  finish: `status = :status, failure = :failure, ended_at = :now, wake_at = NULL, ${noLease}`,

  giveBack: `
    status = ${unlessCanceled("'pending'", "'canceled'")},
    failure = ${unlessCanceled(":failure", "t.cancel_failure")},
    ended_at = ${unlessCanceled("NULL", ":now")},
    attempt = t.attempt - :uncounted,
    not_before = :now + :waitMs,
    wake_at = ${unlessCanceled("CASE WHEN :waitMs > 0 THEN :now + :waitMs END", "NULL")},
    ${noLease}`,

  hold: `
    status = ${unlessCanceled("'held'", "'canceled'")},
    failure = ${unlessCanceled(":failure", "t.cancel_failure")},
    ended_at = ${unlessCanceled("NULL", ":now")},
    attempt = t.attempt - 1, held_by = :contract, wake_at = NULL, ${noLease}`,

  /** Makes a held task claimable. */
  resume: "status = 'pending', failure = NULL, held_by = NULL",

  /** Moves a task to another api. */
  move: `
    namespace = :toNamespace, service = :toService, api = :toApi,
    status = CASE WHEN t.status = 'held' THEN 'pending' ELSE t.status END,
    failure = CASE WHEN t.status = 'held' THEN NULL ELSE t.failure END,
    held_by = NULL`,

  /** Ends a pending task, or asks a running one to end. */
  cancel: `
    status = CASE WHEN ${isPending} THEN 'canceled' ELSE t.status END,
    failure = CASE WHEN ${isPending} THEN :failure ELSE t.failure END,
    ended_at = CASE WHEN ${isPending} THEN :now END,
    wake_at = CASE WHEN ${isPending} THEN NULL ELSE t.wake_at END,
    cancel_failure = CASE WHEN ${isPending} THEN NULL ELSE coalesce(t.cancel_failure, :failure) END`,
} as const;

/** True in SQL for a held task that the claimer takes up: it was submitted to the claimer's contract (PT7). */
export const isHeldForClaimer = "status = 'held' AND contract = :contract AND held_by <> :contract";

/** Value of `wake_at` of a new task in SQL: the end of its delay, if it has one. */
export const wakeOfNew = "CASE WHEN :delayMs > 0 THEN :now + :delayMs END";

/** Statements about schedules and about work that runs once, for both engines. @param prefix Begins names of tables. */
export const createMarkTexts = (prefix: string) =>
  ({
    readPlanned: `
      INSERT INTO ${prefix}schedules AS s (namespace, service, api, schedule, planned_at)
      VALUES (:namespace, :service, :api, :schedule, :at)
      ON CONFLICT (namespace, service, api) DO UPDATE SET
        planned_at = CASE WHEN s.schedule = :schedule OR s.planned_at > :at THEN s.planned_at ELSE :at END,
        schedule = :schedule
      RETURNING planned_at, task`,
    moveSchedule: `
      INSERT INTO ${prefix}schedules (namespace, service, api, schedule, planned_at, task)
      SELECT :toNamespace, :toService, :toApi, schedule, planned_at, task FROM ${prefix}schedules
      WHERE namespace = :namespace AND service = :service AND api = :api
      ON CONFLICT (namespace, service, api) DO NOTHING`,
    forgetSchedule: `
      DELETE FROM ${prefix}schedules WHERE namespace = :namespace AND service = :service AND api = :api`,
    notePlanned: `
      UPDATE ${prefix}schedules SET planned_at = :at, task = :task
      WHERE namespace = :namespace AND service = :service AND api = :api AND planned_at < :at`,
    readOnce: `
      SELECT token, holder, done_at, failure, lease_ends_at - :now AS lease_ms
      FROM ${prefix}onces WHERE namespace = :namespace AND name = :name`,
    beginOnce: `
      INSERT INTO ${prefix}onces AS o (namespace, name, token, holder, lease_ends_at)
      VALUES (:namespace, :name, :token, :holder, :now + :leaseMs)
      ON CONFLICT (namespace, name) DO UPDATE SET
        token = :token, holder = :holder, lease_ends_at = :now + :leaseMs, failure = NULL
      WHERE o.done_at IS NULL AND o.token = :after AND (o.lease_ends_at <= :now OR :isGone = 1)`,
    renewOnce: `
      UPDATE ${prefix}onces SET lease_ends_at = :now + :leaseMs
      WHERE namespace = :namespace AND name = :name AND token = :token AND done_at IS NULL AND failure IS NULL`,
    endOnce: `
      UPDATE ${prefix}onces SET
        done_at = CASE WHEN :failure IS NULL THEN :now END, failure = :failure, lease_ends_at = 0
      WHERE namespace = :namespace AND name = :name AND token = :token AND done_at IS NULL AND failure IS NULL`,
  }) as const;

/** Statements about held tasks and about tasks that move, for both engines. @param prefix Begins names of tables. */
export const createHoldTexts = (prefix: string) => {
  const isFrom = "t.namespace = :namespace AND t.service = :service AND t.api = :api";
  const hasTargetKey = `EXISTS (
    SELECT 1 FROM ${prefix}tasks AS o
    WHERE o.namespace = :toNamespace AND o.service = :toService AND o.api = :toApi AND o.key = t.key
  )`;
  return {
    hold: `
      UPDATE ${prefix}tasks AS t SET ${changes.hold} WHERE t.id = :id AND t.lease_token = :token
      RETURNING namespace, service, api`,
    resumeOne: `
      UPDATE ${prefix}tasks AS t SET ${changes.resume} WHERE t.id = :id AND t.status = 'held'
      RETURNING namespace, service, api`,
    resumeAll: `UPDATE ${prefix}tasks AS t SET ${changes.resume} WHERE ${isFrom} AND t.status = 'held'`,
    listHeld: `
      SELECT namespace, service, api, count(*) AS count FROM ${prefix}tasks WHERE status = 'held'
      GROUP BY namespace, service, api ORDER BY namespace, service, api LIMIT 1000`,
    freeKeys: `
      UPDATE ${prefix}tasks AS t SET key = NULL WHERE ${isFrom} AND t.ended_at IS NOT NULL AND ${hasTargetKey}`,
    move: `
      UPDATE ${prefix}tasks AS t SET ${changes.move}
      WHERE ${isFrom} AND NOT (t.ended_at IS NULL AND t.key IS NOT NULL AND ${hasTargetKey})`,
  } as const;
};

/** True in SQL for a task that can be claimed now. The indexes of both engines have exactly this condition. */
export const isReady = "status = 'pending' AND wake_at IS NULL";
