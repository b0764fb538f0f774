import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { RequestContext } from "../call/request-context.js";
import { fail } from "../failure/fail.js";
import { cutIdleSockets } from "./close-server.js";
import { discardRest } from "./discard-rest.js";
import type { Edge } from "./edge.js";
import { Exchange, type ExchangeObserver } from "./exchange.js";
import { writeFailure } from "./write-failure.js";

/** Opens an exchange for every request, also for the author's own routes and for what no route answers. */
export function openExchanges(edge: Edge, fastify: FastifyInstance): void {
  const observer = createObserver(edge);
  fastify.addHook("onRequest", (request, reply, done) => {
    openExchange(edge, observer, request, reply);
    if (request.headers.host === undefined && request.raw.httpVersion === "1.1") {
      writeFailure(edge, reply, fail("malformed_request", { problem: "it has no host header" }));
      return;
    }
    done();
  });
}

/** What is to be done when an exchange is over: one for all requests of a server. */
export function createObserver(edge: Edge): ExchangeObserver {
  return {
    onEnd(exchange, isComplete) {
      edge.inFlight--;
      if (exchange.watched !== undefined) edge.streams.remove(exchange.watched);
      if (edge.settings.accessLog) logRequest(edge, exchange, isComplete);
      if (exchange.reply.request.raw.complete === false) discardRest(edge.time, exchange.reply.request.raw);
      if (edge.isClosing) cutIdleSockets(edge);
    },
  };
}

const idForm = /^[\x21-\x7e]{1,128}$/;

export function openExchange(
  edge: Edge,
  observer: ExchangeObserver,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const given = request.raw.headers["x-request-id"];
  // Its headers are read when the call is made: hooks may add to them until then.
  const context = new RequestContext(undefined, typeof given === "string" && idForm.test(given) ? given : undefined);
  reply.header("x-request-id", context.id);
  edge.inFlight++;
  new Exchange(reply, context, observer);
}

function logRequest(edge: Edge, exchange: Exchange, isComplete: boolean): void {
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
  edge.log.info(fields, "request");
}
