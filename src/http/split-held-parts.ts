import { type FileHandle, open } from "node:fs/promises";
import { systemProblem } from "../base/system-problem.js";
import { fail } from "../failure/fail.js";
import { ServingError } from "../failure/serving-error.js";
import { readRange } from "../held/file-bytes.js";
import type { FileStore } from "../held/file-store.js";
import { openHeldBlob } from "../held/held-blob.js";
import { minHeldBytes } from "../held/held-bytes.js";
import type { HeldFile } from "../held/held-file.js";
import { SpoolFile } from "../held/spool-file.js";
import {
  cleanName,
  endOfLine,
  isAbsent,
  isLast,
  maxHeaderBytes,
  type Part,
  PartBounds,
  type PartHead,
  readDelimiter,
  readHead,
  refuse,
} from "./split-parts.js";

/** What is in memory of the body at a time. */
const blockBytes = 1024 ** 2;
/** Of a search: most parts are small. */
const firstBlockBytes = 64 * 1024;
/** Spaces that may follow a boundary, as far as they are looked for. */
const paddingBytes = 1024;

/** How the parts of a body in a file are to be. */
export interface HeldSplitting {
  readonly files: FileStore;
  /** Whether a large part is to stay in its file. */
  readonly staysHeld: (part: PartHead) => boolean;
}

/**
 * As `splitParts`, of a body in a file. Large parts that stay there are names of the same file, or copies where it can have no other
 * name; all others are read.
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

  /** A piece in a file of its own. @throws {ServingError} `no_room_for_body`. */
  async #copy(files: FileStore, { start, byteLength }: Range): Promise<HeldFile> {
    const copy = new SpoolFile(files);
    try {
      for (let at = 0; at < byteLength; at += blockBytes) {
        // Of its own, since it is written while the next is read.
        const block = await this.#read(start + at, Math.min(blockBytes, byteLength - at));
        if (!copy.push(block)) await copy.drained();
      }
      return await copy.finish({ use: "blob" });
    } catch (error) {
      copy.abort();
      throw error;
    }
  }

  /** Behind the first boundary, which may be the first thing of the body. */
  async #findFirst(): Promise<number> {
    const first = this.#delimiter.subarray(2);
    if ((await this.#read(0, first.length)).equals(first)) return first.length;
    const at = await this.#find(0);
    if (at < 0) throw refuse("none of its lines is the boundary");
    return at + this.#delimiter.length;
  }

  /** Where the next boundary is. @returns -1 where there is none. */
  async #find(from: number): Promise<number> {
    for (let at = from, size = firstBlockBytes; ; size = Math.min(size * 2, blockBytes)) {
      const block = await this.#readBlock(at, size);
      const found = block.indexOf(this.#delimiter);
      if (found >= 0) return at + found;
      if (at + block.length >= this.#body.byteLength) return -1;
      at += block.length - this.#delimiter.length;
    }
  }

  /** A piece of its own. */
  async #read(start: number, byteLength: number): Promise<Buffer> {
    const wanted = Math.max(0, Math.min(byteLength, this.#body.byteLength - start));
    const bytes = Buffer.allocUnsafeSlow(wanted);
    await readRange(this.#file, bytes, this.#body.start + start);
    return bytes;
  }

  /** A block that is there until the next is read. */
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
