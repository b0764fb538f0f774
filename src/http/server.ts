import { fastify as createFastify, type FastifyInstance } from "fastify";
import type { Logger } from "../base/logger.js";
import { type CallTime, systemTime } from "../call/call-scope.js";
import { fail } from "../failure/fail.js";
import type { Graph } from "../graph/graph.js";
import type { EntryCaller } from "../handle/pending-call.js";
import type { ApiSettings, HttpSettings } from "../options/settings.js";
import { answerFailure, answerNotFound } from "./answer-failure.js";
import { answerBrokenRequest } from "./broken-requests.js";
import type { Edge } from "./edge.js";
import { openExchanges } from "./open-exchanges.js";
import { addProbes, type Probes } from "./probes.js";
import { addApiRoutes } from "./routes.js";

/** What an HTTP server is made of. */
export interface HttpServerParts extends Probes {
  readonly graph: Graph;
  readonly settings: HttpSettings;
  readonly server: { readonly host: string; readonly port: number };
  /** Of the entry service. */
  readonly apis: ReadonlyMap<string, ApiSettings>;
  readonly caller: EntryCaller;
  readonly log: Logger;
  /** A drawing of the graph for `/docs`. */
  readonly graphSvg?: () => Promise<string>;
  /** The author's own plugins, hooks and routes; runs before ekiben's routes are added, so that hooks apply to them. */
  readonly configure?: (fastify: FastifyInstance) => void | Promise<void>;
  /** Default: the process's own. */
  readonly time?: CallTime;
}

/** The HTTP edge of an app. */
export interface HttpServer {
  /** The Fastify instance, ready: `inject()` answers without a port. */
  readonly fastify: FastifyInstance;
  /** @throws {ServingError} `port_in_use`. */
  listen(): Promise<{ readonly url: string; readonly port: number }>;
  /** Takes no new connections and no new calls, and resolves when what was in flight is answered and every socket closed. */
  close(): Promise<void>;
}

/** How long the request line and headers may take, in milliseconds. */
const headersTimeoutMs = 15_000;

/** Creates the HTTP server of an app; it does not listen yet. */
export async function createHttpServer(parts: HttpServerParts): Promise<HttpServer> {
  const { settings, caller, log, time = systemTime } = parts;
  const edge: Edge = { settings, caller, log, time, isClosing: false };
  const entry = parts.graph.services.get(parts.graph.entry);
  if (entry === undefined) throw fail("not_a_service", { what: parts.graph.entry });
  const fastify = createInstance(edge);
  openExchanges(edge, fastify);
  await parts.configure?.(fastify);
  fastify.setErrorHandler((error, request, reply) => answerFailure(edge, error, request, reply));
  await fastify.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    // The body is read by the api's own route, which knows what it may be; hooks before it see the stream.
    scope.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
    scope.setNotFoundHandler((request, reply) => answerNotFound(edge, entry, request, reply));
    addApiRoutes(edge, scope, entry);
    addProbes(edge, scope, parts);
  });
  await fastify.ready();
  return { fastify, listen: () => listen(fastify, parts.server), close: () => close(edge, fastify) };
}

function createInstance(edge: Edge): FastifyInstance {
  const { maxHeaderBytes, maxConnections, maxBodyBytes } = edge.settings;
  const fastify = createFastify({
    http: {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      connectionsCheckingInterval: 5_000,
      // Node would answer with an empty body; the exchange checks it.
      requireHostHeader: false,
    },
    logger: false,
    bodyLimit: maxBodyBytes,
    // Each body has a deadline of its own, which an honest slow upload may pass in total.
    requestTimeout: 0,
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, { maxHeaderBytes, headersTimeoutMs }),
    frameworkErrors: (error, request, reply) => answerFailure(edge, error, request, reply),
  });
  fastify.server.maxConnections = maxConnections;
  return fastify;
}

async function listen(fastify: FastifyInstance, { host, port }: { host: string; port: number }) {
  try {
    const url = await fastify.listen({ host, port });
    return { url, port: Number(new URL(url).port) };
  } catch (error) {
    if ((error as { code?: unknown }).code === "EADDRINUSE")
      throw fail("port_in_use", { host, port }, { cause: error });
    throw error;
  }
}

async function close(edge: Edge, fastify: FastifyInstance): Promise<void> {
  edge.isClosing = true;
  await fastify.close();
}
