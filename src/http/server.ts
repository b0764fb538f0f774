import type { Server } from "node:http";
import type { Server as TlsServer } from "node:tls";
import cors, { type FastifyCorsOptions } from "@fastify/cors";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "../base/logger.js";
import { type CallTime, systemTime } from "../call/call-scope.js";
import type { ServiceDescriptor } from "../define/descriptor.js";
import { type TaskPath, taskPath, taskPaths } from "../define/task-paths.js";
import { fail } from "../failure/failures.js";
import type { Graph } from "../graph/graph.js";
import type { EntryCaller } from "../handle/call-target.js";
import type { FileStore } from "../held/file-store.js";
import type { ReadContext } from "../options/app-file.js";
import type { ApiSettings, HttpSettings } from "../options/settings.js";
import { addPlugins, type UnroutedAnswer } from "./add-plugins.js";
import { answerFailure, answerUnrouted, pathOf } from "./answer-failure.js";
import { Certificate } from "./certificate.js";
import { closeServer, cutSocketsOn, yieldSocket } from "./close-server.js";
import { addDocuments } from "./docs/documents.js";
import { ConnectionRoom } from "./exchange.js";
import { createInstance } from "./fastify-instance.js";
import { createRequestHandler, handleRequest } from "./handle-request.js";
import { createHostCheck } from "./host-check.js";
import { type ApiRoute, createApiRoute, type HttpState } from "./http-state.js";
import { bareHost, type ListenAddress, listenFailure } from "./listen-failure.js";
import { openExchanges } from "./open-exchanges.js";
import { addProbes, type Pages, type Probes } from "./probes.js";
import { leaveBody } from "./read-body.js";
import { BodyWatch } from "./read-bytes.js";
import { StreamWatch } from "./streams/stream-watch.js";
import { sendHead } from "./streams/write-stream.js";
import { readFormerRequest } from "./tasks/answer-former-task.js";
import { handleTask, submittedOutput } from "./tasks/handle-task.js";

/** Dependencies of an HTTP server. */
export interface HttpServerDeps extends Probes {
  readonly graph: Graph;
  readonly settings: HttpSettings;
  readonly server: ListenAddress;
  /** Default: all. */
  readonly pages?: Pages;
  /** Returns the address of the server of the apis, for the one on `adminPort`, which has none. Default: this one. */
  readonly apiUrl?: (() => string) | undefined;
  /** Function that the server of the apis asks, for documents of the one on `adminPort`. Default: `context`. */
  readonly documentedContext?: ReadContext | undefined;
  /** Settings of the entry service's apis. */
  readonly apis: ReadonlyMap<string, ApiSettings>;
  /** Version of the entry service; default `"0"`. */
  readonly version?: string;
  readonly description?: string;
  readonly caller: EntryCaller;
  /** Finds a task of an api that the app no longer has. Default: finds none. */
  readonly findFormerTask?: HttpState["findFormerTask"];
  /** Folder for large bodies. Default: bodies stay in memory. */
  readonly files?: FileStore | undefined;
  readonly onRefusal?: HttpState["onRefusal"];
  readonly log: Logger;
  /** Draws the graph for `/docs`. */
  readonly graphSvg?: () => Promise<string>;
  /**
   * Adds the author's own plugins, hooks and routes. Runs before ekiben's routes are added, so that hooks apply to
   * them.
   */
  readonly configure?: (fastify: FastifyInstance) => void | Promise<void>;
  /** Finds out who is asking, for each request to an api. Default: nobody asks. */
  readonly context?: ReadContext | undefined;
  /** Default: the time of the process. */
  readonly time?: CallTime;
}

/** The HTTP server of an app. */
export interface HttpServer {
  /** The Fastify instance, ready: `inject()` answers without a port. */
  readonly fastify: FastifyInstance;
  /** Requests whose response is not out yet. */
  readonly inFlight: number;
  /** Listens on the configured address. @throws {ServingError} See `listenFailure`. */
  listen(): Promise<{ readonly url: string; readonly port: number }>;
  /** Listens on a socket that another process has bound and shares. @throws {ServingError} See `listenFailure`. */
  listenOn(handle: unknown): Promise<void>;
  /**
   * Refuses new connections and calls. Resolves when everything in flight is answered and every socket is closed.
   * Requests that clients have already sent, and requests that open connections bring in the next moment, are also
   * answered.
   *
   * @param cut Cuts the open connections when it is aborted.
   */
  close(cut?: AbortSignal): Promise<void>;
}

/** Creates the HTTP server of an app; it does not listen yet. */
export async function createHttpServer(deps: HttpServerDeps): Promise<HttpServer> {
  const { settings, caller, log, time = systemTime } = deps;
  const { maxBodyBytes, bodyTimeoutMs, streamIdleMs, heartbeatMs, limitsFrom } = settings;
  const bodyTimeoutFrom = limitsFrom?.bodyTimeoutMs;
  const limits = { maxBodyBytes, bodyTimeoutMs, bodyTimeoutFrom, watch: new BodyWatch(time.clock, bodyTimeoutMs) };
  const streams = new StreamWatch(time.clock, { idleMs: streamIdleMs, heartbeatMs });
  const certificate = settings.tlsCert === "" ? undefined : new Certificate(settings, log, time.clock);
  const http: HttpState = {
    settings,
    caller,
    findFormerTask: deps.findFormerTask,
    context: deps.context,
    onRefusal: deps.onRefusal ?? (() => {}),
    log,
    time,
    limits,
    files: deps.files,
    streams,
    sockets: new Set(),
    certificate,
    room: new ConnectionRoom(settings.maxConnections),
    hosts: undefined,
    inFlight: 0,
    isClosing: false,
  };
  const entry = deps.graph.services.get(deps.graph.entry);
  if (entry === undefined) throw fail("not_a_service", { what: deps.graph.entry });
  const fastify = createInstance(http);
  fastify.server.on("listening", () => {
    certificate?.follow(fastify.server as unknown as TlsServer);
    http.hosts = createHostCheck(fastify.server.address(), deps.server.host, settings.allowedHosts);
  });
  openExchanges(http, fastify);
  fastify.setErrorHandler((error, request, reply) => answerFailure(http, { error, request, reply }));
  if (settings.cors !== false) await fastify.register(cors, corsOptions(settings.cors));
  await addPlugins(fastify, deps.configure, {
    add: (scope) => addRoutes(http, scope, entry, deps),
    ownerOf: (path) => ownerOf(path, entry),
  });
  let isShared = false;
  let closed: Promise<void> | undefined;
  const close = (cut?: AbortSignal) => {
    if (cut !== undefined) cutSocketsOn(http, cut);
    certificate?.close();
    closed ??= fastify.server.listening
      ? yieldSocket(fastify, http, isShared).then(() => closeServer(http, fastify))
      : closeServer(http, fastify);
    return closed;
  };
  return {
    fastify,
    get inFlight() {
      return http.inFlight;
    },
    listen: () => listen(fastify, deps.server),
    listenOn: (handle) => {
      isShared = true;
      return listenOn(fastify, handle, deps.server);
    },
    close,
  };
}

/** Adds ekiben's routes in a Fastify scope of their own, so that they do not share parsers with the author's routes. */
function addRoutes(
  http: HttpState,
  scope: FastifyInstance,
  entry: ServiceDescriptor,
  deps: HttpServerDeps,
): UnroutedAnswer {
  scope.removeAllContentTypeParsers();
  // JSON is named because Fastify would otherwise parse its media type for each request.
  scope.addContentTypeParser(["application/json", "*"], leaveBody);
  const known = new Map<string, string>();
  scope.addHook("onRoute", ({ method, url }) => {
    if (method === "POST") known.set(url.replaceAll("::", ":"), "POST, OPTIONS");
    else if (method === "GET") known.set(url.replaceAll("::", ":"), "GET, HEAD, OPTIONS");
    else if (method === "PUT") known.set(url.replaceAll("::", ":"), "PUT, OPTIONS");
  });
  const routes = [...entry.apis.values()].map((api) => createApiRoute(entry.name, api));
  if (deps.apiUrl === undefined) addApiRoutes(http, scope, routes);
  const { version = "0", description = "", pages = allPages } = deps;
  const context = deps.documentedContext ?? deps.context;
  addDocuments(scope, { ...deps, routes, version, description, pages, context });
  addProbes(http, scope, { ...deps, pages });
  return {
    knows: (request) => known.has(pathOf(request)) || readFormerRequest(request) !== undefined,
    answer: (request, reply) => answerUnrouted(http, known, request, reply),
  };
}

const allPages: Pages = { probes: true, metrics: true, docs: true, openapi: true, schema: true };

/** Names the owner of a path. */
function ownerOf(path: string, { name, apis }: ServiceDescriptor): string {
  const api = [...apis.values()].find(
    ({ route, kind }) => path === route || (kind === "task" && isTaskPath(path, route)),
  );
  return api === undefined ? "ekiben itself" : `api ${name}.${api.name}`;
}

const isTaskPath = (path: string, route: string): boolean =>
  (Object.keys(taskPaths) as TaskPath[]).some((what) => path === taskPath(route, what));

/**
 * Headers that a page of another origin may read: a client needs them to retry, to save a file, to report a failure.
 */
const exposedHeaders = ["x-request-id", "retry-after", "content-disposition"];

const corsOptions = (origins: true | readonly string[]): FastifyCorsOptions => ({
  origin: origins === true ? "*" : [...origins],
  methods: ["GET", "HEAD", "POST", "PUT"],
  exposedHeaders,
  maxAge: 600,
  strictPreflight: false,
});

/** Listens on a shared socket by Node's own server: Fastify has no such option. */
function listenOn({ server }: FastifyInstance, handle: unknown, address: ListenAddress) {
  return new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(listenFailure(error, address));
    });
    server.listen(handle as Server, resolve);
  });
}

async function listen(fastify: FastifyInstance, address: ListenAddress) {
  try {
    const url = await fastify.listen({ host: bareHost(address.host), port: address.port });
    return { url, port: Number(new URL(url).port) };
  } catch (error) {
    throw listenFailure(error, address);
  }
}

/** Adds the routes of the entry service's apis. */
function addApiRoutes(http: HttpState, fastify: FastifyInstance, routes: readonly ApiRoute[]): void {
  for (const route of routes) {
    // A colon begins a parameter in Fastify's paths; in an api's route it is a plain character.
    const path = route.path.replaceAll(":", "::");
    const errorHandler = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      answerFailure(http, { error, request, reply, route });
    const onSend = route.kind === "stream" ? { onSend: sendHead } : undefined;
    fastify.post(path, { errorHandler, ...onSend }, createRequestHandler(http, route));
    if (route.kind === "task") addTaskRoutes(http, fastify, { route, path, errorHandler });
  }
}

interface TaskRoutes {
  readonly route: ApiRoute;
  /** Path in Fastify's notation. */
  readonly path: string;
  readonly errorHandler: (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;
}

function addTaskRoutes(http: HttpState, fastify: FastifyInstance, { route, path, errorHandler }: TaskRoutes): void {
  for (const [what, method] of Object.entries(taskPaths) as [TaskPath, string][]) {
    const url = taskPath(path, what);
    const own = { submits: true, status: undefined, output: submittedOutput };
    const submission = { ...route, ...own, path: taskPath(route.path, what) };
    const handler = (_: FastifyRequest, reply: FastifyReply) =>
      what === "submit" ? handleRequest(http, submission, reply) : handleTask(http, route, what, reply);
    const onSend = what === "status" ? { onSend: sendHead } : undefined;
    fastify.route({ method, url, errorHandler, handler, ...onSend });
  }
}
