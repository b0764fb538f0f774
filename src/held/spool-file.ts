import { close, closeSync } from "node:fs";
import { dirname } from "node:path";
import { removePath } from "../base/remove-path.js";
import { systemProblem } from "../base/system-problem.js";
import { fail } from "../failure/fail.js";
import type { FileStore } from "./file-store.js";
import type { HeldFile } from "./held-file.js";
import { writeChunks } from "./write-chunks.js";

/** What may wait to be written; whoever sends faster is to pause. */
const maxWaitingBytes = 1024 ** 2;

/** What a file is for once it is whole. */
export interface SpooledUse {
  readonly use: "bytes" | "blob";
  /** Where what is wanted of it begins. Default 0. */
  readonly start?: number;
  /** Whether it is passed on once and then needed no more. Default false. */
  readonly isPassing?: boolean;
}

/** Bytes that come and lie in a file when they have all come, of which a few are in memory meanwhile. */
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

  /** @throws {Error} of the system, where no file can be made. */
  constructor(store: FileStore) {
    this.#store = store;
    ({ path: this.#path, file: this.#file } = store.create("disk"));
  }

  /** Whether there is room for more; false asks to wait for `drained`. */
  push(chunk: Uint8Array): boolean {
    if (this.#isOver || this.#problem !== undefined) return true;
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.byteLength;
    if (!this.#isWriting) this.#write();
    return this.#waitingBytes <= maxWaitingBytes;
  }

  /** Resolves when nothing waits to be written. @throws {ServingError} `no_room_for_body`. */
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

  /** The file, once everything is written. @throws {ServingError} `no_room_for_body`. */
  async finish({ use, start = 0, isPassing = false }: SpooledUse): Promise<HeldFile> {
    try {
      await this.drained();
    } catch (error) {
      this.abort();
      throw error;
    }
    if (this.#isOver) throw new Error("it was given up");
    this.#isOver = true;
    closeSync(this.#file);
    return this.#store.own(this.#path, { byteLength: this.#writtenBytes - start, use, start, isPassing });
  }

  /** Removes what has come. */
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
