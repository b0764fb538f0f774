import type { FastifyReply } from "fastify";
import { encodeBase64 } from "../base/base64.js";
import { PacedWork } from "../base/clock.js";
import { formatDisposition } from "../base/file-name.js";
import {
  addStep,
  countVisit,
  formatValue,
  Refusal,
  refuseSparse,
  settlePromises,
  walkBounded,
} from "../call/value-walk.js";
import { isTensor, type Tensor } from "../define/tensor.js";
import { encodeInteger, encodeTensor } from "../define/tensor-forms.js";
import { fail } from "../failure/failures.js";
import { leaveConnection } from "./connection.js";
import { exchangeOf } from "./exchange.js";
import type { HttpState } from "./http-state.js";
import { bytesType, jsonBodyType, npyType, textType } from "./media-type.js";
import { encodeNpy } from "./npy.js";
import { type AnswerForm, type JsonForm, pickOffer } from "./output-form.js";

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
    ? { contentType: jsonBodyType, body }
    : body.then((text) => ({ contentType: jsonBodyType, body: text }));
}

async function encodeBlob(value: Blob, contentType: string): Promise<Answer> {
  const body = Buffer.from(await value.arrayBuffer());
  return { contentType, body, fileName: value instanceof File ? value.name : undefined };
}

function send(http: HttpState, reply: FastifyReply, { contentType, body, fileName }: Answer): void {
  const exchange = exchangeOf(reply);
  if (exchange.isEnded) return;
  if (http.isClosing) leaveConnection(reply);
  if (fileName !== undefined) {
    // A file that a caller uploaded must not run as a page of this server.
    reply.header("x-content-type-options", "nosniff").header("content-disposition", formatDisposition(fileName));
  }
  if (body.length > stallableBytes) exchange.guardWriting(http.settings.bodyTimeoutMs);
  reply.header("content-type", contentType);
  exchange.addResponse();
  reply.send(reply.statusCode !== 200 && isBodiless(reply.statusCode) ? "" : body);
}

/** True for statuses whose responses have no body (RFC 9110, section 15). */
const isBodiless = (status: number): boolean => status === 204 || status === 205 || status === 304;

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

/** Deepest nesting that is encoded. A deeper answer almost certainly contains itself. */
const maxDepth = 500;

interface Encoding extends JsonForm {
  /** True when the result must share nothing with the value, because it is written later. */
  readonly isOwn: boolean;
  /**
   * Objects whose `data` is filled in later, with the blobs that it comes from: a blob's bytes can only be read
   * asynchronously.
   */
  blobs: Map<{ data: string }, Blob> | undefined;
}

/**
 * Turns an answer into a value that `JSON.stringify` writes without loss.
 *
 * Tensors, bytes, dates, maps, sets and bigints get their JSON forms. A blob or file becomes `{ name?, contentType,
 * data }` with data in base64. A value that needs no conversion is returned as it is, not copied.
 *
 * @returns The value to stringify; a promise of it only when it holds blobs.
 * @throws {ServingError} `not_json`, naming the path, for NaN, infinities and other values that JSON would drop or
 *   change.
 */
export function encodeJson(value: unknown, { tensors }: JsonForm): unknown | Promise<unknown> {
  if (value === undefined) return null;
  try {
    const { encoded, blobs } = encodeRoot(value, { tensors, isOwn: false, blobs: undefined });
    return blobs === undefined ? encoded : encodeWithBlobs(value, tensors);
  } catch (error) {
    settlePromises(value);
    if (error instanceof Refusal) throw fail("not_json", { path: `output${error.path}`, what: error.what });
    throw error;
  }
}

function encodeRoot(value: unknown, start: Encoding): { encoded: unknown; blobs: Encoding["blobs"] } {
  return walkBounded(value, () => {
    const encoding = { ...start };
    return { encoded: encodeItem(value, "", encoding, 0), blobs: encoding.blobs };
  });
}

/** Encodes the value again as a copy: it may change while the bytes of its blobs are read. */
async function encodeWithBlobs(value: unknown, tensors: JsonForm["tensors"]): Promise<unknown> {
  const { encoded, blobs } = encodeRoot(value, { tensors, isOwn: true, blobs: undefined });
  for (const [target, blob] of blobs ?? []) {
    target.data = encodeBase64(new Uint8Array(await blob.arrayBuffer()));
  }
  return encoded;
}

/** @param step Step from the parent to the item, e.g. `".name"`. */
function encodeItem(item: unknown, step: string, encoding: Encoding, depth: number): unknown {
  switch (typeof item) {
    case "string":
    case "boolean":
      return item;
    case "number":
      if (Number.isFinite(item)) return item;
      return refuse(String(item), step);
    case "bigint":
      return encodeInteger(item);
    case "object":
      if (item === null) return null;
      return encodeObject(item, step, encoding, depth);
    default:
      return refuse(item === undefined ? "undefined" : `a ${typeof item}`, step);
  }
}

function refuse(what: string, step: string): never {
  const refusal = new Refusal(what);
  refusal.path = step;
  throw refusal;
}

function encodeObject(value: object, step: string, encoding: Encoding, depth: number): unknown {
  try {
    countVisit();
    if (depth > maxDepth) throw new Refusal(`nested more than ${maxDepth} levels deep, or contains itself`);
    if (Array.isArray(value)) return encodeArray(value, encoding, depth);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      if ("dtype" in value && isTensor(value)) return writeTensor(value, encoding);
      return encodeRecord(value as Record<string, unknown>, encoding, depth);
    }
    return encodeSpecial(value, encoding, depth);
  } catch (error) {
    throw addStep(error, step);
  }
}

function encodeSpecial(value: object, encoding: Encoding, depth: number): unknown {
  if (isTensor(value)) return writeTensor(value, encoding);
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new Refusal("an invalid Date");
    return value.toISOString();
  }
  if (value instanceof Uint8Array) return encodeBase64(value);
  if (value instanceof Blob) return encodeNestedBlob(value, encoding);
  if (value instanceof Map) return encodeMap(value, encoding, depth);
  if (value instanceof Set) return encodeArray([...value], encoding, depth);
  if (ArrayBuffer.isView(value)) throw new Refusal(`a ${value.constructor.name}; return a Tensor or an array`);
  throw new Refusal(formatValue(value));
}

function encodeArray(source: readonly unknown[], encoding: Encoding, depth: number): readonly unknown[] {
  refuseSparse(source);
  let target = encoding.isOwn ? source.slice() : undefined;
  for (let i = 0; i < source.length; i++) {
    const item = source[i];
    // Long lists are lists of numbers.
    if (typeof item === "number" && Number.isFinite(item)) continue;
    if (typeof item === "string") continue;
    const encoded = encodeItem(item, `[${i}]`, encoding, depth + 1);
    if (encoded !== item) (target ??= source.slice())[i] = encoded;
  }
  return target ?? source;
}

function encodeRecord(source: Record<string, unknown>, encoding: Encoding, depth: number): object {
  let target: Record<string, unknown> | undefined = encoding.isOwn ? { ...source } : undefined;
  for (const key of Object.keys(source)) {
    const item = source[key];
    // JSON drops such a field, which is the meaning of an undefined field.
    if (item === undefined || typeof item === "string") continue;
    const encoded = encodeItem(item, `.${key}`, encoding, depth + 1);
    if (encoded !== item) (target ??= { ...source })[key] = encoded;
  }
  return target ?? source;
}

function encodeMap(source: ReadonlyMap<unknown, unknown>, encoding: Encoding, depth: number): object {
  const entries: [string, unknown][] = [];
  for (const [key, item] of source) {
    if (typeof key !== "string") throw new Refusal(`a Map with a key of type ${typeof key}; JSON has only string keys`);
    entries.push([key, encodeItem(item, `.${key}`, encoding, depth + 1)]);
  }
  // `Object.fromEntries` defines properties, so `__proto__` is a plain key.
  return Object.fromEntries(entries);
}

function writeTensor(value: Tensor, { tensors }: Encoding): unknown {
  if (tensors === "base64") return encodeTensor(value);
  if (value.shape.length === 0) return encodeElement(value, 0);
  return nestElements(value, 0, 0, value.data.length);
}

/** Returns the elements `from` to `from + size` as nested lists, of the dimensions from `depth` on. */
function nestElements(value: Tensor, depth: number, from: number, size: number): readonly unknown[] {
  const count = value.shape[depth] as number;
  const list = new Array<unknown>(count);
  const step = count === 0 ? 0 : size / count;
  const isInnermost = depth === value.shape.length - 1;
  for (let i = 0; i < count; i++) {
    list[i] = isInnermost ? encodeElement(value, from + i) : nestElements(value, depth + 1, from + i * step, step);
  }
  return list;
}

function encodeElement(value: Tensor, at: number): number | string {
  const element = value.data[at] as number | bigint;
  if (typeof element === "bigint") return encodeInteger(element);
  if (Number.isFinite(element)) return element;
  const refusal = new Refusal(`${element}, which only binary forms of a tensor carry`);
  refusal.path = elementPath(value.shape, at);
  throw refusal;
}

/** Formats an element's index as a path: 5 in shape [2, 3] → `"[1][2]"`. */
function elementPath(shape: readonly number[], at: number): string {
  let path = "";
  let rest = at;
  for (const dim of shape.toReversed()) {
    path = `[${rest % dim}]${path}`;
    rest = Math.floor(rest / dim);
  }
  return path;
}

function encodeNestedBlob(value: Blob, encoding: Encoding): unknown {
  const name = value instanceof File ? { name: value.name } : undefined;
  const encoded = { ...name, contentType: value.type || "application/octet-stream", data: "" };
  encoding.blobs ??= new Map();
  encoding.blobs.set(encoded, value);
  return encoded;
}
