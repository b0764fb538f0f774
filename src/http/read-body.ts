import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import { cleanFileName, readFileName } from "../base/file-name.js";
import type { Tensor } from "../define/tensor.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { createHeldFile, openHeldBlob } from "../held/held-blob.js";
import type { HeldFile } from "../held/held-file.js";
import type { ApiRoute, HttpState } from "./http-state.js";
import type { InputForm } from "./input-form.js";
import {
  bytesType,
  decodeText,
  isJsonType,
  isNpyType,
  type MediaType,
  multipartType,
  parseMediaType,
  textType,
} from "./media-type.js";
import { decodeNpy, openNpy } from "./npy.js";
import { parseJsonInTurns } from "./parse-json.js";
import { type BytesReceiver, readBytes } from "./read-bytes.js";
import { readMultipart } from "./read-multipart.js";

/** Receives the input of a request or the error that prevented it, once. Neither method may throw. */
export interface BodyHandler {
  receive(input: unknown): void;
  refuse(error: unknown): void;
}

/**
 * Reads a request's body into the input of its api, unchecked; `undefined` when there is none.
 *
 * The result arrives by callback instead of a promise: on Node 20 each promise of a request costs as much as reading
 * its body.
 *
 * Refuses with `missing_body`, `unsupported_media_type`, `body_too_large`, `body_timeout`, `body_too_deep`,
 * `too_many_values`, `invalid_json`, `forbidden_key`, `inexact_number`, `invalid_multipart`, `invalid_npy`,
 * `unsupported_content_encoding`, `unreadable_body`.
 */
export function readBody(http: HttpState, { route, request, receiver }: InputReading): void {
  const { headers } = request;
  const source = request.body as Readable | null | undefined;
  const length = headers["content-length"];
  try {
    if (source === undefined || source === null || length === "0") {
      receiver.receive(readNothing(route));
      return;
    }
    const type = parseMediaType(headers["content-type"]);
    const isTaken = takes(route.input, type.essence);
    if (!isTaken && route.input.kind !== "none") throw refuseType(route, headers);
    refuseEncoding(request);
    const decoding = new BodyDecoding(http, { route, request, receiver }, isTaken ? type : undefined);
    const declared = source === request.raw ? length : undefined;
    const files = isTaken && isHeldWhole(route.input, type.essence, headers) ? http.files : undefined;
    readBytes(source, declared, { limits: http.limits, receiver: decoding, files });
  } catch (error) {
    receiver.refuse(error);
  }
}

/** Fastify's parser for every body: leaves it a stream. Hooks see the stream; `readBody` knows what the api takes. */
export function leaveBody(_: FastifyRequest, body: Readable, done: (error: null, body: Readable) => void): void {
  done(null, body);
}

/** One input to read, and its receiver. */
interface InputReading {
  readonly route: ApiRoute;
  readonly request: FastifyRequest;
  readonly receiver: BodyHandler;
}

/** Turns the bytes of a body into the input once they are complete. */
class BodyDecoding implements BytesReceiver {
  readonly #http: HttpState;
  readonly #reading: InputReading;
  /** `undefined` when the api takes no such body; the body must be empty then. */
  readonly #type: MediaType | undefined;

  constructor(http: HttpState, reading: InputReading, type: MediaType | undefined) {
    this.#http = http;
    this.#reading = reading;
    this.#type = type;
  }

  receive(bytes: Uint8Array): void {
    this.#receive(() => this.#decode(bytes));
  }

  receiveHeld(file: HeldFile, beginning: Uint8Array): void {
    const { route, request } = this.#reading;
    const type = this.#type as MediaType;
    this.#receive(() => decodeHeld(this.#http, route, { file, beginning, type, headers: request.headers }));
  }

  #receive(decode: () => unknown): void {
    const { receiver } = this.#reading;
    let input: unknown;
    try {
      input = decode();
    } catch (error) {
      receiver.refuse(error);
      return;
    }
    if (input instanceof Promise) {
      input.then(
        (read) => receiver.receive(read),
        (error) => receiver.refuse(error),
      );
    } else {
      receiver.receive(input);
    }
  }

  refuse(error: unknown): void {
    this.#reading.receiver.refuse(error);
  }

  #decode(bytes: Uint8Array): unknown {
    const { route, request } = this.#reading;
    if (bytes.length === 0) return readNothing(route);
    if (this.#type === undefined) throw refuseType(route, request.headers);
    return decodeBody(this.#http, route, { bytes, type: this.#type, headers: request.headers });
  }
}

interface ReceivedBody {
  readonly bytes: Uint8Array;
  readonly type: MediaType;
  readonly headers: IncomingHttpHeaders;
}

function decodeBody(http: HttpState, route: ApiRoute, body: ReceivedBody): unknown {
  const { bytes, type, headers } = body;
  const { essence, charset } = type;
  const { input } = route;
  if (essence === multipartType) return readMultipart(http, input, bytes, headers["content-type"] as string);
  if (isFileItself(input, essence) || (input.kind === "any" && fileNameOf(headers) !== undefined)) {
    return createFile(body);
  }
  if (isJsonType(essence)) return parseJsonInTurns(decodeText(bytes, charset, "invalid_json"), http.settings);
  if (isNpyType(essence)) return toTensor(decodeNpy(bytes));
  if (essence === textType) return decodeText(bytes, charset, "invalid_input");
  return essence === bytesType ? asBytes(bytes) : createFile(body);
}

/** A body that lies in a file. */
interface HeldBody extends Omit<ReceivedBody, "bytes"> {
  readonly file: HeldFile;
  /** Its first bytes. */
  readonly beginning: Uint8Array;
}

async function decodeHeld(http: HttpState, { input }: ApiRoute, body: HeldBody): Promise<unknown> {
  const { file, beginning, type, headers } = body;
  if (type.essence === multipartType) return readMultipart(http, input, file, headers["content-type"] as string);
  if (isNpyType(type.essence) && !isFileItself(input, type.essence)) {
    return toTensor(openNpy(beginning, file) ?? decodeNpy(file.take()));
  }
  await openHeldBlob(file);
  return createHeldFile(file, cleanFileName(fileNameOf(headers) ?? ""), { type: type.essence });
}

/** True when a body of this type becomes the input unparsed: a file, a tensor, or a form whose parts may be files. */
function isHeldWhole(input: InputForm, essence: string, headers: IncomingHttpHeaders): boolean {
  if (essence === multipartType || isNpyType(essence) || isFileItself(input, essence)) return true;
  if (input.kind !== "any") return false;
  return fileNameOf(headers) !== undefined || !(isJsonType(essence) || essence === textType || essence === bytesType);
}

/** True when a body of this type is the file that an api takes. Some files may also be written in JSON. */
function isFileItself({ kind, contentTypes }: InputForm, essence: string): boolean {
  if (kind !== "file") return false;
  return !isJsonType(essence) || contentTypes[0] === essence || !contentTypes.includes("application/json");
}

/** True when a body of this type can be read at all. The contract decides whether the value fits. */
function takes({ kind }: InputForm, essence: string): boolean {
  if (essence === "" || essence === "application/x-www-form-urlencoded") return false;
  if (isJsonType(essence)) return true;
  switch (kind) {
    case "file":
    case "any":
      return true;
    case "fields":
    case "files":
      return essence === multipartType;
    case "tensor":
      return isNpyType(essence);
    case "text":
      return essence === textType;
    default:
      return false;
  }
}

function readNothing({ input }: ApiRoute): undefined {
  if (input.kind !== "none" && input.mayBeAbsent !== true) throw fail("missing_body", {});
  return undefined;
}

/** Creates the failure for a body of a type that the api does not take. */
export function refuseType({ input }: ApiRoute, headers: IncomingHttpHeaders): ServingError {
  return fail("unsupported_media_type", { contentType: headers["content-type"] ?? "", accepted: input.contentTypes });
}

/**
 * Refuses a compressed body. A body that a hook put in its place is read as it is.
 *
 * @throws {ServingError} `unsupported_content_encoding`.
 */
export function refuseEncoding({ headers, body, raw }: FastifyRequest): void {
  const encoding = headers["content-encoding"];
  if (encoding === undefined || body !== raw) return;
  const codings = encoding.toLowerCase().split(",");
  if (codings.every((coding) => coding.trim() === "" || coding.trim() === "identity")) return;
  throw fail("unsupported_content_encoding", { encoding });
}

function toTensor(read: Tensor | string): Tensor {
  if (typeof read === "string") throw fail("invalid_npy", { problem: read });
  return read;
}

/** Views a `Buffer`, which is specific to Node, as the `Uint8Array` that authors and schemas know. */
const asBytes = ({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

const fileNameOf = (headers: IncomingHttpHeaders) => readFileName(headers["content-disposition"] ?? "");

function createFile({ bytes, type, headers }: ReceivedBody): File {
  const name = cleanFileName(fileNameOf(headers) ?? "");
  return new File([bytes as Uint8Array<ArrayBuffer>], name, { type: type.essence });
}
