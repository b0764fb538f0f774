import type { IncomingMessage } from "node:http";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { RequestContext } from "../call/call.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { cutIdleSockets } from "./close-server.js";
import { connectionOf, hostOf, leaveConnection } from "./connection.js";
import { discardRest, Exchange, type ExchangeObserver } from "./exchange.js";
import type { HttpState } from "./http-state.js";
import { isProbe } from "./probes.js";
import { writeFailure } from "./write-failure.js";

/** Opens an exchange for every request, including requests for the author's own routes and for unknown paths. */
export function openExchanges(http: HttpState, fastify: FastifyInstance): void {
  const observer = createObserver(http);
  fastify.addHook("onRequest", (request, reply, done) => {
    openExchange(http, observer, request, reply);
    const failure = messageFailure(http, request.raw);
    // A connection beyond the bound serves one request.
    if (http.room.isSpare(connectionOf(request.raw))) reply.raw.shouldKeepAlive = false;
    if (failure === undefined) {
      done();
      return;
    }
    // After an ambiguous message nobody can tell where the next one begins. A missing host header spoils its own
    // request only.
    if (request.raw.headers.host !== undefined) leaveConnection(reply);
    writeFailure(http, reply, failure);
  });
}

/** Returns the failure of a message that Node accepts but that must be refused. */
function messageFailure({ room, hosts: check }: HttpState, message: IncomingMessage): ServingError | undefined {
  const { rawHeaders, headers } = message;
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  // RFC 9112, section 3.2: a proxy in front may have used another host header than this server would.
  if (hosts > 1) return fail("malformed_request", { problem: `it has ${hosts} host headers` });
  if (hosts === 0 && message.httpVersion === "1.1")
    return fail("malformed_request", { problem: "it has no host header" });
  const host = hostOf(message);
  // RFC 9113, section 8.3.1: a proxy in front may have read the other one.
  if (hosts > 0 && host !== headers.host)
    return fail("malformed_request", { problem: "its :authority and its host header differ" });
  if (check !== undefined && host !== undefined && !check.allows(host)) return fail("host_not_allowed", { host });
  const encoding = headers["transfer-encoding"];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== "chunked") {
    return fail("unsupported_transfer_encoding", { encoding });
  }
  return room.isSpare(connectionOf(message)) && !isProbe(message.url) ? fail("too_many_connections", {}) : undefined;
}

/** Creates the observer that cleans up after each exchange; one for all requests of a server. */
export function createObserver(http: HttpState): ExchangeObserver {
  return {
    onEnd(exchange, isComplete) {
      http.inFlight--;
      http.room.end(exchange.connection);
      if (exchange.watched !== undefined) http.streams.remove(exchange.watched);
      if (http.settings.accessLog) logRequest(http, exchange, isComplete);
      if (exchange.reply.request.raw.complete === false) discardRest(http.time, exchange.reply.request.raw);
      if (http.isClosing) cutIdleSockets(http);
    },
  };
}

const idForm = /^[\x21-\x7e]{1,128}$/;

export function openExchange(
  http: HttpState,
  observer: ExchangeObserver,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const given = request.raw.headers["x-request-id"];
  // The headers are read when the call is made: hooks may change them until then.
  const context = new RequestContext(undefined, typeof given === "string" && idForm.test(given) ? given : undefined);
  reply.header("x-request-id", context.id);
  http.inFlight++;
  http.room.begin(new Exchange(reply, context, observer).connection);
}

function logRequest(http: HttpState, exchange: Exchange, isComplete: boolean): void {
  const { reply, failureId } = exchange;
  const { request, raw } = reply;
  const fields = {
    method: request.method,
    route: exchange.route ?? request.routeOptions.url ?? request.url,
    status: isComplete || failureId !== undefined ? raw.statusCode : 499,
    ms: Math.round((performance.now() - exchange.startedAt) * 1000) / 1000,
    bytes: exchange.bodyBytes || Number(reply.getHeader("content-length") ?? 0),
    requestId: exchange.context.id,
    ip: request.ip,
    ...(failureId !== undefined && { failure: failureId }),
  };
  http.log.info(fields, "request");
}
