import { relative, resolve } from "node:path";
import { pino } from "pino";
import { planGraph, type ResolvedApp } from "../app/plan-app.js";
import type { ServeOptions, Server } from "../app/start-server.js";
import { watchSignals } from "../app/stop-signals.js";
import { systemClock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { ApiDescriptor, ServiceDescriptor } from "../define/descriptor.js";
import { ServingError } from "../failure/serving-error.js";
import { formatOutput, formatServices } from "../graph/picture/format-service.js";
import type { Plan } from "../graph/plan.js";
import { guardOutputs } from "../observe/guarded-output.js";
import type { AppFile } from "../options/app-file.js";
import { type CommandContext, exitCodes } from "./command.js";
import { formatCurl } from "./format-curl.js";
import { formatFailure, formatFaults, formatFinding } from "./format-failure.js";
import { type LoadedApp, loadApp } from "./load-app.js";
import { ProgressView } from "./progress-view.js";
import { formatColumns, formatDuration, type Output, type Style, type Terminal } from "./terminal.js";
import { readProcess, watchParent } from "./watch/watch-parent.js";
import type { ReadyServer, Watcher } from "./watch/watcher.js";

/** Runs `ekiben serve`: starts an app, prints its address, and drains it when a signal or its parent asks. */
export async function runServe({ args, env, terminal, watcher }: CommandContext): Promise<number> {
  guardOutputs();
  const above = watcher ?? followTerminal(terminal, systemClock.now());
  // Loaded before the author's file: that file may need tsx, whose hooks slow down all later loading.
  const { servePlan } = await import("../app/start-server.js");
  const app = await loadApp(args, env);
  const { faults, warnings } = app.options;
  if (faults.length > 0) {
    terminal.err.write(formatFaults(faults, terminal.err));
    return exitCodes.failed.code;
  }
  if (app.envFile !== undefined) terminal.err.write(`environment: ${relative(process.cwd(), app.envFile)}\n`);
  for (const warning of warnings) terminal.err.write(formatFinding({ ...warning, kind: "warning" }, terminal.err));
  const plan = planGraph(app.graph, app.options.settings);
  const own = plan.deployments.filter(({ residence }) => residence !== "caller" && residence !== "elsewhere");
  const replicas = new Map(own.map((deployment) => [deployment.descriptor.name, deployment.replicas]));
  const view = new ProgressView(
    { ...plan.graph, services: servicesHere(plan) },
    (name) => replicas.get(name) ?? 0,
    toProgressOutput(terminal.err, watcher),
  );
  const entry = { file: resolve(app.file), service: app.graph.entry, earlier: [] };
  const drain = { isReplaced: false };
  const start: Starting["start"] = (options) =>
    servePlan(plan, {
      ...options,
      ownsProcess: true,
      locateEntry: async () => entry,
      entries: app.entries,
      appFolder: app.appFolder,
      program: entry.file,
      session: watcher && `watch of process ${process.ppid}`,
      appFile: hasFunctions(app) ? app.appFilePath && resolve(app.appFilePath) : undefined,
      bind: watcher?.bind,
    });
  const server = await startServer(app, { view, terminal, watcher, drain, start });
  if (server === undefined) return exitCodes.failed.code;
  view.end();
  const { url, adminUrl } = server;
  const format = plan.settings.server.listen === undefined ? formatApis : formatEdgeApis;
  const apis = format({ ...app, graph: plan.graph }, { url, adminUrl }, terminal.err);
  const told = above.ready({ url, adminUrl, apis });
  const end = await Promise.race([told, server.failed]);
  if (end instanceof ServingError) {
    terminal.err.write(formatFailure(end, terminal.err));
    return exitCodes.failed.code;
  }
  const { isReplaced, skipsDelay } = end;
  drain.isReplaced = isReplaced;
  const drainBegun = systemClock.now();
  await server.close({ skipsDelay });
  if (!isReplaced) terminal.err.write(`stopped after ${formatDuration(systemClock.now() - drainBegun)}\n`);
  return exitCodes.ok.code;
}

/** Services that start here, each by itself or with its callers. */
const servicesHere = ({ deployments }: Plan): ResolvedApp["graph"]["services"] =>
  new Map(
    deployments.flatMap(({ residence, descriptor }) =>
      residence === "elsewhere" ? [] : [[descriptor.name, descriptor] as const],
    ),
  );

/** Reports to the terminal that the app is ready, and resolves when a signal or the end of npm must drain it. */
function followTerminal({ err }: Terminal, begun: number): Pick<Watcher, "ready"> {
  const signals = watchSignals((text) => err.write(text));
  return {
    async ready(ready) {
      err.write(formatReady({ ...ready, ms: systemClock.now() - begun }, err));
      const asked = await Promise.race([signals.ready(), npmGone()]);
      if (asked === "npm is gone") err.write("npm has ended, so this process ends too\n");
      return { isReplaced: false, skipsDelay: asked === "SIGINT" };
    },
  };
}

function npmGone(): Promise<"npm is gone"> {
  const { env } = process;
  return new Promise((resolve) => {
    const onGone = () => resolve("npm is gone");
    watchParent({ clock: systemClock, env, readParentId: () => process.ppid, read: readProcess, onGone });
  });
}

/** Turns redrawing off for versions of `serve --watch`: they share one terminal and would overwrite each other. */
const toProgressOutput = (output: Output, watcher: Watcher | undefined): Output =>
  watcher === undefined ? output : { ...output, isTerminal: false };

/** Returns the functions of the app file. */
function readFunctions({ appFile }: Pick<LoadedApp, "appFile">): Pick<ServeOptions, "fastify" | "context"> {
  const { fastify, context } = (appFile?.value ?? {}) as AppFile;
  return { ...(fastify && { fastify }), ...(context && { context }) };
}

const hasFunctions = (app: LoadedApp): boolean => Object.keys(readFunctions(app)).length > 0;

interface Starting {
  readonly view: ProgressView;
  readonly terminal: Terminal;
  readonly watcher: Watcher | undefined;
  /** `isReplaced` is true when another version took over before the drain; the drain is then not reported. */
  readonly drain: { readonly isReplaced: boolean };
  readonly start: (options: Pick<ServeOptions, "fastify" | "context" | "log" | "onEvent">) => Promise<Server>;
}

/** Starts the server. @returns `undefined` when a service failed to start, which has been shown already. */
async function startServer(
  { appFile, options }: LoadedApp,
  { view, terminal, watcher, drain, start }: Starting,
): Promise<Server | undefined> {
  const { out } = terminal;
  const { logLevel, drainTimeoutMs } = options.settings.server;
  let hasFailed = false;
  try {
    return await start({
      ...readFunctions({ appFile }),
      ...(out.isTerminal && { log: createTerminalLog(logLevel, view, out) }),
      onEvent: (event) => {
        view.show(event);
        hasFailed ||= event.kind === "failed";
        if (event.kind === "leaving") terminal.err.write(formatLeaving(event.delayMs));
        if (event.kind !== "draining" || drain.isReplaced) return;
        terminal.err.write(formatDraining(event.inFlight, drainTimeoutMs));
      },
    });
  } catch (error) {
    view.end();
    if (!hasFailed) throw error;
    if (watcher === undefined) terminal.err.write("all services were stopped\n");
    return undefined;
  }
}

function createTerminalLog(level: string, view: ProgressView, out: Output): Logger {
  const write = (line: string) => view.aside(() => out.write(formatLog(line, out)));
  return pino({ level }, { write }) as unknown as Logger;
}

const formatLeaving = (delayMs: number): string =>
  `shutting down: /readyz answers 503; requests are accepted for another ${formatDuration(delayMs)}\n`;

function formatDraining(inFlight: number, drainTimeoutMs: number): string {
  const requests = `${inFlight} ${inFlight === 1 ? "request" : "requests"} in flight`;
  return `draining: ${requests}, limit ${formatDuration(drainTimeoutMs)}; press Ctrl-C again to end at once\n`;
}

/** Formats the apis of an app and one curl command to try. */
export function formatApis(
  { graph, options }: ResolvedApp,
  { url, adminUrl }: Pick<ReadyServer, "url" | "adminUrl">,
  { paint }: Output,
): string {
  const { docs, openapi } = options.settings.server.http;
  const entry = graph.services.get(graph.entry) as ServiceDescriptor;
  const services = formatServices(graph, { settings: options.settings.services });
  const { apis } = services.find(({ name }) => name === graph.entry) ?? { apis: [] };
  const rows = apis.map((api) => [`  POST ${paint("cyan", api.route)}`, `${api.input} -> ${formatOutput(api)}`]);
  const [first] = entry.apis.values();
  const page = [`  GET  ${paint("cyan", "/docs")}`, "all apis, with forms to try them"];
  const admin = [`  ${paint("cyan", adminUrl ?? "")}`, "probes, metrics, /docs (adminPort)"];
  if (adminUrl !== undefined) rows.push(admin);
  else if (docs && openapi) rows.push(page);
  return [
    ...formatColumns(rows),
    ...(first === undefined ? [] : ["", `  ${formatCurl(url, first as ApiDescriptor)}`]),
  ].join("\n");
}

/** Formats the apis of the service that other apps call, and the flag that such an app needs. */
function formatEdgeApis(
  { graph, options }: ResolvedApp,
  { url, adminUrl = "" }: Pick<ReadyServer, "url" | "adminUrl">,
  { paint }: Output,
): string {
  const { entry } = graph;
  const services = formatServices(graph, { settings: options.settings.services });
  const { apis } = services.find(({ name }) => name === entry) ?? { apis: [] };
  const rows = apis.map((api) => [
    `  ${paint("cyan", `${entry}.${api.name}`)}`,
    `${api.input} -> ${formatOutput(api)}`,
  ]);
  rows.push([`  ${paint("cyan", adminUrl)}`, "probes and metrics (adminPort)"]);
  return [...formatColumns(rows), "", `  ekiben serve <file> --at ${entry}=${url}`].join("\n");
}

/** Facts that are shown when an app is ready. */
export interface Ready {
  readonly url: string;
  /** Text made by `formatApis`. */
  readonly apis: string;
  readonly ms: number;
}

/** Formats the address of a ready server and its apis. */
export function formatReady({ url, apis, ms }: Ready, { paint }: Output): string {
  return `\n${paint("green", "ready")} in ${formatDuration(ms)}  ${paint("bold", url)}\n\n${apis}\n\n`;
}

const levels: Readonly<Record<number, readonly [name: string, style: Style]>> = {
  20: ["debug", "dim"],
  30: ["info", "green"],
  40: ["warn", "yellow"],
  50: ["error", "red"],
};

/** Fields of a pino line that the compact form shows at a fixed position or leaves out. */
const placed = new Set(["level", "time", "pid", "hostname", "msg", "service", "replica", "err"]);

/** Formats one JSON log line for a person: time, level, service, message, other fields; the stack of an error below. */
export function formatLog(line: string, output: Output): string {
  const fields = parseFields(line);
  if (fields === undefined) return line;
  const [level, style] = levels[Number(fields["level"])] ?? ["info", "green"];
  const time = new Date(Number(fields["time"])).toTimeString().slice(0, 8);
  const place = fields["replica"] ?? fields["service"];
  const rest = Object.entries(fields)
    .filter(([name]) => !placed.has(name))
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const { err } = fields;
  const stack = isFields(err) && typeof err["stack"] === "string" ? `\n${err["stack"]}` : "";
  const parts = [
    output.paint("dim", time),
    output.paint(style, level.padEnd(5)),
    ...(place === undefined ? [] : [output.paint("bold", String(place))]),
    ...(fields["msg"] === undefined ? [] : [String(fields["msg"])]),
    ...(rest.length === 0 ? [] : [output.paint("dim", rest.join(" "))]),
  ];
  return `${parts.join(" ")}${stack}\n`;
}

function parseFields(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isFields = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
