import type { OpenTasks, TaskRecord, TaskStatus } from "../tasks/task-store.js";
import { decodeError } from "../transport/wire-error.js";
import { formatColumns, formatDuration, type Output, type Style } from "./terminal.js";

const styles: Readonly<Record<TaskStatus, Style>> = {
  pending: "yellow",
  in_progress: "cyan",
  completed: "green",
  failed: "red",
  canceled: "dim",
};

/** How tasks are shown. */
export interface TaskView {
  readonly now: number;
  /** What should be known of a task besides; `""` for nothing. */
  readonly remark: (record: TaskRecord) => string;
}

/** Tasks as a table, one a line. */
export function formatTasks(records: readonly TaskRecord[], { paint }: Output, { now, remark }: TaskView): string {
  if (records.length === 0) return "no tasks\n";
  const rows = records.map((record) => [
    record.id,
    `${record.service}.${record.api}`,
    paint(styles[record.status], record.status),
    formatProgress(record),
    formatAge(record.createdAt, now),
    formatTook(record, now),
    paint("yellow", remark(record)),
  ]);
  const hasRemarks = records.some((record) => remark(record) !== "");
  const head = ["ID", "API", "STATUS", "PROGRESS", "AGE", "RAN FOR", "REMARK"];
  const columns = [head, ...rows].map((row) => (hasRemarks ? row : row.slice(0, -1)));
  return `${formatColumns(columns).join("\n")}\n`;
}

/** One task, a line for each thing that is known. */
export function formatTask(record: TaskRecord, { paint }: Output, { now, remark }: TaskView): string {
  const failure = record.failure === undefined ? undefined : decodeError(record.failure);
  const asked = record.isCancelAsked && record.status === "in_progress" ? " (asked to end)" : "";
  const lines: (readonly [string, string])[] = [
    ["id", record.id],
    ["api", `${record.service}.${record.api}`],
    ["status", paint(styles[record.status], record.status) + asked],
    ["remark", remark(record)],
    ["namespace", record.namespace],
    ["key", record.key ?? ""],
    ["attempt", String(record.attempt)],
    ["progress", formatProgress(record)],
    ["note", record.note ?? ""],
    ["submitted", formatTime(record.createdAt, now)],
    ["begun", record.startedAt === undefined ? "" : formatTime(record.startedAt, now)],
    ["ended", record.endedAt === undefined ? "" : formatTime(record.endedAt, now)],
    ["not before", record.status === "pending" && record.notBefore > now ? formatTime(record.notBefore, now) : ""],
    ["failure", failure === undefined ? "" : `${failure.id}: ${failure.message}`],
    ["incident", failure?.incident ?? ""],
  ];
  const shown = lines.filter(([, value]) => value !== "");
  return `${formatColumns(shown.map(([name, value]) => [paint("dim", name), value])).join("\n")}\n`;
}

/** What a list does not show. */
export interface OpenView {
  /** Where the store is. */
  readonly place: string;
  readonly namespace: string;
  /** Unfinished tasks that nobody of this app runs. */
  readonly open: readonly OpenTasks[];
}

/** Where the tasks are that were shown, and which others there are. */
export function formatOpen({ place, namespace, open }: OpenView, { paint }: Output): string {
  const where = paint("dim", `namespace ${namespace}, in ${place}`);
  const lines = open.map((one) => {
    const count = one.waiting + one.running;
    const what = `${count} unfinished ${count === 1 ? "task" : "tasks"} of ${one.service}.${one.api}`;
    return one.namespace === namespace
      ? `${what}, which the app does not have: ekiben tasks move ${one.service}.${one.api} <Service>.<task>`
      : `${what} in namespace ${one.namespace === "" ? "(none yet)" : one.namespace}`;
  });
  return `${[where, ...lines.map((line) => paint("yellow", line))].join("\n")}\n`;
}

/** A task as other programs read it: times in ISO 8601, the failure read. */
export function taskToJson(record: TaskRecord): object {
  const { createdAt, startedAt, endedAt, notBefore, leaseEndsAt, failure, ...rest } = record;
  const time = (at: number | undefined) => (at === undefined ? undefined : new Date(at).toISOString());
  const read = failure === undefined ? undefined : decodeError(failure);
  return {
    ...rest,
    ...{ createdAt: time(createdAt), startedAt: time(startedAt), endedAt: time(endedAt), notBefore: time(notBefore) },
    leaseEndsAt: time(leaseEndsAt),
    ...(read !== undefined && {
      failure: { id: read.id, code: read.code, message: read.message, incident: read.incident },
    }),
  };
}

const formatProgress = ({ progress }: TaskRecord): string =>
  progress === undefined ? "" : `${Math.round(progress * 100)}%`;

const formatAge = (at: number, now: number): string => formatDuration(Math.max(0, now - at));

const formatTime = (at: number, now: number): string => {
  const span = formatDuration(Math.abs(now - at));
  return `${new Date(at).toISOString()} (${at > now ? `in ${span}` : `${span} ago`})`;
};

/** Of the newest attempt. */
function formatTook({ startedAt, endedAt, status }: TaskRecord, now: number): string {
  if (startedAt === undefined || status === "pending") return "";
  return formatDuration(Math.max(0, (endedAt ?? now) - startedAt));
}
