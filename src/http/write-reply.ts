import type { FastifyReply } from "fastify";
import type { Edge } from "./edge.js";
import { encodeJson } from "./encode-json.js";
import { exchangeOf } from "./exchange.js";
import { jsonType } from "./write-failure.js";

/** Answers a request with what its api returned. */
export async function writeReply(edge: Edge, reply: FastifyReply, value: unknown): Promise<void> {
  let encoded = encodeJson(value, { tensors: "lists" });
  if (encoded instanceof Promise) encoded = await encoded;
  send(edge, reply, jsonType, JSON.stringify(encoded));
}

function send(edge: Edge, reply: FastifyReply, contentType: string, body: string | Buffer): void {
  const exchange = exchangeOf(reply);
  if (exchange.isEnded) return;
  exchange.bodyBytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  if (edge.isClosing) reply.header("connection", "close");
  reply.header("content-type", contentType).send(body);
}
