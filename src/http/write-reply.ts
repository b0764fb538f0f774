import type { FastifyReply } from "fastify";
import { formatDisposition } from "../base/file-name.js";
import { isTensor } from "../define/tensor.js";
import type { Edge } from "./edge.js";
import { encodeJson } from "./encode-json.js";
import { exchangeOf } from "./exchange.js";
import { bytesType, npyType, textType } from "./media-type.js";
import { encodeNpy } from "./npy.js";
import { type AnswerForm, pickOffer } from "./output-form.js";
import { jsonType } from "./write-failure.js";
import { writeJson } from "./write-json.js";

/** The body of a response, ready to be sent. */
interface Answer {
  readonly contentType: string;
  readonly body: string | Buffer;
  /** Of a file that is sent as itself. */
  readonly fileName?: string | undefined;
}

/**
 * Answers a request with what its api returned, in the form the client asked for. Waits only for the bytes of a blob: all else
 * of the value has been read when this returns.
 *
 * @throws {ServingError} `not_json`, `not_acceptable`; nothing has been sent then.
 */
export function writeReply(
  edge: Edge,
  reply: FastifyReply,
  value: unknown,
  form: AnswerForm,
): Promise<void> | undefined {
  const answer = typeof value === "object" && value !== null ? encodeAnswer(value, form) : encodeScalar(value, form);
  if (answer instanceof Promise) return answer.then((encoded) => send(edge, reply, encoded));
  send(edge, reply, answer);
  return undefined;
}

const json = "application/json";

function encodeScalar(value: unknown, form: AnswerForm): Answer | Promise<Answer> {
  if (typeof value !== "string" || form.ranges === undefined) return encodeAsJson(value, form);
  if (pickOffer(form, [json, textType]) === json) return encodeAsJson(value, form);
  return { contentType: "text/plain; charset=utf-8", body: value };
}

function encodeAnswer(value: object, form: AnswerForm): Answer | Promise<Answer> {
  if (value instanceof Blob) {
    const contentType = value.type || bytesType;
    if (pickOffer(form, [contentType, json]) === json && contentType !== json) return encodeAsJson(value, form);
    return encodeBlob(value, contentType);
  }
  if (value instanceof Uint8Array) {
    if (pickOffer(form, [bytesType, json]) === json) return encodeAsJson(value, form);
    // A copy: what the client is slow to read is still read from there when the author uses its memory again.
    return { contentType: bytesType, body: Buffer.from(value) };
  }
  if (form.ranges !== undefined && isTensor(value)) {
    const offer = pickOffer(form, [json, npyType, "application/npy"]);
    if (offer !== json) return { contentType: offer, body: encodeNpy(value) };
  }
  return encodeAsJson(value, form);
}

function encodeAsJson(value: unknown, form: AnswerForm): Answer | Promise<Answer> {
  if (form.ranges !== undefined) pickOffer(form, [json]);
  const encoded = encodeJson(value, form);
  if (encoded instanceof Promise) return encoded.then(toJsonAnswer);
  return toJsonAnswer(encoded);
}

function toJsonAnswer(encoded: unknown): Answer | Promise<Answer> {
  const body = writeJson(encoded);
  return typeof body === "string"
    ? { contentType: jsonType, body }
    : body.then((text) => ({ contentType: jsonType, body: text }));
}

async function encodeBlob(value: Blob, contentType: string): Promise<Answer> {
  const body = Buffer.from(await value.arrayBuffer());
  return { contentType, body, fileName: value instanceof File ? value.name : undefined };
}

function send(edge: Edge, reply: FastifyReply, { contentType, body, fileName }: Answer): void {
  const exchange = exchangeOf(reply);
  if (exchange.isEnded) return;
  if (edge.isClosing) reply.header("connection", "close");
  if (fileName !== undefined) {
    // What a caller uploaded must not run as a page of this server's.
    reply.header("x-content-type-options", "nosniff").header("content-disposition", formatDisposition(fileName));
  }
  if (body.length > stallableBytes) exchange.guardWriting(edge.settings.bodyTimeoutMs);
  reply.header("content-type", contentType).send(body);
}

/** What fits in the socket's own buffer leaves the process whether or not the client reads it. */
const stallableBytes = 65_536;
