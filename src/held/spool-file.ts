import { close, closeSync, writev } from "node:fs";
import { dirname } from "node:path";
import { removePath } from "../base/own-folder.js";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import type { FileStore } from "./file-store.js";
import { maxIoBytes } from "./held-bytes.js";
import type { HeldFile } from "./held-file.js";

/** Most bytes that wait to be written. A faster sender has to pause. */
const maxWaitingBytes = 1024 ** 2;

/** Use of a file once it is complete. */
interface SpooledUse {
  readonly use: "bytes" | "blob";
  /** Offset of the part that is needed. Default 0. */
  readonly start?: number;
  /** True when the file is passed on once and not used afterwards. Default false. */
  readonly isPassing?: boolean;
}

/** Writes bytes to a file as they arrive, with few of them in memory. */
export class SpoolFile {
  readonly #store: FileStore;
  readonly #path: string;
  readonly #file: number;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writtenBytes = 0;
  #isWriting = false;
  #isOver = false;
  #problem: unknown;
  #onIdle: (() => void) | undefined;

  /** @throws {Error} of the system, when no file can be created. */
  constructor(store: FileStore) {
    this.#store = store;
    ({ path: this.#path, file: this.#file } = store.create("disk"));
  }

  /** Adds a chunk. @returns True when there is room for more; after false, wait for `drained`. */
  push(chunk: Uint8Array): boolean {
    if (this.#isOver || this.#problem !== undefined) return true;
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.byteLength;
    if (!this.#isWriting) this.#write();
    return this.#waitingBytes <= maxWaitingBytes;
  }

  /** Resolves when everything so far is written. @throws {ServingError} `no_room_for_body`. */
  async drained(): Promise<void> {
    if (this.#isWriting) {
      await new Promise<void>((resolve) => {
        const others = this.#onIdle;
        this.#onIdle = () => {
          others?.();
          resolve();
        };
      });
    }
    if (this.#problem !== undefined) throw this.#failure();
  }

  /** Returns the file, once everything is written. @throws {ServingError} `no_room_for_body`. */
  async finish({ use, start = 0, isPassing = false }: SpooledUse): Promise<HeldFile> {
    try {
      await this.drained();
    } catch (error) {
      this.abort();
      throw error;
    }
    if (this.#isOver) throw new Error("it was aborted");
    this.#isOver = true;
    closeSync(this.#file);
    return this.#store.own(this.#path, { byteLength: this.#writtenBytes - start, use, start, isPassing });
  }

  /** Removes what was written so far. */
  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting = [];
    removePath(this.#path);
    if (!this.#isWriting) close(this.#file, () => {});
  }

  #write(): void {
    const chunks = this.#waiting;
    const bytes = this.#waitingBytes;
    this.#waiting = [];
    this.#isWriting = true;
    writeChunks(this.#file, chunks, (error) => {
      this.#isWriting = false;
      this.#waitingBytes -= bytes;
      this.#writtenBytes += bytes;
      if (error !== null) {
        this.#problem = error;
        this.#store.noteFull();
      }
      if (this.#isOver) close(this.#file, () => {});
      else if (this.#problem === undefined && this.#waiting.length > 0) {
        this.#write();
        return;
      }
      const onIdle = this.#onIdle;
      this.#onIdle = undefined;
      onIdle?.();
    });
  }

  #failure(): unknown {
    const details = {
      folder: dirname(this.#path),
      bytes: this.#writtenBytes,
      problem: systemProblem(this.#problem),
    };
    return fail("no_room_for_body", details, { cause: this.#problem });
  }
}

/** Bytes of a blob that are in memory at a time. */
const pieceBytes = 1024 ** 2;

/**
 * Writes a blob to a file that is passed on once.
 *
 * @returns `undefined` when the blob can't be read or the file written.
 */
export async function spoolBlob(files: FileStore, blob: Blob): Promise<HeldFile | undefined> {
  let spool: SpoolFile | undefined;
  try {
    spool = new SpoolFile(files);
    for (let at = 0; at < blob.size; at += pieceBytes) {
      const piece = await blob.slice(at, at + pieceBytes).arrayBuffer();
      if (!spool.push(new Uint8Array(piece))) await spool.drained();
    }
    return await spool.finish({ use: "blob", isPassing: true });
  } catch {
    spool?.abort();
    return undefined;
  }
}

/** Appends chunks to a file. @param done Called with the error of the system, or null. */
export function writeChunks(file: number, chunks: readonly Uint8Array[], done: (error: Error | null) => void): void {
  writev(file, firstOf(chunks), (error, written) => {
    if (error !== null) {
      done(error);
      return;
    }
    // The system may write less than it is given.
    const rest = leftOf(chunks, written);
    if (rest.length === 0) done(null);
    else writeChunks(file, rest, done);
  });
}

/** Returns the chunks of one write: nearly always all of them. */
function firstOf(chunks: readonly Uint8Array[]): Uint8Array[] {
  let left = maxIoBytes;
  const first: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (left === 0) break;
    first.push(chunk.byteLength > left ? chunk.subarray(0, left) : chunk);
    left = Math.max(0, left - chunk.byteLength);
  }
  return first;
}

function leftOf(chunks: readonly Uint8Array[], written: number): Uint8Array[] {
  let left = written;
  const rest: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (left >= chunk.byteLength) left -= chunk.byteLength;
    else {
      rest.push(left === 0 ? chunk : chunk.subarray(left));
      left = 0;
    }
  }
  return rest;
}
