import type { FastifyInstance } from "fastify";
import { drawGraph } from "../graph/picture/draw-graph.js";
import type { Probes } from "../http/probes.js";
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
  { readiness, metrics, configure, context }: RuntimeHttpOptions,
): Promise<HttpServer> {
  const { graph, settings, files, log, time } = runtime;
  const { apis, version, description } = runtime.settingsOf(graph.entry);
  return createHttpServer({
    graph,
    settings: settings.server.http,
    server: settings.server,
    apis,
    version,
    description,
    caller: runtime.entryCaller(),
    files,
    findFormerTask: (id) => runtime.tasks.findFormer(id),
    readiness,
    metrics,
    graphSvg: async () => drawGraph(graph, { settings: settings.services }),
    log,
    time,
    context,
    ...(configure && { configure }),
  });
}

/** Loads the functions of the app file: they can't be sent to another process. */
export async function loadFunctions(appFile: string | undefined): Promise<AppFunctions> {
  const exported = appFile === undefined ? undefined : (await loadModule(appFile))["default"];
  const { fastify, context } = (exported ?? {}) as AppFile;
  return { configure: fastify, context };
}
