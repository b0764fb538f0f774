import type { FastifyInstance } from "fastify";
import { drawGraph } from "../graph/picture/draw-graph.js";
import type { FileStore } from "../held/file-store.js";
import { createHttpServer } from "../http/server.js";
import { loadModule } from "../load/load-module.js";
import type { AppFile } from "../options/app-file.js";
import type { AppAnswers, RuntimeOrder } from "../placement/control.js";
import type { Runtime } from "./runtime.js";

/** What the HTTP edge of a replica is made of. */
export interface ReplicaHttpDeps {
  readonly runtime: Runtime;
  readonly order: RuntimeOrder;
  readonly files: FileStore;
  /** Asks the supervisor about the whole app. */
  readonly ask: <What extends keyof AppAnswers>(what: What) => Promise<AppAnswers[What]>;
}

/** The HTTP server in front of one replica of the entry service. */
export interface ReplicaHttp {
  readonly inFlight: number;
  /** @param handle A bound socket, shared with the other replicas and owned by the supervisor. */
  listen(handle: unknown): Promise<void>;
  /** Takes no new connections; resolves when what was in flight is answered. */
  close(): Promise<void>;
  /** Cuts off what is left. */
  cut(): void;
}

/** Creates the HTTP edge of an entry replica; its calls stay in this process. */
export async function createReplicaHttp({ runtime, order, files, ask }: ReplicaHttpDeps): Promise<ReplicaHttp> {
  const { graph, log, time } = runtime;
  const { server } = order.settings;
  const { apis, version, description } = runtime.settingsOf(graph.entry);
  const configure = await loadPlugins(order.appFile);
  const http = await createHttpServer({
    graph,
    settings: server.http,
    server,
    apis,
    version,
    description,
    caller: runtime.entryCaller(),
    files,
    findFormerTask: (id) => runtime.findFormerTask(id),
    readiness: () => ask("readiness"),
    metrics: () => ask("metrics"),
    graphSvg: async () => drawGraph(graph, { settings: order.settings.services }),
    log,
    time,
    ...(configure && { configure }),
  });
  const cut = new AbortController();
  return {
    get inFlight() {
      return http.inFlight;
    },
    listen: (handle) => http.listenOn(handle),
    close: () => http.close(cut.signal),
    cut: () => cut.abort(),
  };
}

/** Functions can't be sent to a process, so it reads the author's app file itself. */
async function loadPlugins(appFile: string | undefined) {
  if (appFile === undefined) return undefined;
  const { fastify } = ((await loadModule(appFile))["default"] ?? {}) as AppFile;
  return fastify as ((fastify: FastifyInstance) => void | Promise<void>) | undefined;
}
