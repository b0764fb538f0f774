import { dirname, resolve } from "node:path";
import { silentLogger } from "../base/logger.js";
import { createTaskId } from "../call/task-operation.js";
import { fail } from "../failure/fail.js";
import { pickNearest } from "../options/pick-nearest.js";
import { openTaskStore } from "../tasks/open-store.js";
import type { TaskRecord, TaskStatus, TaskStore } from "../tasks/task-store.js";
import { encodeError } from "../transport/wire-error.js";
import { type CommandContext, exitCodes, taskActions } from "./command.js";
import { formatFaults } from "./format-failure.js";
import { formatTask, formatTasks, taskToJson } from "./format-tasks.js";
import { type LoadedApp, loadApp } from "./load-app.js";

/** Tasks that `list` shows when nothing is said. */
const defaultLimit = 50;
const maxLimit = 10_000;

type Action = (typeof taskActions)[number];

/**
 * `ekiben tasks`: looks at the tasks of an app in its store; the app need not run. It never deletes one, and cancels only as the app
 * itself would.
 */
export async function runTasks(context: CommandContext): Promise<number> {
  const { action, id, file } = readWords(context.args.positionals);
  const app = await loadApp({ ...context.args, positionals: file === undefined ? [] : [file] }, context.env);
  const { err } = context.terminal;
  if (app.options.faults.length > 0) {
    err.write(formatFaults(app.options.faults, err));
    return exitCodes.failed.code;
  }
  const settings = app.options.settings.tasks;
  const store = await openTaskStore({ settings, appFolder: dirname(resolve(app.file)), log: silentLogger });
  try {
    if (action === "list") await list(context, app, store);
    else show(context, await act(store, action, id as string));
    return exitCodes.ok.code;
  } finally {
    await store.close();
  }
}

interface Words {
  readonly action: Action;
  readonly id: string | undefined;
  readonly file: string | undefined;
}

function readWords([first = "list", ...rest]: readonly string[]): Words {
  const action = taskActions.find((known) => known === first);
  if (action === undefined) {
    const nearest = pickNearest(first, taskActions);
    const problem = `tasks can't ${first}${nearest === undefined ? "" : `; did you mean ${nearest}?`}`;
    throw fail("invalid_flag", { problem: `${problem} It takes ${taskActions.join(", ")}` });
  }
  const [id, file, ...more] = action === "list" ? [undefined, ...rest] : rest;
  if (more.length > 0)
    throw fail("invalid_flag", { problem: `tasks ${action} got more than it takes: ${more.join(" ")}` });
  if (action !== "list" && (id === undefined || !/^[0-9a-f]{32}$/.test(id))) {
    const got = id === undefined ? "" : `, got ${id}`;
    throw fail("invalid_flag", { problem: `tasks ${action} needs the id of a task, 32 hex digits${got}` });
  }
  return { action, id, file };
}

async function list({ args, terminal }: CommandContext, { graph }: LoadedApp, store: TaskStore): Promise<void> {
  const service = args.own.get("service");
  const api = args.own.get("api");
  const status = args.own.get("status") as TaskStatus | undefined;
  const tasks = [...graph.services.values()].flatMap(({ name, apis }) =>
    [...apis.values()].filter(({ kind }) => kind === "task").map((own) => ({ service: name, api: own.name })),
  );
  if (service !== undefined) refuseUnknown("service", service, [...new Set(tasks.map((own) => own.service))]);
  if (api !== undefined) refuseUnknown("api", api, [...new Set(tasks.map((own) => own.api))]);
  const records = await store.list({
    limit: readLimit(args.own.get("limit")),
    ...(service !== undefined && { service }),
    ...(api !== undefined && { api }),
    ...(status !== undefined && { status }),
  });
  const { out } = terminal;
  if (args.own.get("format") === "json") out.write(`${JSON.stringify(records.map(taskToJson), undefined, 2)}\n`);
  else out.write(formatTasks(records, out, Date.now()));
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

async function act(store: TaskStore, action: Exclude<Action, "list">, id: string): Promise<TaskRecord> {
  const record = await store.get(id);
  if (record === undefined) throw fail("unknown_task", { taskId: id });
  const { service, api } = record;
  switch (action) {
    case "show":
      return record;
    case "cancel": {
      const failure = encodeError(fail("task_canceled", { taskId: id }, { service, api }));
      return (await store.cancel(id, failure)) ?? record;
    }
    case "retry": {
      const retried = await store.retry(id, createTaskId());
      if (retried === undefined || retried.id === id) {
        throw fail("task_not_finished", { taskId: id, status: record.status }, { service, api });
      }
      return retried;
    }
  }
}

function show({ args, terminal: { out } }: CommandContext, record: TaskRecord): void {
  if (args.own.get("format") === "json") out.write(`${JSON.stringify(taskToJson(record), undefined, 2)}\n`);
  else out.write(formatTask(record, out, Date.now()));
}
