import { type FileHandle, open } from "node:fs/promises";
import { cleanFileName, readFileName, readParameters } from "../base/file-name.js";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import { ServingError } from "../failure/serving-error.js";
import type { FileStore } from "../held/file-store.js";
import { openHeldBlob } from "../held/held-blob.js";
import { minHeldBytes, readRange } from "../held/held-bytes.js";
import type { HeldFile } from "../held/held-file.js";
import { SpoolFile } from "../held/spool-file.js";
import { bytesType } from "./media-type.js";

/** Headers of a part. */
export interface PartHead {
  readonly name: string;
  /** File name as `cleanFileName` returns it; `undefined` when the part has none. */
  readonly fileName: string | undefined;
  /** `""` when the part names none. */
  readonly contentType: string;
}

/** One part of a multipart body. */
export interface Part extends PartHead {
  /** View into the body. */
  readonly bytes: Uint8Array;
  /** File of the bytes when they are not in memory; opened as a `Blob`. */
  readonly held?: HeldFile;
}

const maxParts = 1000;
/** Header bytes of one part, and of all parts of a body. */
const maxHeaderBytes = 8192;
const maxHeaderSum = 256 * 1024;
const maxNameLength = 1000;
const headEnd = Buffer.from("\r\n\r\n");
const boundaryForm = /;\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s";]{1,70}))/i;

/**
 * Cuts a multipart body (RFC 7578) into its parts. Skips a file input that was left empty: browsers send a part
 * without a name and without bytes for it. Stops at the first error.
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

/** Returns the line between two parts, as the body's `content-type` names it. */
function readDelimiter(header: string): Buffer {
  const match = boundaryForm.exec(header);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined) throw refuse("its content-type names no boundary");
  return Buffer.from(`\r\n--${boundary}`, "latin1");
}

/** Counts the parts of one body. */
class PartBounds {
  #parts = 0;
  #headBytes = 0;

  /**
   * Counts one more part. @throws {ServingError} `invalid_multipart` beyond 1,000 parts, or 256 KiB of their headers.
   */
  count(headBytes: number): void {
    if (++this.#parts > maxParts) throw refuse(`it has more than ${maxParts} parts`);
    this.#headBytes += headBytes;
    if (this.#headBytes > maxHeaderSum) throw refuse(`the headers of its parts have more than ${maxHeaderSum} bytes`);
  }
}

/** True for a file input that was left empty: browsers send it with an empty name, Node without one. */
const isAbsent = ({ fileName, contentType }: PartHead, byteLength: number): boolean =>
  byteLength === 0 && (fileName === "" || (fileName === undefined && contentType === bytesType));

const refuse = (problem: string) => fail("invalid_multipart", { problem });

/** Returns the index after the first boundary. The body may begin with it. */
function findFirst(bytes: Buffer, delimiter: Buffer): number {
  const first = delimiter.subarray(2);
  if (bytes.subarray(0, first.length).equals(first)) return first.length;
  const at = bytes.indexOf(delimiter);
  if (at < 0) throw refuse("it has no boundary line");
  return at + delimiter.length;
}

const dash = 0x2d;
const isLast = (bytes: Buffer, at: number) => bytes[at] === dash && bytes[at + 1] === dash;

/** Returns the index after the line of a boundary. Spaces may follow the boundary. */
function endOfLine(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === 0x20 || bytes[at] === 0x09) at++;
  if (bytes[at] !== 0x0d || bytes[at + 1] !== 0x0a) throw refuse("a boundary line has further text");
  return at + 2;
}

/**
 * Reads the headers of a part.
 *
 * @param part The part, or as many of its bytes as headers may have.
 */
function readHead(part: Buffer): { readonly head: PartHead; readonly headBytes: number } {
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
    if (colon <= 0) throw refuse("a header line of a part has no name");
    headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return headers;
}

/** Refuses an encoded part. No client encodes parts; the bytes of one that did would be misread. */
function refuseEncoding(name: string, encoding: string | undefined): void {
  if (encoding === undefined || /^(?:7bit|8bit|binary)$/i.test(encoding)) return;
  throw refuse(`part ${name} has the content-transfer-encoding ${encoding}; send its bytes as they are`);
}

const cleanName = <T extends PartHead>(part: T): T => ({
  ...part,
  fileName: part.fileName === undefined ? undefined : cleanFileName(part.fileName),
});

/** Bytes of the body that are in memory at a time. */
const blockBytes = 1024 ** 2;
/** Bytes of the first read of a search: most parts are small. */
const firstBlockBytes = 64 * 1024;
/** Spaces after a boundary that are looked at. */
const paddingBytes = 1024;

/** Rules for cutting a body in a file. */
interface HeldSplitting {
  readonly files: FileStore;
  /** True when a large part stays in its file. */
  readonly staysHeld: (part: PartHead) => boolean;
}

/**
 * Cuts a body in a file, like `splitParts`. Large parts that stay in the file become further names of it, or copies
 * where the file can have no other name. All other parts are read.
 *
 * @throws {ServingError} `invalid_multipart`, `held_bytes_lost`, `no_room_for_body`.
 */
export async function splitHeldParts(body: HeldFile, header: string, splitting: HeldSplitting): Promise<Part[]> {
  const path = body.name?.path ?? "";
  const { byteLength } = body;
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    return await new HeldSplitter(body, file, readDelimiter(header)).split(splitting);
  } catch (error) {
    if (error instanceof ServingError) throw error;
    throw fail("held_bytes_lost", { path, byteLength, problem: systemProblem(error) }, { cause: error });
  } finally {
    await file?.close();
    body.drop();
  }
}

class HeldSplitter {
  readonly #body: HeldFile;
  readonly #file: FileHandle;
  readonly #delimiter: Buffer;
  #block = Buffer.allocUnsafeSlow(0);

  constructor(body: HeldFile, file: FileHandle, delimiter: Buffer) {
    this.#body = body;
    this.#file = file;
    this.#delimiter = delimiter;
  }

  async split(splitting: HeldSplitting): Promise<Part[]> {
    const bounds = new PartBounds();
    const parts: Part[] = [];
    let at = await this.#findFirst();
    for (;;) {
      const line = await this.#read(at, paddingBytes);
      if (isLast(line, 0)) return parts;
      const begin = at + endOfLine(line, 0);
      const end = await this.#find(begin - 2);
      if (end < 0) throw refuse("it is cut off before its last boundary");
      const byteLength = Math.max(0, end - begin);
      const { head, headBytes } = readHead(await this.#read(begin, Math.min(byteLength, maxHeaderBytes + 4)));
      bounds.count(headBytes);
      const contents = { start: begin + headBytes, byteLength: byteLength - headBytes };
      if (!isAbsent(head, contents.byteLength)) parts.push(cleanName(await this.#readPart(head, contents, splitting)));
      at = end + this.#delimiter.length;
    }
  }

  async #readPart(head: PartHead, contents: Range, { files, staysHeld }: HeldSplitting): Promise<Part> {
    const { start, byteLength } = contents;
    if (byteLength < minHeldBytes || !staysHeld(head)) return { ...head, bytes: await this.#read(start, byteLength) };
    const held = files.cut(this.#body, { start, byteLength, use: "blob" }) ?? (await this.#copy(files, contents));
    await openHeldBlob(held);
    return { ...head, bytes: new Uint8Array(0), held };
  }

  /** Copies a piece to its own file. @throws {ServingError} `no_room_for_body`. */
  async #copy(files: FileStore, { start, byteLength }: Range): Promise<HeldFile> {
    const copy = new SpoolFile(files);
    try {
      for (let at = 0; at < byteLength; at += blockBytes) {
        // In its own memory: it is written while the next block is read.
        const block = await this.#read(start + at, Math.min(blockBytes, byteLength - at));
        if (!copy.push(block)) await copy.drained();
      }
      return await copy.finish({ use: "blob" });
    } catch (error) {
      copy.abort();
      throw error;
    }
  }

  /** Returns the index after the first boundary. The body may begin with it. */
  async #findFirst(): Promise<number> {
    const first = this.#delimiter.subarray(2);
    if ((await this.#read(0, first.length)).equals(first)) return first.length;
    const at = await this.#find(0);
    if (at < 0) throw refuse("it has no boundary line");
    return at + this.#delimiter.length;
  }

  /** Returns the index of the next boundary; -1 for none. */
  async #find(from: number): Promise<number> {
    for (let at = from, size = firstBlockBytes; ; size = Math.min(size * 2, blockBytes)) {
      const block = await this.#readBlock(at, size);
      const found = block.indexOf(this.#delimiter);
      if (found >= 0) return at + found;
      if (at + block.length >= this.#body.byteLength) return -1;
      at += block.length - this.#delimiter.length;
    }
  }

  /** Reads a piece into its own memory. */
  async #read(start: number, byteLength: number): Promise<Buffer> {
    const wanted = Math.max(0, Math.min(byteLength, this.#body.byteLength - start));
    const bytes = Buffer.allocUnsafeSlow(wanted);
    await readRange(this.#file, bytes, this.#body.start + start);
    return bytes;
  }

  /** Reads a block into memory that the next block reuses. */
  async #readBlock(start: number, byteLength: number): Promise<Buffer> {
    if (this.#block.length === 0) this.#block = Buffer.allocUnsafeSlow(blockBytes);
    const block = this.#block.subarray(0, Math.max(0, Math.min(byteLength, this.#body.byteLength - start)));
    await readRange(this.#file, block, this.#body.start + start);
    return block;
  }
}

interface Range {
  readonly start: number;
  readonly byteLength: number;
}
