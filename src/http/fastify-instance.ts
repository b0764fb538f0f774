import { fastify as createFastify, type FastifyInstance } from "fastify";
import { answerFailure } from "./answer-failure.js";
import { answerBrokenRequest } from "./broken-requests.js";
import type { Edge } from "./edge.js";
import { createObserver, openExchange } from "./open-exchanges.js";

/** How long the request line and headers may take at most, in milliseconds. */
const maxHeadersTimeoutMs = 15_000;

/** A Fastify instance with the edge's bounds, none of whose own answers escape the failure body. */
export function createInstance(edge: Edge): FastifyInstance {
  const { maxHeaderBytes, maxBodyBytes, bodyTimeoutMs, keepAliveMs } = edge.settings;
  const headersTimeoutMs = Math.min(maxHeadersTimeoutMs, bodyTimeoutMs);
  const observer = createObserver(edge);
  const fastify = createFastify({
    http: {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersTimeoutMs,
      connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 3),
      // Node would answer with an empty body; the exchange checks it.
      requireHostHeader: false,
    },
    logger: false,
    bodyLimit: maxBodyBytes,
    // Each body has a deadline of its own, which an honest slow upload may pass in total.
    requestTimeout: 0,
    keepAliveTimeout: keepAliveMs,
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, { maxHeaderBytes, headersTimeoutMs }),
    // Raised before any hook has run.
    frameworkErrors(error, request, reply) {
      openExchange(edge, observer, request, reply);
      answerFailure(edge, { error, request, reply });
    },
  });
  // Who waits to hear whether a body is wanted hears it from the answer, when it is not (RFC 9110, section 10.1.1).
  fastify.server.on("checkContinue", (request, response) => {
    if (!(Number(request.headers["content-length"]) > maxBodyBytes)) response.writeContinue();
    fastify.server.emit("request", request, response);
  });
  // Any other expectation may be ignored.
  fastify.server.on("checkExpectation", (request, response) => fastify.server.emit("request", request, response));
  fastify.server.maxConnections = edge.room.limit;
  fastify.server.on("connection", (socket) => edge.room.enter(socket));
  return fastify;
}
