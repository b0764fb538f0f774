import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { fastify as createFastify, type FastifyInstance, type FastifyServerOptions } from "fastify";
import { optionText } from "../failure/failure-row.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { HttpSettings } from "../options/settings.js";
import { answerFailure } from "./answer-failure.js";
import { followConnections } from "./connection.js";
import type { HttpState } from "./http-state.js";
import { createObserver, openExchange } from "./open-exchanges.js";

/** Upper limit in milliseconds for the request line and the headers. */
const maxHeadersTimeoutMs = 15_000;

/**
 * Creates a Fastify instance with the bounds of the HTTP server. Every answer of Fastify's own gets the failure body.
 */
export function createInstance(http: HttpState): FastifyInstance {
  const { maxHeaderBytes, maxBodyBytes, bodyTimeoutMs, keepAliveMs, limitsFrom } = http.settings;
  const headersTimeoutMs = Math.min(maxHeadersTimeoutMs, bodyTimeoutMs);
  const isOwnLimit = maxHeadersTimeoutMs < bodyTimeoutMs;
  const headersLimit = isOwnLimit ? "ekiben's own limit" : optionText("http.bodyTimeoutMs", limitsFrom?.bodyTimeoutMs);
  const limits: HeaderLimits = { maxHeaderBytes, headersTimeoutMs, headersLimit, onRefusal: http.onRefusal };
  const observer = createObserver(http);
  const fastify = createFastify({
    ...protocolOptions(http, headersTimeoutMs),
    trustProxy: http.settings.trustProxy as Required<FastifyServerOptions>["trustProxy"],
    logger: false,
    bodyLimit: maxBodyBytes,
    // Each body has its own deadline. A slow but steady upload may take longer in total.
    requestTimeout: 0,
    keepAliveTimeout: keepAliveMs,
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, limits),
    // Fastify raises these before any hook has run.
    frameworkErrors(error, request, reply) {
      openExchange(http, observer, request, reply);
      answerFailure(http, { error, request, reply });
    },
  });
  if (http.settings.http2) boundHttp1(fastify.server, http.settings, headersTimeoutMs);
  // A client that waits for "100 Continue" gets the refusal itself when its body is too large (RFC 9110, section
  // 10.1.1).
  fastify.server.on("checkContinue", (request, response) => {
    if (!(Number(request.headers["content-length"]) > maxBodyBytes)) response.writeContinue();
    fastify.server.emit("request", request, response);
  });
  // Other expectations may be ignored.
  fastify.server.on("checkExpectation", (request, response) => fastify.server.emit("request", request, response));
  fastify.server.maxConnections = http.room.limit;
  const isSecure = http.certificate !== undefined;
  followConnections(fastify.server, isSecure, (connection) => {
    http.sockets.add(connection);
    connection.on("close", () => http.sockets.delete(connection));
    http.room.enter(connection);
  });
  return fastify;
}

/** Longest time to agree on TLS. A server that closes waits for it too. */
const handshakeTimeoutMs = 5_000;
/** Longest part of an HTTP/2 session that waits to be read or sent, in megabytes. */
const sessionMemory = 16;
/** Requests of one HTTP/2 session that are answered at the same time. */
const maxStreams = 128;

/** Returns the options of Node's server: plain, over TLS, or HTTP/2 over TLS with HTTP/1.1 for those who ask for it. */
function protocolOptions({ settings, certificate }: HttpState, headersTimeoutMs: number): object {
  const { maxHeaderBytes, http2, keepAliveMs } = settings;
  const bounds = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 3),
    // Node would answer with an empty body. `openExchanges` checks the header instead.
    requireHostHeader: false,
  };
  if (certificate === undefined) return { http: bounds };
  const secure = { ...bounds, ...certificate.pair, handshakeTimeout: handshakeTimeoutMs };
  if (!http2) return { https: secure };
  const limits = { maxConcurrentStreams: maxStreams, maxHeaderListSize: maxHeaderBytes };
  return {
    http2: true,
    http2SessionTimeout: keepAliveMs,
    https: { ...secure, allowHTTP1: true, maxSessionMemory: sessionMemory, settings: limits },
  };
}

/** Sets the bounds of HTTP/1.1 at a server of HTTP/2, which takes them only as properties. */
function boundHttp1(server: object, { maxHeaderBytes, keepAliveMs }: HttpSettings, headersTimeoutMs: number): void {
  Object.assign(server, {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.ceil(headersTimeoutMs / 3),
    requestTimeout: 0,
    keepAliveTimeout: keepAliveMs,
  });
}

/** Bounds that a broken request may have exceeded, and the counter of refusals. */
interface HeaderLimits {
  readonly maxHeaderBytes: number;
  readonly headersTimeoutMs: number;
  /** Option that set `headersTimeoutMs`, and its source. */
  readonly headersLimit: string;
  readonly onRefusal: HttpState["onRefusal"];
}

/** Answers bytes that never became a request (node's `clientError`) with a failure body, and closes the connection. */
function answerBrokenRequest(
  error: Error & { code?: string; bytesParsed?: number },
  socket: Socket,
  limits: HeaderLimits,
): void {
  if (awaited.has(socket)) return;
  // TLS was not agreed on: nothing can be written.
  if (socket instanceof TLSSocket && socket.getProtocol() === null) {
    socket.destroy();
    return;
  }
  const response = responseOf(socket);
  if (response?.req.complete && error.code !== "ECONNRESET" && socket.writable) {
    // The requests before it are answered first, each with its own answer.
    awaited.add(socket);
    response.once("close", () => {
      awaited.delete(socket);
      answerBrokenRequest(error, socket, limits);
    });
    return;
  }
  // A client that has sent nothing would take this answer for the answer to its next request.
  const isSilent = socket.bytesRead === 0;
  // A response that has begun can't be followed by another.
  if (error.code === "ECONNRESET" || !socket.writable || isSilent || response?.headersSent) {
    socket.destroy(error);
    return;
  }
  const failure = toFailure(error, limits);
  const { code, id, details } = failure;
  limits.onRefusal(failure.httpStatus, id);
  const body = JSON.stringify({ error: failure.message, code, id, service: "", api: "", details, requestId: "" });
  socket.end(
    `HTTP/1.1 ${failure.httpStatus} ${reasons[failure.httpStatus] ?? "Bad Request"}\r\n` +
      "content-type: application/json; charset=utf-8\r\n" +
      `content-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  );
}

/** Connections whose broken request waits for the answers before it. Later bytes of the connection are ignored. */
const awaited = new WeakSet<Socket>();

/** Returns the response that a connection is writing, or writes next. */
const responseOf = (socket: Socket) => (socket as Socket & { _httpMessage?: ServerResponse | null })._httpMessage;

function toFailure(error: Error & { code?: string; reason?: string }, limits: HeaderLimits): ServingError {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return fail("header_too_large", { maxHeaderBytes: limits.maxHeaderBytes });
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return fail("header_timeout", { timeoutMs: limits.headersTimeoutMs, setBy: limits.headersLimit });
    default:
      return fail("malformed_request", { problem: error.reason ?? error.message });
  }
}

const reasons: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};
