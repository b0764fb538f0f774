import { closeSync, fstatSync, ftruncateSync, linkSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { removePath } from "../base/own-folder.js";
import { type LongText, writeContent } from "./long-text.js";

/** What the files of one thread may take of memory together; beyond it values travel in their frames. */
const maxTotalBytes = 256 * 1024 ** 2;
const maxFiles = 64;

/** For how long nothing is tried again that found no memory, no descriptor or no folder. */
const restMs = 5_000;

/** How much larger than its bytes a file may be that is written again: memory it has is memory taken. */
const maxSlack = 4;

interface MemoryFile {
  readonly path: string;
  readonly file: number;
  /** What it takes of memory. */
  bytes: number;
}

/** Makes files and names for them. */
interface FileMaker {
  readonly fullMemory: FullMemory | undefined;
  newPath(place: "memory"): string;
  create(place: "memory"): { readonly path: string; readonly file: number };
}

/** Files in memory that a thread writes and others read; one that nobody else has a name of any more is written again. */
export class MemoryFiles {
  readonly #maker: FileMaker;
  readonly #clock: Clock;
  readonly #files = new Set<MemoryFile>();
  #totalBytes = 0;
  #nextWriteAt = Number.NEGATIVE_INFINITY;

  constructor(maker: FileMaker, clock: Clock) {
    this.#maker = maker;
    this.#clock = clock;
  }

  /**
   * Writes bytes to a file.
   *
   * @returns A name of its own for whoever is to have it; `undefined` where there is no room.
   */
  write(bytes: Uint8Array | LongText): string | undefined {
    if (this.#clock.now() < this.#nextWriteAt) return undefined;
    let file: MemoryFile | undefined;
    try {
      file = this.#take(bytes.byteLength);
      if (file === undefined) return undefined;
      writeContent(file.file, bytes);
      const path = this.#maker.newPath("memory");
      linkSync(file.path, path);
      return path;
    } catch (error) {
      // No room, no descriptor or no folder: frames carry everything for now.
      this.#nextWriteAt = this.#clock.now() + restMs;
      if (file !== undefined) this.#maker.fullMemory?.note(error, dirname(file.path), bytes.byteLength);
      if (file !== undefined) this.#drop(file);
      return undefined;
    }
  }

  close(): void {
    for (const file of this.#files) this.#drop(file);
  }

  #take(byteLength: number): MemoryFile | undefined {
    let best: MemoryFile | undefined;
    for (const file of this.#files) {
      if (!isFree(file)) continue;
      if (file.bytes < byteLength || file.bytes > byteLength * maxSlack) continue;
      if (best === undefined || file.bytes < best.bytes) best = file;
    }
    return best ?? this.#create(byteLength);
  }

  #create(byteLength: number): MemoryFile | undefined {
    for (const file of this.#files) {
      if (this.#files.size < maxFiles && this.#totalBytes + byteLength <= maxTotalBytes) break;
      if (isFree(file)) this.#drop(file);
    }
    if (this.#files.size >= maxFiles || this.#totalBytes + byteLength > maxTotalBytes) return undefined;
    const file: MemoryFile = { ...this.#maker.create("memory"), bytes: byteLength };
    this.#files.add(file);
    this.#totalBytes += byteLength;
    return file;
  }

  #drop(file: MemoryFile): void {
    this.#files.delete(file);
    this.#totalBytes -= file.bytes;
    // Those who still have it keep it: their names are their own.
    if (isFree(file)) ftruncateSync(file.file, 0);
    closeSync(file.file);
    removePath(file.path);
  }
}

/** Nobody else has a name of it. */
const isFree = ({ file }: MemoryFile): boolean => fstatSync(file).nlink <= 1;

/** How often that is said while it happens again and again. */
const repeatMs = 3_600_000;

/** Says that the memory for files is full: values then cross through sockets, and nothing fails, so that nobody would see it. */
export class FullMemory {
  readonly #log: Logger;
  readonly #clock: Clock;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /**
   * A value found no room.
   *
   * @param error  Of the system; one that says something else is none of this.
   * @param folder Where it was to be written.
   * @param bytes  How large it is.
   */
  note(error: unknown, folder: string, bytes: number): void {
    const code = (error as NodeJS.ErrnoException | null)?.code;
    if (code !== "ENOSPC" && code !== "EDQUOT") return;
    const now = this.#clock.now();
    if (now - this.#saidAt < repeatMs) return;
    this.#saidAt = now;
    const room = readRoom(folder);
    const size = room === undefined ? "" : ` (${showMiB(room.freeBytes)} of ${showMiB(room.totalBytes)} are free)`;
    this.#log.warn(
      { folder, bytes, ...room },
      `shared memory is full: no room for ${showMiB(bytes)} in ${folder}${size}. Large values go through sockets, which takes about twice ` +
        "as long. Give it more: docker run --shm-size=1g, an emptyDir with medium: Memory at /dev/shm in Kubernetes, " +
        "mount -o remount,size=1g /dev/shm elsewhere",
    );
  }
}

function readRoom(folder: string): { readonly totalBytes: number; readonly freeBytes: number } | undefined {
  try {
    const { bsize, blocks, bavail } = statfsSync(folder);
    return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
  } catch {
    return undefined;
  }
}

const showMiB = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
