import type { Logger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import type { Lease, LeaseState, TaskKey, TaskPlace, TaskProgress, TaskRecord, TaskStatus } from "./task-store.js";

/** A row of the table of tasks as a driver gives it; PostgreSQL's gives large integers as texts. */
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
}

/** Columns of `TaskRow`, as a query names them. */
export const taskColumns: string = [
  ...["seq", "id", "service", "api", "status", "attempt", "created_at", "started_at", "ended_at", "not_before"],
  ...["progress", "note", "failure", "cancel_failure", "lease_token", "namespace", "wake_at", "key"],
]
  .map((column) => `t.${column}`)
  .join(", ");

const toTime = (value: number | string | null): number | undefined => (value === null ? undefined : Number(value));

/** What a row says of its task. */
export function toRecord(row: TaskRow): TaskRecord {
  return {
    id: row.id,
    namespace: row.namespace,
    service: row.service,
    api: row.api,
    status: row.status as TaskStatus,
    attempt: row.attempt,
    createdAt: Number(row.created_at),
    startedAt: toTime(row.started_at),
    endedAt: toTime(row.ended_at),
    notBefore: Number(row.not_before),
    progress: row.progress ?? undefined,
    note: row.note ?? undefined,
    failure: row.failure ?? undefined,
    isCancelAsked: row.cancel_failure !== null,
    leaseEndsAt: row.status === "in_progress" ? toTime(row.wake_at) : undefined,
    key: row.key ?? undefined,
  };
}

/** An author's text as both engines can keep it: NUL and halves of characters can't be. */
function toKeptText(text: string | undefined): string | null {
  return text === undefined ? null : text.replaceAll("\0", "\ufffd").replace(/\p{Surrogate}/gu, "\ufffd");
}

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

/** Says that a task was claimed in vain. It is left to the end of its lease, since trying again at once would fail again. */
export function logUnreadable(log: Logger, { id, service, api }: TaskRow, error: unknown): void {
  const fields = { err: error, task: id, service, api };
  log.error(fields, "the input of a task can't be read; its lease is left to run out");
}

/** The row of a task that a submit has found in place of its own; found by its id it says nothing of its input. */
export type KeyedRow = TaskRow & { readonly fingerprint?: string | null };

/** What whoever submitted it again is told. @throws {ServingError} `task_key_reused` where the key came with another input. */
export function readSubmitted(row: KeyedRow, key: TaskKey | undefined): TaskRecord {
  const { id: taskId, service, api, fingerprint } = row;
  if (key !== undefined && fingerprint != null && fingerprint !== key.fingerprint) {
    throw fail("task_key_reused", { key: key.text, taskId }, { service, api });
  }
  return toRecord(row);
}

/** Sets a field as `otherwise` says, or as `canceled` does where somebody asked the task to end. */
const unlessCanceled = (otherwise: string, canceled: string): string =>
  `CASE WHEN t.cancel_failure IS NULL THEN ${otherwise} ELSE ${canceled} END`;

/** Whether a task whose lease ran out has used up its attempts. */
const isSpent = "t.status = 'in_progress' AND t.attempt >= :maxAttempts";

const isPending = "t.status = 'pending'";
const noLease = "lease_token = NULL, lease_owner = NULL";

/**
 * How a task moves from one state to the next, as `SET` lists of SQL that both engines understand: `t` is its row, `:now`
 * the store's clock. Which rows a change is for, and what it locks, each engine says itself.
 *
 * `wake_at` is when the store must look at a task that nobody can claim now: a pending one whose time has not come, or a
 * running one whose lease runs out. A pending task without it can be claimed.
 */
export const changes = {
  /** The time of a pending task has come, or a lease ran out: it can be claimed again, or it has ended. */
  wake: `
    status = ${unlessCanceled(`CASE WHEN ${isSpent} THEN 'failed' ELSE 'pending' END`, "'canceled'")},
    failure = ${unlessCanceled(`CASE WHEN ${isSpent} THEN :lostFailure ELSE t.failure END`, "t.cancel_failure")},
    ended_at = ${unlessCanceled(`CASE WHEN ${isSpent} THEN :now END`, ":now")},
    wake_at = NULL, ${noLease}`,

  /** @param newToken SQL that gives each row another text. */
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

  /** Of a pending or running task: ends the one, asks the other to end. */
  cancel: `
    status = CASE WHEN ${isPending} THEN 'canceled' ELSE t.status END,
    failure = CASE WHEN ${isPending} THEN :failure ELSE t.failure END,
    ended_at = CASE WHEN ${isPending} THEN :now END,
    wake_at = CASE WHEN ${isPending} THEN NULL ELSE t.wake_at END,
    cancel_failure = CASE WHEN ${isPending} THEN NULL ELSE coalesce(t.cancel_failure, :failure) END`,
} as const;

/** Can be claimed now. The indexes of both engines have this very condition. */
export const isReady = "status = 'pending' AND wake_at IS NULL";
