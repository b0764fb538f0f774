import { isUtf8 } from "node:buffer";
import { fail } from "../failure/failures.js";

/** A parsed `content-type` header. */
export interface MediaType {
  /** Lower case, without parameters; `""` for a header that is missing or is no media type. */
  readonly essence: string;
  /** Lower case; `"utf-8"` when the header names none. */
  readonly charset: string;
}

const essenceForm = /^[!#$%&'*+.^_`|~\w-]+\/[!#$%&'*+.^_`|~\w-]+$/;
const charsetForm = /;\s*charset\s*=\s*"?([^";\s]+)/i;
const plainJson: MediaType = { essence: "application/json", charset: "utf-8" };
const missing: MediaType = { essence: "", charset: "utf-8" };

/** Reads a `content-type` header. */
export function parseMediaType(header: string | undefined): MediaType {
  if (header === "application/json") return plainJson;
  if (header === undefined) return missing;
  const end = header.indexOf(";");
  const essence = (end < 0 ? header : header.slice(0, end)).trim().toLowerCase();
  if (!essenceForm.test(essence)) return missing;
  const charset = end < 0 ? undefined : charsetForm.exec(header)?.[1]?.toLowerCase();
  return { essence, charset: charset === undefined || charset === "utf8" ? "utf-8" : charset };
}

/** True for JSON, by name or by suffix (RFC 6839). */
export const isJsonType = (essence: string): boolean =>
  essence === "application/json" || essence === "text/json" || essence.endsWith("+json");

/** True for NumPy's array file. */
export const isNpyType = (essence: string): boolean =>
  essence === "application/x-npy" || essence === "application/npy" || essence === "application/vnd.numpy";

/** True for lines of JSON. */
export const isLinesType = (essence: string): boolean => lineTypes.has(essence);

const lineTypes: ReadonlySet<string> = new Set([
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonlines",
]);

/** Content type of bodies that are written as JSON. */
export const jsonBodyType = "application/json; charset=utf-8";

export const multipartType = "multipart/form-data";
export const npyType = "application/x-npy";
export const bytesType = "application/octet-stream";
export const textType = "text/plain";
export const linesType = "application/x-ndjson";
export const eventsType = "text/event-stream";

/**
 * Decodes the text of a body or of a part. A byte that is invalid in the charset is an error; it never becomes a
 * question mark.
 *
 * @param blame Id of the failure when the bytes do not fit the charset.
 * @throws {ServingError} `invalid_header` for an unknown charset.
 */
export function decodeText(bytes: Uint8Array, charset: string, blame: "invalid_json" | "invalid_input"): string {
  if (charset !== "utf-8") return decodeCharset(bytes, charset, blame);
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString();
  // The decoder writes this character for an invalid byte. Few bodies contain it, so few are read twice.
  if (text.includes("\ufffd") && !isUtf8(buffer)) throw refuse(charset, blame);
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function decodeCharset(bytes: Uint8Array, charset: string, blame: "invalid_json" | "invalid_input"): string {
  let decoder: InstanceType<typeof TextDecoder>;
  try {
    decoder = new TextDecoder(charset, { fatal: true });
  } catch {
    throw fail("invalid_header", { header: "content-type", value: `charset=${charset}`, expected: "a known charset" });
  }
  try {
    return decoder.decode(bytes);
  } catch {
    throw refuse(charset, blame);
  }
}

function refuse(charset: string, blame: "invalid_json" | "invalid_input") {
  if (blame === "invalid_json") return fail("invalid_json", { problem: `it is not ${charset}` });
  return fail("invalid_input", { issues: [{ path: "", message: `the text is not ${charset}` }] });
}
