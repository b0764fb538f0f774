import { statfsSync } from "node:fs";
import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";

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
