import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import os from "node:os";
import { dirname, extname, join, relative, resolve } from "node:path";
import { findSecretWarnings, nameApp, planGraph } from "../app/plan-app.js";
import { silentLogger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import { checkGraph, type Finding } from "../graph/check-graph.js";
import { hasTaskStore, openTaskStore } from "../tasks/open-store.js";
import { type CommandContext, exitCodes } from "./command.js";
import { formatFinding } from "./format-failure.js";
import { type LoadedApp, loadApp } from "./load-app.js";

/** Runs `ekiben check`: reports all faults of an app without starting it. */
export async function runCheck(context: CommandContext): Promise<number> {
  const { args, env, terminal } = context;
  if (args.own.has("against")) return (await import("./run-contract.js")).runAgainst(context);
  if (args.own.has("json")) throw fail("invalid_flag", { problem: "--json of check goes with --against" });
  const app = await loadApp(args, env);
  const findings = [...(await checkApp(app)), ...(args.own.has("no-types") ? [] : await checkTypes(app.file))];
  for (const kind of ["fault", "warning", "note"] as const) {
    for (const finding of findings.filter((found) => found.kind === kind)) {
      terminal.out.write(formatFinding(finding, terminal.out));
    }
  }
  const faults = count(findings, "fault");
  const { services, edges } = app.graph;
  const summary = [
    `${services.size} services`,
    `${edges.length} edges`,
    `${faults} faults`,
    `${count(findings, "warning")} warnings`,
  ];
  const sign = faults === 0 ? terminal.out.paint("green", "ok") : terminal.out.paint("red", "not ok");
  terminal.out.write(`${sign}: ${summary.map((words) => words.replace(/^1 (\w+)s$/, "1 $1")).join(", ")}\n`);
  return (faults === 0 ? exitCodes.ok : exitCodes.failed).code;
}

const count = (findings: readonly Finding[], kind: Finding["kind"]): number =>
  findings.filter((finding) => finding.kind === kind).length;

async function checkApp(app: LoadedApp): Promise<Finding[]> {
  const { graph, options } = app;
  const { settings, report, faults, warnings, notes } = options;
  const machine = { cores: os.availableParallelism(), memoryBytes: os.totalmem() };
  const { notices } = planGraph(graph, settings);
  return [
    ...faults.map((fault): Finding => ({ ...fault, kind: "fault" })),
    ...[...warnings, ...findSecretWarnings(settings)].map((warning): Finding => ({ ...warning, kind: "warning" })),
    ...notes.map((note): Finding => ({ ...note, kind: "note" })),
    ...(await checkGraph({ graph, settings, report, machine })),
    ...(await checkTasks(app)),
    ...notices.map((message): Finding => ({ kind: "note", service: "", field: "", message, fix: "" })),
  ];
}

/**
 * Finds unfinished tasks that the app would never run, and held ones, if there is a task store. A store that does not
 * answer is reported as a note, because it is no fault of the app.
 */
export async function checkTasks({ graph, file, options, appFolder }: LoadedApp): Promise<Finding[]> {
  const settings = options.settings.tasks;
  const place = { settings, appFolder, log: silentLogger };
  if (options.faults.length > 0 || !hasTaskStore(place)) return [];
  const own = settings.namespace || nameApp(resolve(file), graph.entry);
  const isTask = (service: string, api: string) => graph.services.get(service)?.apis.get(api)?.kind === "task";
  try {
    const store = await openTaskStore(place);
    const [open, held] = await Promise.all([
      store.listOpen(({ namespace, service, api }) => namespace !== own || isTask(service, api)),
      store.listHeld(),
    ]).finally(() => store.close());
    const orphaned = open.map(({ service, api, waiting, running, held: kept }) => ({
      ...{ kind: "warning" as const, id: "orphaned_tasks", service, field: api },
      message: `${waiting + running + kept} unfinished tasks belong to ${service}.${api}, which the app does not have: they are never run`,
      fix: `Move them to the new name of the api (\`ekiben tasks move ${service}.${api} <Service>.<task>\`), or cancel them.`,
    }));
    const mine = held.filter(({ namespace, service, api }) => namespace === own && isTask(service, api));
    const refused = mine.map(({ service, api, count: kept }) => ({
      ...{ kind: "warning" as const, id: "held_tasks", service, field: api },
      message: `${kept} tasks of ${service}.${api} are held: a version of the app refused their stored input`,
      fix: `See the reason (\`ekiben tasks list --status held\`). When the contract takes them again: \`ekiben tasks retry ${service}.${api}\`.`,
    }));
    return [...orphaned, ...refused];
  } catch (error) {
    const message = `the task store could not be checked for tasks that are never run: ${(error as Error).message}`;
    return [{ ...{ kind: "note", id: "tasks_unchecked", service: "", field: "" }, message, fix: "" }];
  }
}

/** Time limit of the compiler. */
const maxTypesMs = 300_000;

/** Checks the types of a service file with the TypeScript and the tsconfig.json of its own project. */
export async function checkTypes(file: string): Promise<Finding[]> {
  if (!/^\.[cm]?tsx?$/.test(extname(file))) return [note("types were not checked: this is JavaScript", "")];
  const path = resolve(file);
  const compiler = findUpwards(dirname(path), "node_modules/typescript/bin/tsc");
  const project = findUpwards(dirname(path), "tsconfig.json");
  if (compiler === undefined) {
    return [note("types were not checked: the project has no TypeScript", "npm install --save-dev typescript")];
  }
  if (project === undefined) {
    return [note("types were not checked: there is no tsconfig.json", "npx tsc --init --strict")];
  }
  const { status, output } = await runCompiler(compiler, project);
  const shown = relative(process.cwd(), project);
  if (status === undefined) return [note(`types were not checked: tsc did not end within ${maxTypesMs} ms`, "")];
  const isIncluded = output.split("\n").some((line) => resolve(line.trim()) === path);
  const faults = parseDiagnostics(output);
  if (status !== 0 && faults.length === 0) {
    return [fault(shown, `tsc failed: ${output.trim().split("\n").at(-1) ?? ""}`, `Run: npx tsc --noEmit -p ${shown}`)];
  }
  if (isIncluded) return faults;
  return [note(`types were not checked: ${shown} does not include ${file}`, `Add it to "include" in ${shown}.`)];
}

const note = (message: string, fix: string): Finding => ({ kind: "note", service: "", field: "", message, fix });
const fault = (field: string, message: string, fix: string): Finding => ({
  kind: "fault",
  service: "",
  field,
  message,
  fix,
});

/** Returns the nearest file with this name, in `folder` or above it. */
function findUpwards(folder: string, name: string): string | undefined {
  const file = join(folder, name);
  if (existsSync(file)) return file;
  const parent = dirname(folder);
  return parent === folder ? undefined : findUpwards(parent, name);
}

/** Makes one fault of each diagnostic: `service.ts(12,5): error TS2322: Type …` and the indented lines below it. */
function parseDiagnostics(output: string): Finding[] {
  const faults: Finding[] = [];
  for (const line of output.split("\n")) {
    const parts = /^(?:(.+?)\((\d+),(\d+)\): )?error (TS\d+: .*)$/.exec(line.trimEnd());
    if (parts !== null) {
      const [, file, row, column, message = ""] = parts;
      faults.push(fault(file === undefined ? "" : `${file}:${row}:${column}`, message, ""));
    }
    const last = faults.at(-1);
    if (parts === null && last !== undefined && /^\s+\S/.test(line)) {
      faults[faults.length - 1] = { ...last, message: `${last.message}\n    ${line.trimEnd()}` };
    }
  }
  return faults;
}

/** Runs the compiler. @returns Its exit status (`undefined` after the time limit) and all its output. */
function runCompiler(compiler: string, project: string): Promise<{ status: number | undefined; output: string }> {
  const args = [compiler, "--noEmit", "--pretty", "false", "--listFiles", "-p", project];
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], timeout: maxTypesMs });
    let output = "";
    const read = (chunk: Buffer) => {
      output += chunk;
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("error", reject);
    child.on("close", (status) => done({ status: status ?? undefined, output }));
  });
}
