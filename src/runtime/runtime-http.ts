import type { FastifyInstance } from "fastify";
import { drawGraph } from "../graph/picture/draw-graph.js";
import { choosePages, type Probes } from "../http/probes.js";
import { createHttpServer, type HttpServer } from "../http/server.js";
import { loadModule } from "../load/load-module.js";
import type { AppFile, ReadContext } from "../options/app-file.js";
import type { Runtime } from "./runtime.js";

/** Adds an author's own Fastify plugins and routes. */
type ConfigureHttp = (fastify: FastifyInstance) => void | Promise<void>;

/** Functions of an app file. */
interface AppFunctions {
  readonly configure: ConfigureHttp | undefined;
  readonly context: ReadContext | undefined;
}

/** Differences between the HTTP server of an entry replica and the one of the main thread. */
interface RuntimeHttpOptions extends Probes, AppFunctions {}

/** Creates the HTTP server of one thread or process. It calls the entry service over the links of this runtime. */
export function createRuntimeHttp(
  runtime: Runtime,
  { configure, context, ...probes }: RuntimeHttpOptions,
): Promise<HttpServer> {
  const { server } = runtime.settings;
  return createHttpServer({
    ...commonParts(runtime, probes),
    settings: server.http,
    server,
    pages: choosePages(server, false),
    files: runtime.files,
    findFormerTask: (id) => runtime.tasks.findFormer(id),
    context,
    ...(configure && { configure }),
  });
}

/** Facts about the server of the apis, for the documents of the one on `adminPort`. */
interface AdminHttpOptions extends Probes {
  /** Returns its address. */
  readonly apiUrl: () => string;
  /** Function by which it finds out who is asking. */
  readonly documentedContext: ReadContext | undefined;
}

/**
 * Creates the server on `adminPort`: probes, metrics and documents, without apis and without the author's plugins.
 */
export function createAdminHttp(
  runtime: Runtime,
  { apiUrl, documentedContext, ...probes }: AdminHttpOptions,
): Promise<HttpServer> {
  const { server } = runtime.settings;
  return createHttpServer({
    ...commonParts(runtime, probes),
    // Probes and scrapes come every few seconds, and no page of another origin has a reason to read them.
    settings: { ...server.http, accessLog: false, cors: false },
    server: { host: server.adminHost, port: server.adminPort ?? 0, isAdmin: true },
    pages: choosePages(server, true),
    apiUrl,
    documentedContext,
  });
}

function commonParts(runtime: Runtime, { readiness, metrics }: Probes) {
  const { graph, settings, log, time, stats } = runtime;
  const { apis, version, description } = runtime.settingsOf(graph.entry);
  return {
    graph,
    apis,
    version,
    description,
    caller: runtime.entryCaller(),
    readiness,
    metrics,
    graphSvg: async () => drawGraph(graph, { settings: settings.services }),
    log,
    time,
    onRefusal: (status: number, failureId: string) => stats.countRefusal(status, failureId),
  };
}

/** Loads the functions of the app file: they can't be sent to another process. */
export async function loadFunctions(appFile: string | undefined): Promise<AppFunctions> {
  const exported = appFile === undefined ? undefined : (await loadModule(appFile))["default"];
  const { fastify, context } = (exported ?? {}) as AppFile;
  return { configure: fastify, context };
}
