import { cleanFileName, readFileName, readParameters } from "../base/file-name.js";
import { fail } from "../failure/fail.js";
import type { HeldFile } from "../held/held-file.js";
import { bytesType } from "./media-type.js";

/** What the headers of a part say. */
export interface PartHead {
  readonly name: string;
  /** As `cleanFileName` leaves it; `undefined` for a part that has none. */
  readonly fileName: string | undefined;
  /** `""` where the part says none. */
  readonly contentType: string;
}

/** One part of a multipart body. */
export interface Part extends PartHead {
  /** A piece of the body. */
  readonly bytes: Uint8Array;
  /** The file they lie in, where they are not in memory; opened as a `Blob`. */
  readonly held?: HeldFile;
}

const maxParts = 1000;
/** Of one part, and of all parts of a body. */
export const maxHeaderBytes = 8192;
const maxHeaderSum = 256 * 1024;
const maxNameLength = 1000;
const headEnd = Buffer.from("\r\n\r\n");
const boundaryForm = /;\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s";]{1,70}))/i;

/**
 * Cuts a multipart body (RFC 7578) into its parts. A file input that was left empty is no part: browsers send one without a
 * name and without bytes. Stops at the first thing that is wrong.
 *
 * @param header The body's `content-type`.
 * @throws {ServingError} `invalid_multipart`.
 */
export function splitParts(body: Uint8Array, header: string): Part[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = readDelimiter(header);
  const bounds = new PartBounds();
  const parts: Part[] = [];
  let at = findFirst(bytes, delimiter);
  while (!isLast(bytes, at)) {
    const begin = endOfLine(bytes, at);
    const end = bytes.indexOf(delimiter, begin - 2);
    if (end < 0) throw refuse("it is cut off before its last boundary");
    const whole = bytes.subarray(begin, Math.max(begin, end));
    const { head, headBytes } = readHead(whole);
    bounds.count(headBytes);
    const part = { ...head, bytes: whole.subarray(headBytes) };
    if (!isAbsent(part, part.bytes.length)) parts.push(cleanName(part));
    at = end + delimiter.length;
  }
  return parts;
}

/** The line between two parts, as the body's `content-type` names it. */
export function readDelimiter(header: string): Buffer {
  const match = boundaryForm.exec(header);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined) throw refuse("its content-type names no boundary");
  return Buffer.from(`\r\n--${boundary}`, "latin1");
}

/** Counts the parts of one body. */
export class PartBounds {
  #parts = 0;
  #headBytes = 0;

  /** One more part. @throws {ServingError} `invalid_multipart` beyond 1,000 parts, or 256 KiB of their headers. */
  count(headBytes: number): void {
    if (++this.#parts > maxParts) throw refuse(`it has more than ${maxParts} parts`);
    this.#headBytes += headBytes;
    if (this.#headBytes > maxHeaderSum) throw refuse(`the headers of its parts have more than ${maxHeaderSum} bytes`);
  }
}

/** A file input that was left empty: browsers send it with an empty name, Node without one. */
export const isAbsent = ({ fileName, contentType }: PartHead, byteLength: number): boolean =>
  byteLength === 0 && (fileName === "" || (fileName === undefined && contentType === bytesType));

export const refuse = (problem: string) => fail("invalid_multipart", { problem });

/** Behind the first boundary, which may be the first thing of the body. */
function findFirst(bytes: Buffer, delimiter: Buffer): number {
  const first = delimiter.subarray(2);
  if (bytes.subarray(0, first.length).equals(first)) return first.length;
  const at = bytes.indexOf(delimiter);
  if (at < 0) throw refuse("none of its lines is the boundary");
  return at + delimiter.length;
}

const dash = 0x2d;
export const isLast = (bytes: Buffer, at: number) => bytes[at] === dash && bytes[at + 1] === dash;

/** Behind a boundary there may be spaces, then a line ends. */
export function endOfLine(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === 0x20 || bytes[at] === 0x09) at++;
  if (bytes[at] !== 0x0d || bytes[at + 1] !== 0x0a) throw refuse("a line that begins as the boundary goes on");
  return at + 2;
}

/** @param part It, or as much of it as its headers may have. */
export function readHead(part: Buffer): { readonly head: PartHead; readonly headBytes: number } {
  const hasHead = part[0] !== 0x0d || part[1] !== 0x0a;
  const end = hasHead ? part.indexOf(headEnd) : -2;
  if (hasHead && end < 0) throw refuse("the headers of a part do not end");
  if (end > maxHeaderBytes) throw refuse(`the headers of a part have more than ${maxHeaderBytes} bytes`);
  const headers = hasHead ? readHeaders(part.toString("latin1", 0, end)) : new Map<string, string>();
  const disposition = headers.get("content-disposition") ?? "";
  const name = /^\s*form-data\s*;/i.test(disposition) ? readParameters(disposition).get("name") : undefined;
  if (name === undefined) throw refuse("a part has no name");
  if (name.length > maxNameLength) throw refuse(`a part's name has more than ${maxNameLength} characters`);
  refuseEncoding(name, headers.get("content-transfer-encoding"));
  const head = { name, fileName: readFileName(disposition), contentType: headers.get("content-type") ?? "" };
  return { head, headBytes: Math.min(end + 4, part.length) };
}

function readHeaders(head: string): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const line of head.replace(/\r\n[ \t]+/g, " ").split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) throw refuse("a line among the headers of a part is none");
    headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return headers;
}

/** No client encodes parts; one that did would otherwise have its bytes taken for something else. */
function refuseEncoding(name: string, encoding: string | undefined): void {
  if (encoding === undefined || /^(?:7bit|8bit|binary)$/i.test(encoding)) return;
  throw refuse(`part ${name} has the content-transfer-encoding ${encoding}; send its bytes as they are`);
}

export const cleanName = <T extends PartHead>(part: T): T => ({
  ...part,
  fileName: part.fileName === undefined ? undefined : cleanFileName(part.fileName),
});
