import { resolve } from "node:path";
import { nameApp } from "../app/plan-app.js";
import { silentLogger } from "../base/logger.js";
import { createTaskId } from "../call/task-state.js";
import { readSchedule, type Schedule } from "../define/schedule.js";
import { fail } from "../failure/failures.js";
import { pickNearest } from "../options/pick-nearest.js";
import { formatStore, openTaskStore } from "../tasks/open-store.js";
import type { OpenTasks, TaskPlace, TaskRecord, TaskStatus, TaskStore } from "../tasks/task-store.js";
import { decodeError, encodeError } from "../transport/wire-error.js";
import { type CommandContext, exitCodes, taskActions } from "./command.js";
import { formatFaults } from "./format-failure.js";
import { type LoadedApp, loadApp } from "./load-app.js";
import { formatColumns, formatDuration, type Output, type Style } from "./terminal.js";

/** Tasks that `list` shows without `--limit`. */
const defaultLimit = 50;
const maxLimit = 10_000;

type Action = (typeof taskActions)[number];

/** State of one run of the command. */
interface TaskWork {
  readonly context: CommandContext;
  readonly store: TaskStore;
  /** Namespace of the app. */
  readonly namespace: string;
  readonly own: readonly TaskPlace[];
  /** Schedules of its tasks. */
  readonly schedules: readonly NamedSchedule[];
  /** Location of the store, as text. */
  readonly place: string;
}

/** Schedule of a task, with the name of the task. */
interface NamedSchedule {
  readonly name: string;
  readonly schedule: Schedule;
}

/**
 * Runs `ekiben tasks`: works on the task store of an app, whether or not the app runs. Deletes no tasks, and cancels a
 * task in the same way as the app does.
 */
export async function runTasks(context: CommandContext): Promise<number> {
  const { action, about, file } = readWords(context.args.positionals);
  const app = await loadApp({ ...context.args, positionals: file === undefined ? [] : [file] }, context.env);
  const { err } = context.terminal;
  if (app.options.faults.length > 0) {
    err.write(formatFaults(app.options.faults, err));
    return exitCodes.failed.code;
  }
  const settings = app.options.settings.tasks;
  const storePlace = { settings, appFolder: app.appFolder, log: silentLogger };
  const store = await openTaskStore(storePlace);
  const namespace = settings.namespace || nameApp(resolve(app.file), app.graph.entry);
  const [own, schedules] = [listOwn(app, namespace), settings.schedules ? listSchedules(app) : []];
  const work = { context, store, namespace, own, schedules, place: formatStore(storePlace) };
  try {
    if (action === "list") await list(work);
    else if (action === "move") await move(work, about as [string, string]);
    else if (action === "retry" && apiForm.test(about[0] as string)) await resume(work, about[0] as string);
    else show(work, await act(work, action, about[0] as string));
    return exitCodes.ok.code;
  } finally {
    await store.close();
  }
}

function listOwn({ graph }: LoadedApp, namespace: string): TaskPlace[] {
  return [...graph.services.values()].flatMap(({ name, apis }) =>
    [...apis.values()].flatMap((own) => (own.kind === "task" ? [{ namespace, service: name, api: own.name }] : [])),
  );
}

function listSchedules({ graph }: LoadedApp): NamedSchedule[] {
  return [...graph.services.values()].flatMap(({ name, apis }) =>
    [...apis.values()].flatMap((own) => {
      const schedule = own.kind === "task" ? readSchedule(own.contract) : undefined;
      return schedule === undefined ? [] : [{ name: `${name}.${own.name}`, schedule }];
    }),
  );
}

interface Words {
  readonly action: Action;
  /** Id of a task; for `move` the names of two apis; for `retry` also the name of one. */
  readonly about: readonly string[];
  readonly file: string | undefined;
}

function readWords([first = "list", ...rest]: readonly string[]): Words {
  const action = taskActions.find((known) => known === first);
  if (action === undefined) {
    const nearest = pickNearest(first, taskActions);
    const problem = `tasks has no action ${first}${nearest === undefined ? "" : `; did you mean ${nearest}?`}`;
    throw fail("invalid_flag", { problem: `${problem} It takes ${taskActions.join(", ")}` });
  }
  const count = action === "list" ? 0 : action === "move" ? 2 : 1;
  const [about, [file, ...more]] = [rest.slice(0, count), rest.slice(count)];
  if (more.length > 0)
    throw fail("invalid_flag", { problem: `tasks ${action} got too many arguments: ${more.join(" ")}` });
  if (action === "move" && (about.length < 2 || about.some((name) => !apiForm.test(name)))) {
    const problem = `tasks move needs the old and the new name of a task api: Library.index Catalog.reindex`;
    throw fail("invalid_flag", { problem: about.length === 0 ? problem : `${problem}; got ${about.join(" ")}` });
  }
  const [id] = about;
  const isName = action === "retry" && id !== undefined && apiForm.test(id) && !/\.[cm]?[jt]sx?(:|$)/.test(id);
  if (count === 1 && !isName && (id === undefined || !/^[0-9a-f]{32}$/.test(id))) {
    const got = id === undefined ? "" : `, got ${id}`;
    const name = action === "retry" ? ", or the name of a task api, Library.index, for all held tasks of it" : "";
    throw fail("invalid_flag", { problem: `tasks ${action} needs the id of a task, 32 hex digits${name}${got}` });
  }
  return { action, about, file };
}

/** Pattern of `Service.task`. */
const apiForm = /^[^.\s]+\.[^.\s]+$/;

async function list(work: TaskWork): Promise<void> {
  const { context, store, own, place } = work;
  const { args, terminal } = context;
  const given = args.own.get("namespace");
  const namespace = given ?? work.namespace;
  const [service, api] = [args.own.get("service"), args.own.get("api")];
  const status = args.own.get("status") as TaskStatus | "held" | undefined;
  const records = await store.list({
    ...{ limit: readLimit(args.own.get("limit")), namespace },
    ...(service !== undefined && { service }),
    ...(api !== undefined && { api }),
    ...(status !== undefined && { status }),
  });
  // Tasks may exist under a name that the app no longer has, so names are checked only when nothing is found.
  if (records.length === 0 && given === undefined) {
    if (service !== undefined) refuseUnknown("service", service, [...new Set(own.map((one) => one.service))]);
    if (api !== undefined) refuseUnknown("api", api, [...new Set(own.map((one) => one.api))]);
  }
  const { out, err } = terminal;
  const isOwn = (record: TaskRecord) => own.some((one) => isSame(one, record));
  const now = Date.now();
  const remark = (record: TaskRecord) => (namespace === work.namespace ? formatOddity(record, isOwn(record), now) : "");
  if (args.own.get("format") === "json") {
    const shown = records.map((record) => ({ ...taskToJson(record), remark: remark(record) || undefined }));
    out.write(`${JSON.stringify(shown, undefined, 2)}\n`);
    return;
  }
  out.write(formatTasks(records, out, { now, remark }));
  err.write(formatSchedules(work.schedules, now));
  const open = await store.listOpen((one) => own.some((known) => isSame(known, one)));
  err.write(
    formatOpen({ place, namespace, open: open.filter((one) => one.namespace !== namespace || isGone(one, work)) }, err),
  );
}

const isGone = ({ namespace }: OpenTasks, work: TaskWork): boolean => namespace === work.namespace;

const isSame = (one: TaskPlace, other: TaskPlace): boolean =>
  one.namespace === other.namespace && one.service === other.service && one.api === other.api;

/** Returns a remark for operators about a task that its status does not show; `""` for none. */
function formatOddity({ status, isHeld, leaseEndsAt, notBefore }: TaskRecord, isOwn: boolean, now: number): string {
  if (!isOwn && (status === "pending" || status === "in_progress"))
    return "the app has no such task: move or cancel it";
  if (!isOwn) return "the app has no such task";
  if (isHeld) return "its stored input was refused: show it, then retry or cancel it";
  if (status === "pending" && notBefore > now) return `waits for ${formatDuration(notBefore - now)}`;
  if (leaseEndsAt !== undefined && leaseEndsAt < now) return "its replica is gone; it will run again";
  return "";
}

function refuseUnknown(what: string, name: string, known: readonly string[]): void {
  if (known.includes(name)) return;
  const nearest = pickNearest(name, known);
  const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
  const names = known.length === 0 ? "none" : known.join(", ");
  throw fail("invalid_flag", { problem: `no ${what} with tasks is named ${name}${hint} There are ${names}` });
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return defaultLimit;
  const limit = Number(text);
  if (/^\d{1,5}$/.test(text) && limit >= 1 && limit <= maxLimit) return limit;
  throw fail("invalid_flag", { problem: `--limit is ${text}; it takes a whole number from 1 to ${maxLimit}` });
}

/**
 * Assigns the tasks of one api to another. The app must have the target, and must not have the origin: the tasks of
 * both could not be distinguished afterwards.
 */
async function move(
  { context, store, namespace, own }: TaskWork,
  [from, to]: readonly [string, string],
): Promise<void> {
  const target = toPlace(to, namespace);
  const origin = toPlace(from, context.args.own.get("namespace") ?? namespace);
  if (!own.some((one) => isSame(one, target)))
    refuseUnknown(
      "task",
      to,
      own.map(({ service, api }) => `${service}.${api}`),
    );
  if (own.some((one) => isSame(one, origin))) {
    throw fail("invalid_flag", {
      problem: `the app has the task ${from} itself: only tasks of one that it has no more are moved`,
    });
  }
  const count = await store.move(origin, target);
  const [rest] = await store.listOpen((one) => !isSame(one, origin));
  const left = rest === undefined ? 0 : rest.waiting + rest.running + rest.held;
  const { out } = context.terminal;
  if (context.args.own.get("format") === "json") {
    out.write(`${JSON.stringify({ moved: count, left })}\n`);
    return;
  }
  out.write(`${count} ${count === 1 ? "task was" : "tasks were"} moved from ${from} to ${to}\n`);
  if (left === 0) return;
  const reason = `${to} has tasks with their keys, and the same work would run twice; cancel them, or those of ${to}`;
  out.write(`${left} unfinished ${left === 1 ? "task was" : "tasks were"} left: ${reason}\n`);
}

/** Lets all held tasks of one api run again. */
async function resume({ context, store, namespace, own }: TaskWork, name: string): Promise<void> {
  const place = toPlace(name, namespace);
  if (!own.some((one) => isSame(one, place))) {
    refuseUnknown(
      "task",
      name,
      own.map(({ service, api }) => `${service}.${api}`),
    );
  }
  const count = await store.resume(place);
  const { out } = context.terminal;
  if (context.args.own.get("format") === "json") out.write(`${JSON.stringify({ resumed: count })}\n`);
  else
    out.write(`${count} held ${count === 1 ? "task" : "tasks"} of ${name} ${count === 1 ? "waits" : "wait"} to run\n`);
}

function toPlace(name: string, namespace: string): TaskPlace {
  const [service = "", api = ""] = name.split(".");
  return { namespace, service, api };
}

async function act(
  { store, own, namespace }: TaskWork,
  action: "show" | "cancel" | "retry",
  id: string,
): Promise<TaskRecord> {
  const record = await store.get(id);
  if (record === undefined) throw fail("unknown_task", { taskId: id });
  const { service, api, status } = record;
  switch (action) {
    case "show":
      return record;
    case "cancel": {
      const failure = encodeError(fail("task_canceled", { taskId: id }, { service, api }));
      return (await store.cancel(id, failure)) ?? record;
    }
    case "retry": {
      if (record.namespace === namespace && !own.some((one) => isSame(one, record))) {
        throw fail("task_api_gone", { taskId: id, api: `${service}.${api}`, status }, { service, api });
      }
      if (record.isHeld && (await store.resume({ id })) > 0) return { ...record, isHeld: false, failure: undefined };
      const retried = await store.retry(id, createTaskId());
      if (retried === undefined || retried.id === id) {
        throw fail("task_not_finished", { taskId: id, status }, { service, api });
      }
      return retried;
    }
  }
}

function show({ context: { args, terminal }, own, namespace }: TaskWork, record: TaskRecord): void {
  const { out } = terminal;
  const isOwn = record.namespace !== namespace || own.some((one) => isSame(one, record));
  const remark = formatOddity(record, isOwn, Date.now());
  if (args.own.get("format") === "json") {
    out.write(`${JSON.stringify({ ...taskToJson(record), remark: remark || undefined }, undefined, 2)}\n`);
  } else out.write(formatTask(record, out, { now: Date.now(), remark: () => remark }));
}

const styles: Readonly<Record<TaskStatus, Style>> = {
  pending: "yellow",
  in_progress: "cyan",
  completed: "green",
  failed: "red",
  canceled: "dim",
};

const formatStatus = ({ status, isHeld }: TaskRecord, paint: Output["paint"]): string =>
  isHeld ? paint("red", "held") : paint(styles[status], status);

/** Settings for showing tasks. */
export interface TaskView {
  readonly now: number;
  /** Returns a remark about a task; `""` for none. */
  readonly remark: (record: TaskRecord) => string;
}

/** Formats tasks as a table, one per line. */
export function formatTasks(records: readonly TaskRecord[], { paint }: Output, { now, remark }: TaskView): string {
  if (records.length === 0) return "no tasks\n";
  const rows = records.map((record) => [
    record.id,
    `${record.service}.${record.api}`,
    formatStatus(record, paint),
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

/** Formats one task, one line per known field. */
export function formatTask(record: TaskRecord, { paint }: Output, { now, remark }: TaskView): string {
  const failure = record.failure === undefined ? undefined : decodeError(record.failure);
  const asked = record.isCancelAsked && record.status === "in_progress" ? " (cancel requested)" : "";
  const lines: (readonly [string, string])[] = [
    ["id", record.id],
    ["api", `${record.service}.${record.api}`],
    ["status", formatStatus(record, paint) + asked],
    ["remark", remark(record)],
    ["namespace", record.namespace],
    ["key", record.key ?? ""],
    ["attempt", String(record.attempt)],
    ["progress", formatProgress(record)],
    ["note", record.note ?? ""],
    ["submitted", formatTime(record.createdAt, now)],
    ["started", record.startedAt === undefined ? "" : formatTime(record.startedAt, now)],
    ["ended", record.endedAt === undefined ? "" : formatTime(record.endedAt, now)],
    ["not before", record.status === "pending" && record.notBefore > now ? formatTime(record.notBefore, now) : ""],
    ["failure", failure === undefined ? "" : `${failure.id}: ${failure.message}`],
    ["incident", failure?.incident ?? ""],
  ];
  const shown = lines.filter(([, value]) => value !== "");
  return `${formatColumns(shown.map(([name, value]) => [paint("dim", name), value])).join("\n")}\n`;
}

/** Formats schedules, one per line, with the time of the next run. */
function formatSchedules(schedules: readonly NamedSchedule[], now: number): string {
  return schedules
    .map(
      ({ name, schedule: { text, next } }) => `${name} runs by itself: ${text}; next ${formatTime(next(now), now)}\n`,
    )
    .join("");
}

/** Facts that are shown below a list of tasks. */
export interface OpenView {
  /** Location of the store, as text. */
  readonly place: string;
  readonly namespace: string;
  /** Unfinished tasks that this app does not run. */
  readonly open: readonly OpenTasks[];
}

/** Formats the location of the shown tasks, and the unfinished tasks that the app does not run. */
export function formatOpen({ place, namespace, open }: OpenView, { paint }: Output): string {
  const where = paint("dim", `namespace ${namespace}, in ${place}`);
  const lines = open.map((one) => {
    const count = one.waiting + one.running + one.held;
    const what = `${count} unfinished ${count === 1 ? "task" : "tasks"} of ${one.service}.${one.api}`;
    return one.namespace === namespace
      ? `${what}, which the app does not have: ekiben tasks move ${one.service}.${one.api} <Service>.<task>`
      : `${what} in namespace ${one.namespace === "" ? "(none yet)" : one.namespace}`;
  });
  return `${[where, ...lines.map((line) => paint("yellow", line))].join("\n")}\n`;
}

/** Converts a task to JSON for other programs: times in ISO 8601, the failure decoded. */
export function taskToJson(record: TaskRecord): object {
  const { createdAt, startedAt, endedAt, notBefore, leaseEndsAt, failure } = record;
  const { waitsUntil: _, heldFor: __, isHeld, ...rest } = record;
  const time = (at: number | undefined) => (at === undefined ? undefined : new Date(at).toISOString());
  const read = failure === undefined ? undefined : decodeError(failure);
  return {
    ...rest,
    ...(isHeld && { isHeld }),
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

/** Formats the duration of the newest attempt. */
function formatTook({ startedAt, endedAt, status }: TaskRecord, now: number): string {
  if (startedAt === undefined || status === "pending") return "";
  return formatDuration(Math.max(0, (endedAt ?? now) - startedAt));
}
