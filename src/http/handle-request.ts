import type { FastifyReply, FastifyRequest } from "fastify";
import { fail } from "../failure/fail.js";
import type { ApiRoute } from "./api-route.js";
import type { Edge } from "./edge.js";
import { exchangeOf } from "./exchange.js";
import { pickAnswer } from "./output-form.js";
import { readBody } from "./read-body.js";
import { writeFailure } from "./write-failure.js";
import { writeReply } from "./write-reply.js";
import { writeStream } from "./write-stream.js";

/**
 * Serves one request for an api: reads its input, calls the entry service, writes what comes back. Never rejects.
 *
 * Whatever can be refused is refused before the call is made.
 */
export async function handleRequest(
  edge: Edge,
  route: ApiRoute,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  try {
    const exchange = exchangeOf(reply);
    exchange.route = route.path;
    if (edge.isClosing) throw fail("draining", { what: route.service });
    const { headers } = request;
    const form = pickAnswer(route.output, headers.accept);
    const timeout = readTimeout(headers["ekiben-timeout-ms"]);
    const input = await readBody(edge, route, request);
    if (exchange.isEnded) return;
    const call = { input, route: route.path, request: exchange.context, ...timeout };
    if (route.kind === "stream") {
      const pending = edge.caller.open(route.name, call);
      exchange.follow(pending.scope);
      await writeStream(edge, reply, { items: pending.items, form, output: route.output, api: route });
    } else {
      const pending = edge.caller.call(route.name, call);
      exchange.follow(pending.scope);
      const written = writeReply(edge, reply, await pending.reply, form);
      if (written !== undefined) await written;
    }
  } catch (error) {
    writeFailure(edge, reply, error, route);
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
