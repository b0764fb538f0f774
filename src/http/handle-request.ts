import type { FastifyReply, FastifyRequest } from "fastify";
import { fail } from "../failure/fail.js";
import type { ApiRoute } from "./api-route.js";
import type { Edge } from "./edge.js";
import { exchangeOf } from "./exchange.js";
import { readBody } from "./read-body.js";
import { writeFailure } from "./write-failure.js";
import { writeReply } from "./write-reply.js";

/** Serves one request for an api: reads its input, calls the entry service, writes what comes back. Never rejects. */
export async function handleRequest(
  edge: Edge,
  route: ApiRoute,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  try {
    if (edge.isClosing) throw fail("draining", { what: route.service });
    const exchange = exchangeOf(reply);
    const timeoutMs = readTimeout(request.headers["ekiben-timeout-ms"]);
    const input = await readBody(edge, route, request);
    const call = { input, route: route.path, request: exchange.context, ...timeoutMs };
    const pending = edge.caller.call(route.name, call);
    exchange.follow(pending.scope);
    const value = await pending.reply;
    await writeReply(edge, reply, value);
  } catch (error) {
    writeFailure(edge, reply, error);
  }
}

const timeoutForm = /^[1-9]\d{0,14}$/;

function readTimeout(value: string | string[] | undefined): { readonly timeoutMs: number } | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && timeoutForm.test(value)) return { timeoutMs: Number(value) };
  throw fail("invalid_header", {
    header: "ekiben-timeout-ms",
    value: String(value),
    expected: "a whole number of milliseconds, at least 1",
  });
}
