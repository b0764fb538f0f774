import { resolve } from "node:path";
import { pino } from "pino";
import { planGraph } from "../app/plan-app.js";
import type { ServeOptions, Server } from "../app/serve-options.js";
import { systemClock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { ApiDescriptor, ServiceDescriptor } from "../define/descriptor.js";
import { formatServices } from "../graph/format-service.js";
import type { AppFile } from "../options/app-file.js";
import { type CommandContext, exitCodes } from "./command.js";
import { formatCurl } from "./format-curl.js";
import { formatFaults, formatFinding } from "./format-failure.js";
import { formatLog } from "./format-log.js";
import { type LoadedApp, loadApp } from "./load-app.js";
import { ProgressView } from "./progress-view.js";
import { watchSignals } from "./stop-signals.js";
import { formatColumns, formatDuration, type Output, type Terminal } from "./terminal.js";

/** `ekiben serve`: starts an app, says where it answers, and drains it on a signal. */
export async function runServe({ args, env, terminal }: CommandContext): Promise<number> {
  const begun = systemClock.now();
  const signals = watchSignals((text) => terminal.err.write(text));
  // Before the author's file, which may need tsx: its hooks would slow down the loading of all that comes after.
  const { servePlan } = await import("../app/start-server.js");
  const app = await loadApp(args, env);
  const { faults, warnings } = app.options;
  if (faults.length > 0) {
    terminal.err.write(formatFaults(faults, terminal.err));
    return exitCodes.failed.code;
  }
  for (const warning of warnings) terminal.err.write(formatFinding({ ...warning, kind: "warning" }, terminal.err));
  const plan = planGraph(app.graph, app.options.settings);
  const replicas = new Map(plan.deployments.map((own) => [own.descriptor.name, own.replicas]));
  const view = new ProgressView(app.graph, (name) => replicas.get(name) ?? 0, terminal.err);
  const entry = { file: resolve(app.file), service: app.graph.entry, isScript: false };
  const start: Starting["start"] = (options) =>
    servePlan(plan, {
      ...options,
      locateEntry: async () => entry,
      appFile: hasPlugins(app) ? app.appFilePath && resolve(app.appFilePath) : undefined,
    });
  const server = await startServer(app, { view, terminal, start });
  if (server === undefined) return exitCodes.failed.code;
  view.end();
  terminal.err.write(formatReady({ app, server, ms: systemClock.now() - begun }, terminal.err));
  await signals.ready();
  const drainBegun = systemClock.now();
  await server.close();
  terminal.err.write(`stopped after ${formatDuration(systemClock.now() - drainBegun)}\n`);
  return exitCodes.ok.code;
}

const hasPlugins = ({ appFile }: LoadedApp): boolean => (appFile?.value as AppFile | undefined)?.fastify !== undefined;

interface Starting {
  readonly view: ProgressView;
  readonly terminal: Terminal;
  readonly start: (options: Pick<ServeOptions, "fastify" | "log" | "onProgress">) => Promise<Server>;
}

/** `undefined` when a service did not start; that has been shown by then. */
async function startServer(
  { appFile, options }: LoadedApp,
  { view, terminal, start }: Starting,
): Promise<Server | undefined> {
  const { out } = terminal;
  const { logLevel, drainTimeoutMs } = options.settings.server;
  const fastify = (appFile?.value as AppFile | undefined)?.fastify;
  let hasFailed = false;
  try {
    return await start({
      ...(fastify && { fastify }),
      ...(out.isTerminal && { log: createTerminalLog(logLevel, view, out) }),
      onProgress: (event) => {
        view.show(event);
        hasFailed ||= event.kind === "failed";
        if (event.kind === "draining") terminal.err.write(formatDraining(event.inFlight, drainTimeoutMs));
      },
    });
  } catch (error) {
    view.end();
    if (!hasFailed) throw error;
    terminal.err.write("nothing was left running\n");
    return undefined;
  }
}

function createTerminalLog(level: string, view: ProgressView, out: Output): Logger {
  const write = (line: string) => view.aside(() => out.write(formatLog(line, out)));
  return pino({ level }, { write }) as unknown as Logger;
}

function formatDraining(inFlight: number, drainTimeoutMs: number): string {
  const requests = `${inFlight} ${inFlight === 1 ? "request" : "requests"} in flight`;
  return `draining: ${requests}, at most ${formatDuration(drainTimeoutMs)}; Ctrl-C again ends at once\n`;
}

interface Ready {
  readonly app: LoadedApp;
  readonly server: Server;
  readonly ms: number;
}

/** Where the server answers, what it offers, and one call to try. */
function formatReady({ app: { graph, options }, server: { url }, ms }: Ready, output: Output): string {
  const { paint } = output;
  const entry = graph.services.get(graph.entry) as ServiceDescriptor;
  const services = formatServices(graph, { settings: options.settings.services });
  const { apis } = services.find(({ name }) => name === graph.entry) ?? { apis: [] };
  const rows = apis.map((api) => [
    `  POST ${paint("cyan", api.route)}`,
    `${api.input} -> ${api.isStream ? "stream of " : ""}${api.output}`,
  ]);
  const [first] = entry.apis.values();
  return [
    "",
    `${paint("green", "ready")} in ${formatDuration(ms)}  ${paint("bold", url)}`,
    "",
    ...formatColumns([...rows, [`  GET  ${paint("cyan", "/docs")}`, "every api, with a form to try it"]]),
    ...(first === undefined ? [] : ["", `  ${formatCurl(url, first as ApiDescriptor)}`]),
    "",
    "",
  ].join("\n");
}
