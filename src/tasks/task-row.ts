import type { TaskRecord, TaskStatus } from "./task-store.js";

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
export function toKeptText(text: string | undefined): string | null {
  return text === undefined ? null : text.replaceAll("\0", "\ufffd").replace(/\p{Surrogate}/gu, "\ufffd");
}
