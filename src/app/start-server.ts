import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { FastifyInstance } from "fastify";
import { createDeferred, type Deferred, systemClock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { ServiceClass } from "../define/depends.js";
import { toFileUrl } from "../define/service.js";
import type { ServingError } from "../failure/serving-error.js";
import type { Graph } from "../graph/graph.js";
import type { Plan } from "../graph/plan.js";
import { checkCertificate } from "../http/certificate.js";
import { choosePages, listProbes } from "../http/probes.js";
import type { HttpServer } from "../http/server.js";
import type { EntryLocation } from "../load/entry-location.js";
import { keepTickShape } from "../load/keep-compiled.js";
import { guardOutputs } from "../observe/guarded-output.js";
import { createLog, type LogOutput } from "../observe/log.js";
import type { SocketAddress } from "../options/address-types.js";
import type { AppFile } from "../options/app-file.js";
import type { OptionSources } from "../options/resolve-options.js";
import type { ServerSettings } from "../options/settings.js";
import { watchBackground } from "../runtime/background-failures.js";
import type { AppEvent, OnAppEvent } from "../supervisor/replica-state.js";
import { AdminServer } from "./admin-server.js";
import { type BindSocket, type BoundSocket, bindSocket } from "./bound-socket.js";
import type { EdgeListener } from "./edge-listener.js";
import { planApp, refuseStray } from "./plan-app.js";
import { answerStandIn, StandIn } from "./stand-in.js";
import { type App, type EntryEvents, type OpenedApp, startApp } from "./start-app.js";
import { closeOnSignals, holdProcess } from "./stop-signals.js";

const serveFields = {
  ...{ port: true, host: true, service: true, listen: true, context: true, fastify: true, options: true, env: true },
  ...{ from: true, log: true, onEvent: true, signals: true },
} satisfies Record<keyof ServeOptions, true>;

/** Starts an app and its HTTP server for `serve`. @param callers Returns the files that called it, as URLs. */
export function startServer(
  entry: ServiceClass,
  options: ServeOptions,
  callers: () => readonly string[],
): Promise<Server> {
  refuseStray(options, serveFields, "serve()");
  const { from } = options;
  const { fastify = options.options?.fastify, context = options.options?.context } = options;
  const plan = planApp(entry, sourcesOf(options));
  const search = { from, callers };
  const locateEntry = () => importEntryLocation().then((locate) => locate(entry, plan.appEntry, search));
  return servePlan(plan, {
    ...options,
    locateEntry,
    ...(from !== undefined && { appFolder: dirname(fileURLToPath(toFileUrl(from))) }),
    ...(fastify && { fastify }),
    ...(context && { context }),
  });
}

/** Arguments of `servePlan` besides the plan. */
interface ServePlanOptions extends Pick<ServeOptions, "fastify" | "context" | "log" | "onEvent" | "signals"> {
  /** Finds the author's code for replicas in threads and processes. */
  readonly locateEntry: () => Promise<EntryLocation>;
  /** Location of the code of single services, in a build. Default: one location for all. */
  readonly entries?: ReadonlyMap<string, EntryLocation> | undefined;
  /** Folder beside which the app keeps its tasks. Default: the folder of the file that defines its entry service. */
  readonly appFolder?: string;
  /** File that was started, which names the app's tasks. Default: the script that runs. */
  readonly program?: string;
  /** Id that versions of an app share when they replace one another under `--watch`. */
  readonly session?: string | undefined;
  /** App file with `fastify` or `context`, for replicas that answer HTTP themselves. */
  readonly appFile?: string | undefined;
  /** Returns a socket that outlives this server. Default: the server binds a socket of its own. */
  readonly bind?: BindSocket | undefined;
  /** True when only the app runs in this process, as under `ekiben serve`. Default `false`. */
  readonly ownsProcess?: boolean;
}

/** Starts the app of a plan and serves it over HTTP. Throws as `serve` does, except for `invalid_graph`. */
export async function servePlan(given: Plan, options: ServePlanOptions): Promise<Server> {
  const plan = given.settings.server.listen === undefined ? given : addProbePort(given);
  const { server } = plan.settings;
  checkCertificate(server.http);
  guardOutputs();
  keepTickShape();
  const { log, flush } = options.log === undefined ? createLog(server.logLevel) : keepLog(options.log);
  const admin = new AdminServer(server, options.bind, options.context);
  const deps: ServingDeps = {
    ...options,
    plan,
    onOpened: (opened) => admin.open(opened),
    log,
    logsTo: options.log === undefined ? "stdout" : "supervisor",
    onEvent: options.onEvent ?? ((event) => logNotice(log, event)),
    begun: systemClock.now(),
    departure: { hasBegun: false },
    entryGone: createDeferred<ServingError>(),
  };
  const endWatch = watchBackground({ log, ownsProcess: options.ownsProcess === true });
  const scarce = formatDescriptorLimit(server.http.maxConnections, readOpenFiles());
  if (scarce !== undefined) deps.onEvent({ kind: "notice", message: scarce });
  try {
    const serving = server.listen === undefined ? await serveHttp(deps, admin) : await serveEdge(deps, server.listen);
    const { url, port } = serving;
    admin.apiUrl = url;
    const closed = createDeferred<void>();
    // A server keeps its process alive until it is closed.
    void holdProcess(closed.promise);
    let endSignals = () => {};
    let closing: Promise<void> | undefined;
    const close = (how: CloseOptions = {}) => {
      deps.departure.hasBegun = true;
      const isDelayed = how.skipsDelay !== true && server.shutdownDelayMs > 0;
      closing ??= (isDelayed ? leave(deps).then(() => serving.close()) : serving.close())
        .finally(() => admin.close())
        .finally(flush)
        .finally(() => {
          endSignals();
          endWatch();
          closed.resolve();
        });
      return closing;
    };
    const failed = deps.entryGone.promise.then((error) => endFailed(log, error, () => close({ skipsDelay: true })));
    if (options.signals === true) endSignals = closeOnSignals((signal) => close({ skipsDelay: signal === "SIGINT" }));
    const { url: adminUrl } = admin;
    return { url, port, ...(adminUrl !== undefined && { adminUrl }), graph: plan.graph, failed, close };
  } catch (error) {
    await admin.close();
    endWatch();
    flush();
    throw error;
  }
}

/** Returns the address of the apis on a socket. */
const urlOf = ({ http }: ServerSettings, { url }: BoundSocket): string =>
  http.tlsCert === "" ? url : url.replace(/^http:/, "https:");

/** Reports the app as not ready for `shutdownDelayMs`, so that load balancers stop sending requests. */
async function leave({ plan, onEvent }: ServingDeps): Promise<void> {
  const { shutdownDelayMs } = plan.settings.server;
  onEvent({ kind: "leaving", delayMs: shutdownDelayMs });
  await new Promise<void>((resolve) => systemClock.setTimer(resolve, shutdownDelayMs, true));
}

/** Closes an app whose entry service is gone for good. The exit code 1 tells the process manager to act. */
async function endFailed(log: Logger, error: ServingError, close: () => Promise<void>): Promise<ServingError> {
  process.exitCode = 1;
  log.error({ service: error.service, fix: error.fix }, error.message);
  try {
    await close();
  } catch (err) {
    log.error({ err }, "the app did not stop in order");
  }
  return error;
}

interface ServingDeps extends ServePlanOptions {
  readonly plan: Plan;
  readonly log: Logger;
  readonly logsTo: "stdout" | "supervisor";
  readonly onEvent: OnAppEvent;
  readonly begun: number;
  /** State of the shutdown: once it has begun, `/readyz` reports that the app drains. */
  readonly departure: { hasBegun: boolean };
  readonly onOpened: (opened: OpenedApp) => Promise<void>;
  /** Resolved when the entry service had no replica for `exitAfterMs`. */
  readonly entryGone: Deferred<ServingError>;
}

interface Serving {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Distance of the default port of probes from the port at which other apps call. */
const probeDistance = 1_000;

/**
 * Gives an app that other apps call a port for its probes and metrics, if the options name none. Pages for callers over
 * HTTP are left out; `/schema.json` has the contract, to compare versions with.
 */
function addProbePort(plan: Plan): Plan {
  const { server } = plan.settings;
  const { port = 0, host = "" } = server.listen ?? {};
  const next = port + probeDistance;
  const { adminPort = port === 0 || next > 65_535 ? 0 : next } = server;
  // By default the probes are reached wherever the service is.
  const adminHost = server.adminHost === server.host ? host : server.adminHost;
  const http = { ...server.http, docs: false, openapi: false };
  return { ...plan, settings: { ...plan.settings, server: { ...server, adminPort, adminHost, http } } };
}

/** Serves the entry service to other apps, without HTTP apis. */
async function serveEdge(deps: ServingDeps, { host, port }: SocketAddress): Promise<Serving> {
  const { plan, onEvent, bind = bindSocket } = deps;
  const { drainTimeoutMs } = plan.settings.server;
  const socket = await bind(host, port, "edge");
  const entryEvents: EntryEvents = {
    onAbsent: () => {},
    onPresent: () => {},
    onGone: (error) => deps.entryGone.resolve(error),
  };
  let app: App | undefined;
  try {
    app = await startApp(plan, { ...deps, entryEvents, isCalled: true });
    const bound = await (app.edge as EdgeListener).listen({ host, port }, socket);
    onEvent({ kind: "listening", url: bound.url, ms: Math.round(systemClock.now() - deps.begun) });
    const { httpInFlight, stop } = app;
    const close = async () => {
      onEvent({ kind: "draining", inFlight: await httpInFlight() });
      await stop(AbortSignal.timeout(drainTimeoutMs));
    };
    return { ...bound, close };
  } catch (error) {
    if (app === undefined) socket?.close();
    await app?.stop();
    throw error;
  }
}

/** Serves the entry service over HTTP. */
async function serveHttp(deps: ServingDeps, admin: AdminServer): Promise<Serving> {
  const { server } = deps.plan.settings;
  const isByReplicas = isServedByReplicas(deps);
  const bind = deps.bind ?? (isByReplicas ? bindSocket : undefined);
  const bound = await bind?.(server.host, server.port, "apis");
  const socket = bound && { ...bound, url: urlOf(server, bound) };
  admin.apiUrl = socket?.url ?? "";
  return isByReplicas && socket !== undefined ? serveByReplicas(deps, socket) : serveHere(deps, socket);
}

/** True when replicas of the entry service answer HTTP themselves: they are processes and can load the functions. */
function isServedByReplicas({ plan, fastify, context, appFile }: ServingDeps): boolean {
  const entry = plan.deployments.find(({ descriptor }) => descriptor.name === plan.graph.entry);
  const hasFunctions = fastify !== undefined || context !== undefined;
  return entry?.residence === "process" && (!hasFunctions || appFile !== undefined);
}

async function serveByReplicas(deps: ServingDeps, socket: BoundSocket): Promise<Serving> {
  const { plan, log, onEvent } = deps;
  const { url, port, handle } = socket;
  const { server } = plan.settings;
  const standIn = new StandIn({
    handle,
    log,
    paths: listProbes(choosePages(server, false)),
    host: server.host,
    allowedHosts: server.http.allowedHosts,
    certificate: server.http,
    answer: (what) => answerStandIn(app, what),
  });
  const entryEvents: EntryEvents = {
    onAbsent: () => standIn.start(),
    onPresent: () => void standIn.stop(),
    onGone: (error) => deps.entryGone.resolve(error),
  };
  let app: App;
  try {
    app = await startApp(plan, { ...deps, entryEvents, http: { appFile: deps.appFile, handle } });
    onEvent({ kind: "listening", url, ms: Math.round(systemClock.now() - deps.begun) });
    const close = async () => {
      onEvent({ kind: "draining", inFlight: await app.httpInFlight() });
      socket.close();
      await Promise.all([standIn.stop(), app.stop(AbortSignal.timeout(server.drainTimeoutMs))]);
    };
    return { url, port, close };
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * Serves HTTP in this process. The server reaches the entry service wherever it lives.
 *
 * @param socket Default: the server binds a socket of its own.
 */
async function serveHere(deps: ServingDeps, socket: BoundSocket | undefined): Promise<Serving> {
  const { plan, onEvent } = deps;
  const { graph, settings } = plan;
  const entryEvents: EntryEvents = {
    // Connections need no stand-in: this server answers with the failure of the call.
    onAbsent: () => {},
    onPresent: () => {},
    onGone: (error) => deps.entryGone.resolve(error),
  };
  const app = await startApp(plan, { ...deps, entryEvents, calls: [graph.entry] });
  try {
    // Loaded here: where replicas answer HTTP, this process needs no HTTP server.
    const { createRuntimeHttp } = await import("../runtime/runtime-http.js");
    const { readiness, metrics } = app;
    const { fastify: configure, context } = deps;
    const http = await createRuntimeHttp(app.runtime, { readiness, metrics, configure, context });
    const { url, port } = socket ?? (await http.listen());
    if (socket !== undefined) await http.listenOn(socket.handle);
    onEvent({ kind: "listening", url, ms: Math.round(systemClock.now() - deps.begun) });
    return { url, port, close: () => drainServer(app, http, settings.server, onEvent) };
  } catch (error) {
    await app.stop();
    throw error;
  }
}

const importEntryLocation = async () => (await import("../load/entry-location.js")).locateEntry;

/** Uses a logger of the program, which flushes its output itself. */
const keepLog = (log: Logger): LogOutput => ({ log, flush: () => {} });

/** Logs the notices of a start whose events nothing listens to. */
function logNotice(log: Logger, event: AppEvent): void {
  if (event.kind === "notice") log.warn({}, event.message);
}

/** Closes the HTTP server first, so that no new request arrives; then stops the services, callers before callees. */
async function drainServer(
  app: App,
  http: HttpServer,
  { drainTimeoutMs }: ServerSettings,
  onEvent: OnAppEvent,
): Promise<void> {
  onEvent({ kind: "draining", inFlight: http.inFlight });
  const limit = AbortSignal.timeout(drainTimeoutMs);
  const cut = new Promise<void>((resolve) => limit.addEventListener("abort", () => resolve(), { once: true }));
  const closed = http.close(limit);
  await Promise.race([closed, cut]);
  await app.stop(limit);
  await closed;
}

function sourcesOf({ port, host, service, listen, options, env }: ServeOptions): OptionSources {
  const own = Object.entries({ port, host, service, listen }).filter(([, value]) => value !== undefined);
  const given = { ...options, ...Object.fromEntries(own) };
  return {
    flags: {},
    env: env ?? process.env,
    appFile: { path: "serve()", value: given },
  };
}

/** Files that a process has open besides connections, with a margin. */
const otherFiles = 64;

/**
 * Formats a warning that connections may use up the file descriptors of a process.
 *
 * @param openFiles Limit of this process, which its replicas inherit; `undefined` when it can't be read.
 * @returns `undefined` when descriptors are left for other files.
 */
export function formatDescriptorLimit(maxConnections: number, openFiles: number | undefined): string | undefined {
  if (openFiles === undefined || openFiles >= maxConnections + otherFiles) return undefined;
  return (
    `ulimit -n is ${openFiles}, http.maxConnections ${maxConnections}: the process runs out of file descriptors before ` +
    `that many connections are open; raise the limit to ${maxConnections + otherFiles}, or set http.maxConnections to ${Math.max(1, openFiles - otherFiles)}`
  );
}

/**
 * Reads how many files and sockets this process may have open. Node has raised its own limit to the allowed maximum.
 */
export function readOpenFiles(): number | undefined {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // Not Linux: a report takes about 30 ms.
    const report = process.report.getReport() as { userLimits?: { open_files?: { soft: number | string } } };
    const soft = report.userLimits?.open_files?.soft;
    return typeof soft === "number" ? soft : undefined;
  }
}

/** Options of `serve()`; everything else about an app is an option in `options` (see `ekiben options`). */
export interface ServeOptions extends Pick<AppFile, "port" | "host" | "service" | "listen" | "context"> {
  /** Options as they stand in `ekiben.config.ts`. */
  readonly options?: AppFile;
  /** Adds an author's own Fastify plugins and routes beside the apis. */
  readonly fastify?: (fastify: FastifyInstance) => void | Promise<void>;
  /** Default: JSON lines on stdout, by pino. */
  readonly log?: Logger;
  /** Called with each event of the app's life, in order. */
  readonly onEvent?: OnAppEvent;
  /**
   * File that replicas in threads and processes load: `import.meta.url` in the file that exports the class or calls
   * `serve()`, or the URL or path of another file that exports the class. Tasks are kept beside it. Default: ekiben
   * looks for the file, first by the stack of `Service()`, then among all files that were loaded.
   */
  readonly from?: string | URL;
  /**
   * True when SIGINT, SIGTERM, SIGHUP and SIGQUIT close the server and then end the process with 0, as soon as all apps
   * of the process with this option are closed. A second signal ends it at once. The same signal within half a second
   * is ignored: Ctrl-C reaches every process of a terminal, and tsx and `node --watch` pass it on too. Default false.
   */
  readonly signals?: boolean;
  /** Environment with the `EKIBEN_…` variables. Default: that of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Options of `close()`. */
interface CloseOptions {
  /** True to close without waiting for `shutdownDelayMs`. Default false. */
  readonly skipsDelay?: boolean;
}

/** A running server. */
export interface Server {
  /** `"http://127.0.0.1:3000"`; with the option `listen` the address for other apps, `"tls://127.0.0.1:7000"`. */
  readonly url: string;
  readonly port: number;
  /** Address of the server on `adminPort`, for an app that has one. */
  readonly adminUrl?: string;
  readonly graph: Graph;
  /**
   * Resolves with the failure `entry_gone` when the app has ended by itself, since its entry service had no replica for
   * `exitAfterMs`. Everything is stopped then, and `process.exitCode` is 1. Never resolves otherwise.
   */
  readonly failed: Promise<ServingError>;
  /**
   * Reports that it is not ready for `shutdownDelayMs`, then takes no new request, answers accepted ones, and stops
   * every service. Repeated calls share one close.
   */
  close(options?: CloseOptions): Promise<void>;
}
