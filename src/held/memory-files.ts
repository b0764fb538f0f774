import { closeSync, fstatSync, ftruncateSync, linkSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { removePath } from "../base/own-folder.js";
import { type LongText, writeContent } from "./long-text.js";

/** Most memory of all files that one thread writes. Beyond it values travel in their frames. */
const maxTotalBytes = 256 * 1024 ** 2;
const maxFiles = 64;

/** Pause after a failure for want of memory, of a descriptor or of the folder. */
const restMs = 5_000;

/** Largest ratio of a reused file to the bytes written into it: the rest of the file still takes memory. */
const maxSlack = 4;

interface MemoryFile {
  readonly path: string;
  readonly file: number;
  /** Memory that the file takes. */
  bytes: number;
}

/** Creates files and names for them. */
interface FileMaker {
  readonly fullMemory: FullMemory | undefined;
  newPath(place: "memory"): string;
  create(place: "memory"): { readonly path: string; readonly file: number };
}

/** Files in memory that one thread writes and others read. A file without another name is reused. */
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
   * @returns A new name of the file, for its receiver; `undefined` when there is no room.
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
      // No room, no descriptor or no folder: values travel in frames for some seconds.
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
    // Receivers that still have a name keep the file.
    if (isFree(file)) ftruncateSync(file.file, 0);
    closeSync(file.file);
    removePath(file.path);
  }
}

/** True when no receiver has a name of the file. */
const isFree = ({ file }: MemoryFile): boolean => fstatSync(file).nlink <= 1;

/** Least time between two such log lines. */
const repeatMs = 3_600_000;

/**
 * Logs that the memory for files is full: values then go through sockets, slower, and without a failure that would show
 * it.
 */
export class FullMemory {
  readonly #log: Logger;
  readonly #clock: Clock;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /**
   * Notes that a value could not be written.
   *
   * @param error  Error of the system; one with another reason than lack of room is ignored.
   * @param folder Folder of the file.
   * @param bytes  Size of the value.
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
