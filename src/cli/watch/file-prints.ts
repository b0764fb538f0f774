import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** A larger file is known by its size and time alone. */
const maxReadBytes = 4 * 1024 ** 2;

/** Remembers the content of files, so that a save that changes nothing counts for nothing. */
export class FilePrints {
  readonly #prints = new Map<string, string>();

  /** Reads a file anew. @returns Whether it is another than when it was last read; a file that is gone is another. */
  update(path: string): boolean {
    const before = this.#prints.get(path);
    const print = takePrint(path);
    if (print === undefined) this.#prints.delete(path);
    else this.#prints.set(path, print);
    return print !== before;
  }

  /** Known files in `folder` itself and below it. */
  within(folder: string): string[] {
    return [...this.#prints.keys()].filter((path) => {
      for (let at = dirname(path); ; at = dirname(at)) {
        if (at === folder) return true;
        if (at === dirname(at)) return false;
      }
    });
  }
}

/** `undefined` for what is no file, or can't be read: an editor may be about to put it in its place. */
function takePrint(path: string): string | undefined {
  try {
    const { size, mtimeMs } = statSync(path);
    return size > maxReadBytes ? `${size} ${mtimeMs}` : createHash("sha1").update(readFileSync(path)).digest("hex");
  } catch {
    return undefined;
  }
}
