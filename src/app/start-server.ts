import { systemClock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { ServiceClass } from "../define/depends.js";
import { drawGraph } from "../graph/draw-graph.js";
import type { Plan } from "../graph/plan.js";
import { createHttpServer } from "../http/server.js";
import { createLog, type LogOutput } from "../observe/log.js";
import { createMetrics } from "../observe/metrics.js";
import type { OptionSources } from "../options/resolve-options.js";
import type { ServerSettings, ServiceSettings } from "../options/settings.js";
import type { Progress } from "../supervisor/progress.js";
import { planApp } from "./plan-app.js";
import type { ServeOptions, Server } from "./serve-options.js";
import { type App, startApp } from "./start-app.js";

/** Does what `serve` promises. */
export function startServer(entry: ServiceClass, options: ServeOptions): Promise<Server> {
  const fastify = options.fastify ?? options.options?.fastify;
  return servePlan(planApp(entry, sourcesOf(options)), { ...options, ...(fastify && { fastify }) });
}

/** Starts what a plan says and serves it over HTTP; throws as `serve` does, but for `invalid_graph`. */
export async function servePlan(
  plan: Plan,
  options: Pick<ServeOptions, "fastify" | "log" | "onProgress">,
): Promise<Server> {
  const begun = systemClock.now();
  const { graph, settings } = plan;
  const { log, flush } = options.log === undefined ? createLog(settings.server.logLevel) : keepLog(options.log);
  const onProgress = options.onProgress ?? ((event) => logNotice(log, event));
  const app = await startApp(plan, { log, onProgress });
  try {
    const { apis, version, description } = settings.services.get(graph.entry) as ServiceSettings;
    const http = await createHttpServer({
      graph,
      settings: settings.server.http,
      server: settings.server,
      apis,
      version,
      description,
      caller: app.caller,
      readiness: () => app.readiness(),
      metrics: createMetrics(app.stats).read,
      graphSvg: async () => drawGraph(graph, { settings: settings.services }),
      log,
      ...(options.fastify && { configure: options.fastify }),
    });
    const { url, port } = await http.listen();
    onProgress({ kind: "listening", url, ms: systemClock.now() - begun });
    let closing: Promise<void> | undefined;
    const close = () => {
      closing ??= drainServer(app, http, settings.server, onProgress).finally(flush);
      return closing;
    };
    return { url, port, graph, close };
  } catch (error) {
    await app.stop();
    flush();
    throw error;
  }
}

/** A logger whose output is somebody else's to flush. */
const keepLog = (log: Logger): LogOutput => ({ log, flush: () => {} });

/** Where nobody follows the start, what an author should know goes to the log. */
function logNotice(log: Logger, event: Progress): void {
  if (event.kind === "notice") log.warn({}, event.message);
}

/** The edge first, so that nothing new comes in; then the services, callers before callees. */
async function drainServer(
  app: App,
  http: { close(cut: AbortSignal): Promise<void> },
  { drainTimeoutMs }: ServerSettings,
  onProgress: NonNullable<ServeOptions["onProgress"]>,
): Promise<void> {
  const inFlight = [...app.stats.edges.values()].reduce(
    (sum, edge) => (edge.caller === "http" ? sum + edge.inFlight : sum),
    0,
  );
  onProgress({ kind: "draining", inFlight });
  const limit = AbortSignal.timeout(drainTimeoutMs);
  const cut = new Promise<void>((resolve) => limit.addEventListener("abort", () => resolve(), { once: true }));
  const closed = http.close(limit);
  await Promise.race([closed, cut]);
  await app.stop(limit);
  await closed;
}

function sourcesOf({ port, host, options, env }: ServeOptions): OptionSources {
  const given = { ...options, ...(port !== undefined && { port }), ...(host !== undefined && { host }) };
  return {
    flags: {},
    env: env ?? process.env,
    appFile: { path: "serve()", value: given },
  };
}
