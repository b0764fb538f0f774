import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Disk of a few megabytes, in memory, that a test may fill. */
export class SmallDisk {
  readonly folder: string;
  /** Reason why no small disk can be made here. */
  readonly problem: string | undefined;
  readonly #filler: string;

  constructor(folder: string, bytes: number) {
    this.folder = folder;
    this.#filler = join(folder, "filler");
    this.problem = mount(folder, bytes);
  }

  /** Fills all free space. */
  fill(): void {
    for (const size of [64 * 1024, 4096]) {
      const chunk = new Uint8Array(size);
      try {
        for (;;) writeFileSync(this.#filler, chunk, { flag: "a" });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      }
    }
  }

  /** Frees a part of the filled space, or all of it. */
  free(bytes?: number): void {
    if (bytes === undefined) rmSync(this.#filler);
    else truncateSync(this.#filler, statSync(this.#filler).size - bytes);
  }

  unmount(): void {
    // Unmounts lazily, because a file that was just closed may still be in use.
    if (this.problem === undefined) execFileSync("umount", ["--lazy", this.folder]);
  }
}

function mount(folder: string, bytes: number): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root can mount a small disk to fill it";
  mkdirSync(folder);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes},mode=0777`, "tmpfs", folder], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    return `a small disk could not be mounted: ${(error as Error).message}`;
  }
}
