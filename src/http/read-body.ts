import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import type { Tensor } from "../define/tensor.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import type { ApiRoute } from "./api-route.js";
import { decodeText } from "./decode-text.js";
import type { Edge } from "./edge.js";
import type { InputForm } from "./input-form.js";
import {
  bytesType,
  isJsonType,
  isNpyType,
  type MediaType,
  multipartType,
  parseMediaType,
  textType,
} from "./media-type.js";
import { decodeNpy } from "./npy.js";
import { parseJson } from "./parse-json.js";
import { readBytes } from "./read-bytes.js";
import { readMultipart } from "./read-multipart.js";

/**
 * Reads a request's body into the input of its api, unchecked; `undefined` where there is none.
 *
 * @throws {ServingError} `missing_body`, `unsupported_media_type`, `body_too_large`, `body_timeout`, `body_too_deep`,
 *   `invalid_json`, `forbidden_key`, `invalid_multipart`, `invalid_npy`, `invalid_header`.
 */
export function readBody(edge: Edge, route: ApiRoute, request: FastifyRequest): Promise<unknown> | undefined {
  const { headers } = request;
  const source = request.body as Readable | null | undefined;
  if (source === undefined || source === null || headers["content-length"] === "0") return readNothing(route);
  const type = parseMediaType(headers["content-type"]);
  const isTaken = takes(route.input, type.essence);
  if (!isTaken && route.input.kind !== "none") throw refuseType(route, headers);
  refuseEncoding(headers["content-encoding"]);
  return readBytes(source, headers, edge.limits, (bytes) => {
    if (bytes.length === 0) return readNothing(route);
    if (!isTaken) throw refuseType(route, headers);
    return decodeBody(edge, route, { bytes, type, headers });
  });
}

interface ReceivedBody {
  readonly bytes: Uint8Array;
  readonly type: MediaType;
  readonly headers: IncomingHttpHeaders;
}

function decodeBody(edge: Edge, route: ApiRoute, body: ReceivedBody): unknown {
  const { bytes, type, headers } = body;
  const { essence, charset } = type;
  const { input } = route;
  if (essence === multipartType) return readMultipart(edge, input, bytes, headers["content-type"] as string);
  const isFile = input.kind === "file";
  if (isJsonType(essence) && !(isFile && input.contentTypes[0] === essence)) {
    return parseJson(decodeText(bytes, charset, "invalid_json"), edge.settings.maxBodyDepth);
  }
  if (isFile) return createFile(body);
  if (isNpyType(essence)) return readNpy(bytes);
  if (essence === textType) return decodeText(bytes, charset, "invalid_input");
  return essence === bytesType ? asBytes(bytes) : createFile(body);
}

/** Whether a body of this type can be read at all; whether it then fits is the contract's to say. */
function takes({ kind }: InputForm, essence: string): boolean {
  if (essence === "" || essence === "application/x-www-form-urlencoded") return false;
  if (isJsonType(essence)) return true;
  switch (kind) {
    case "file":
    case "any":
      return true;
    case "fields":
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
  if (input.kind !== "none") throw fail("missing_body", {});
  return undefined;
}

function refuseType({ input }: ApiRoute, headers: IncomingHttpHeaders): ServingError {
  return fail("unsupported_media_type", { contentType: headers["content-type"] ?? "", accepted: input.contentTypes });
}

function refuseEncoding(encoding: string | undefined): void {
  if (encoding === undefined || encoding === "identity") return;
  throw fail("invalid_header", {
    header: "content-encoding",
    value: encoding,
    expected: "none: send the body as it is",
  });
}

function readNpy(bytes: Uint8Array): Tensor {
  const read = decodeNpy(bytes);
  if (typeof read === "string") throw fail("invalid_npy", { problem: read });
  return read;
}

/** A `Buffer` is Node's own; authors and schemas know `Uint8Array`. */
const asBytes = ({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

const fileNameForm = /;\s*filename\s*=\s*(?:"([^"]*)"|([^";\s]+))/i;

function createFile({ bytes, type, headers }: ReceivedBody): File {
  const match = fileNameForm.exec(headers["content-disposition"] ?? "");
  return new File([bytes as Uint8Array<ArrayBuffer>], match?.[1] ?? match?.[2] ?? "file", { type: type.essence });
}
