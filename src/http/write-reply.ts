import type { FastifyReply } from "fastify";
import { PacedWork } from "../base/clock.js";
import { formatDisposition } from "../base/file-name.js";
import { isTensor } from "../define/tensor.js";
import { encodeJson } from "./encode-json.js";
import { exchangeOf } from "./exchange.js";
import type { HttpState } from "./http-state.js";
import { bytesType, npyType, textType } from "./media-type.js";
import { encodeNpy } from "./npy.js";
import { type AnswerForm, pickOffer } from "./output-form.js";
import { jsonType } from "./write-failure.js";

/** A response's body, ready to be sent. */
interface Answer {
  readonly contentType: string;
  readonly body: string | Buffer;
  /** Name of a file that is sent as the whole body. */
  readonly fileName?: string | undefined;
}

/**
 * Answers a request with the output of its api, in the form the client asked for. Waits only for the bytes of a blob;
 * everything else of the value has been read when this returns.
 *
 * @throws {ServingError} `not_json`, `not_acceptable`; nothing has been sent then.
 */
export function writeReply(
  http: HttpState,
  reply: FastifyReply,
  value: unknown,
  form: AnswerForm,
): Promise<void> | undefined {
  const answer = typeof value === "object" && value !== null ? encodeAnswer(value, form) : encodeScalar(value, form);
  if (answer instanceof Promise) return answer.then((encoded) => send(http, reply, encoded));
  send(http, reply, answer);
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
    // Copied: a slow client is still reading these bytes when the author may use the memory again.
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

function send(http: HttpState, reply: FastifyReply, { contentType, body, fileName }: Answer): void {
  const exchange = exchangeOf(reply);
  if (exchange.isEnded) return;
  if (http.isClosing) reply.header("connection", "close");
  if (fileName !== undefined) {
    // A file that a caller uploaded must not run as a page of this server.
    reply.header("x-content-type-options", "nosniff").header("content-disposition", formatDisposition(fileName));
  }
  if (body.length > stallableBytes) exchange.guardWriting(http.settings.bodyTimeoutMs);
  reply.header("content-type", contentType).send(body);
}

/** Bytes that fit in the socket's own buffer; they leave the process whether or not the client reads. */
const stallableBytes = 65_536;

/** Number of values up to which any answer is written within a few milliseconds. */
const shortCount = 5_000;
/** Milliseconds after which the event loop gets a turn. */
const turnMs = 8;

/**
 * Writes a value that `encodeJson` returned, like `JSON.stringify`. Writes a long value in pieces, with turns of the
 * event loop between them, and returns a promise.
 */
export function writeJson(value: unknown): string | Promise<string> {
  if (typeof value !== "object" || countDown(value, shortCount) >= 0) return JSON.stringify(value);
  return new JsonWriter().write(value);
}

class JsonWriter {
  readonly #pieces: string[] = [];
  readonly #work = new PacedWork(turnMs);

  async write(value: unknown): Promise<string> {
    await this.#writeAny(value);
    return this.#pieces.join("");
  }

  async #writeAny(value: unknown): Promise<void> {
    if (typeof value !== "object" || value === null || countDown(value, shortCount) >= 0)
      this.#pieces.push(JSON.stringify(value));
    else if (Array.isArray(value)) await this.#writeList(value);
    else await this.#writeFields(value as Record<string, unknown>);
  }

  /** Writes short items together, as many as make a piece. */
  async #writeList(list: readonly unknown[]): Promise<void> {
    const pieces = this.#pieces;
    let sign = "[";
    for (let from = 0; from < list.length; ) {
      pieces.push(sign);
      sign = ",";
      const to = endOfRun(list, from);
      if (to > from) pieces.push(JSON.stringify(list.slice(from, to)).slice(1, -1));
      else await this.#writeAny(list[from]);
      from = Math.max(to, from + 1);
      if (this.#work.isRestDue) await this.#work.rest();
    }
    pieces.push("]");
  }

  async #writeFields(fields: Record<string, unknown>): Promise<void> {
    const pieces = this.#pieces;
    let sign = "{";
    for (const key of Object.keys(fields)) {
      const value = fields[key];
      if (value === undefined) continue;
      pieces.push(sign, JSON.stringify(key), ":");
      sign = ",";
      await this.#writeAny(value);
      if (this.#work.isRestDue) await this.#work.rest();
    }
    pieces.push(sign === "{" ? "{}" : "}");
  }
}

/**
 * Returns the index after the last item that can be written together with the one at `from`; `from` when that item
 * alone is too long.
 */
function endOfRun(list: readonly unknown[], from: number): number {
  let left = shortCount;
  let at = from;
  while (at < list.length) {
    left = countDown(list[at], left);
    if (left < 0) break;
    at++;
  }
  return at;
}

/** @returns `left` minus the number of values in `value`; below 0 when there are more. */
function countDown(value: unknown, left: number): number {
  let rest = left - 1;
  if (typeof value !== "object" || value === null) {
    // A long text takes as long as many short values.
    return typeof value === "string" ? rest - (value.length >> 6) : rest;
  }
  if (Array.isArray(value)) {
    if (value.length > rest) return -1;
    for (let i = 0; i < value.length && rest >= 0; i++) {
      rest = typeof value[i] === "number" ? rest - 1 : countDown(value[i], rest);
    }
    return rest;
  }
  for (const key in value) {
    rest = countDown((value as Record<string, unknown>)[key], rest);
    if (rest < 0) return rest;
  }
  return rest;
}
