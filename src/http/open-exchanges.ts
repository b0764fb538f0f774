import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { RequestContext } from "../call/request-context.js";
import { fail } from "../failure/fail.js";
import type { Edge } from "./edge.js";
import { Exchange, type ExchangeObserver } from "./exchange.js";
import { writeFailure } from "./write-failure.js";

/** Opens an exchange for every request, also for the author's own routes and for what no route answers. */
export function openExchanges(edge: Edge, fastify: FastifyInstance): void {
  const observer: ExchangeObserver = { onEnd: (exchange, isComplete) => endExchange(edge, exchange, isComplete) };
  fastify.addHook("onRequest", (request, reply, done) => {
    openExchange(request, reply, observer);
    if (request.headers.host === undefined && request.raw.httpVersion === "1.1") {
      writeFailure(edge, reply, fail("malformed_request", { problem: "it has no host header" }));
      return;
    }
    done();
  });
}

const idForm = /^[\x21-\x7e]{1,128}$/;

function openExchange(request: FastifyRequest, reply: FastifyReply, observer: ExchangeObserver): Exchange {
  const headers = Object.freeze(request.raw.headers) as Readonly<Record<string, string>>;
  const given = headers["x-request-id"];
  const context = new RequestContext(headers, given !== undefined && idForm.test(given) ? given : undefined);
  reply.header("x-request-id", context.id);
  return new Exchange(reply, context, observer);
}

function endExchange(edge: Edge, exchange: Exchange, isComplete: boolean): void {
  if (!edge.settings.accessLog) return;
  const { request, raw } = exchange.reply;
  const fields = {
    method: request.method,
    route: request.routeOptions.url ?? request.url,
    status: isComplete ? raw.statusCode : 499,
    ms: Math.round((performance.now() - exchange.startedAt) * 1000) / 1000,
    bytes: exchange.bodyBytes,
    requestId: exchange.context.id,
    ip: request.ip,
  };
  edge.log.info(fields, "request");
}
