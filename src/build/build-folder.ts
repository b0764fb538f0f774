import { createHash } from "node:crypto";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { copyFile, cp, link, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import type { MadeFile } from "./bundle-runtime.js";
import type { CopiedFile } from "./collect-assets.js";
import type { FileRecord } from "./manifest.js";

// Folder of a build while it is written.
//
// BF1  Everything is written into a folder beside the build, which takes its place at the end. A build that fails or is
//      killed leaves the earlier one as it was.
// BF2  A file that did not change is not copied again: the new folder gets a second name of the one in the earlier
//      build. So no file of a build is ever changed in place.

/** Largest number of files that are copied at once. */
const maxParallel = 16;

/** Digests of files by path, size and time of change, kept from build to build. */
export class FileDigests {
  readonly #known: Map<string, FileRecord & { readonly mtimeMs: number }>;
  readonly #used = new Map<string, FileRecord & { readonly mtimeMs: number }>();

  constructor(known: Readonly<Record<string, FileRecord & { readonly mtimeMs: number }>> = {}) {
    this.#known = new Map(Object.entries(known));
  }

  /** Digests that were asked for, to be kept. */
  get used(): Readonly<Record<string, FileRecord & { readonly mtimeMs: number }>> {
    return Object.fromEntries(this.#used);
  }

  async of(path: string): Promise<FileRecord> {
    const { size: bytes, mtimeMs } = await stat(path);
    const known = this.#used.get(path) ?? this.#known.get(path);
    const isSame = known?.bytes === bytes && known.mtimeMs === mtimeMs;
    const sha256 = isSame ? known.sha256 : digestFile(path);
    this.#used.set(path, { bytes, sha256, mtimeMs });
    return { bytes, sha256 };
  }

  /** Notes the digest of a file that was just written. */
  note(path: string, record: FileRecord, mtimeMs: number): void {
    this.#used.set(path, { ...record, mtimeMs });
  }
}

const buffer = Buffer.allocUnsafe(1024 ** 2);

/**
 * SHA-256 of a file, in hex. Reads without waiting: the digest takes longer than the file system,
 * and one buffer serves all files.
 */
export function digestFile(path: string): string {
  const hash = createHash("sha256");
  const file = openSync(path, "r");
  try {
    for (let length = -1; length !== 0; ) {
      length = readSync(file, buffer, 0, buffer.length, null);
      hash.update(buffer.subarray(0, length));
    }
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}

const recordOf = (content: Uint8Array | string): FileRecord => {
  const bytes = Buffer.from(content);
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
};

/** Writes one build. */
export class BuildFolder {
  readonly #out: string;
  /** Folder that is written. */
  readonly path: string;
  readonly #digests: FileDigests;
  /** Copies in this build, by their source: several services may need the same file. */
  readonly #copied = new Map<string, string>();

  constructor(out: string, digests: FileDigests) {
    this.#out = out;
    this.path = join(dirname(out), `.${basename(out)}.new-${process.pid}`);
    this.#digests = digests;
  }

  /** Makes an empty folder, and removes what builds that were killed have left. */
  async open(): Promise<void> {
    await this.#guard(async () => {
      await mkdir(dirname(this.#out), { recursive: true });
      for (const name of await readdir(dirname(this.#out))) {
        const [, pid] =
          new RegExp(`^\\.${escapeExpression(basename(this.#out))}\\.(?:new|old)-(\\d+)$`).exec(name) ?? [];
        if (pid !== undefined && (Number(pid) === process.pid || !isRunning(Number(pid)))) {
          await this.#restore(join(dirname(this.#out), name));
        }
      }
      await mkdir(this.path, { recursive: true });
    });
  }

  /** Writes files, and returns their records by path. */
  async write(folder: string, files: readonly MadeFile[]): Promise<Map<string, FileRecord>> {
    const records = new Map<string, FileRecord>();
    await this.#guard(async () => {
      for (const { target, content } of files) {
        const path = join(this.path, folder, target);
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, content);
        records.set(target, recordOf(content));
      }
    });
    return records;
  }

  /** Copies files, and returns their records by path (BF2). */
  async copy(folder: string, files: readonly CopiedFile[]): Promise<Map<string, FileRecord>> {
    const records = new Map<string, FileRecord>();
    const waiting = [...files];
    const work = async (): Promise<void> => {
      for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
        records.set(file.target, await this.#copyOne(folder, file));
      }
    };
    await this.#guard(() => Promise.all(Array.from({ length: maxParallel }, work)));
    return records;
  }

  async #copyOne(folder: string, { source, target }: CopiedFile): Promise<FileRecord> {
    const path = join(this.path, folder, target);
    await mkdir(dirname(path), { recursive: true });
    const record = await this.#digests.of(source);
    const earlier = join(this.#out, folder, target);
    const same = this.#copied.get(source) ?? ((await this.#isSame(earlier, record)) ? earlier : undefined);
    if (same !== undefined) {
      try {
        await link(same, path);
        return record;
      } catch {
        // A file system without second names.
      }
    }
    this.#copied.set(source, path);
    await copyFile(source, path, constants.COPYFILE_FICLONE);
    this.#digests.note(earlier, record, (await stat(path)).mtimeMs);
    return record;
  }

  async #isSame(earlier: string, { bytes, sha256 }: FileRecord): Promise<boolean> {
    try {
      if ((await stat(earlier)).size !== bytes) return false;
      return (await this.#digests.of(earlier)).sha256 === sha256;
    } catch {
      return false;
    }
  }

  /** Takes a folder from another place, as it is. @returns False when it is not there. */
  async keep(folder: string, from: string): Promise<boolean> {
    const entries = await readdir(from, { recursive: true, withFileTypes: true }).catch(() => []);
    if (entries.length === 0) return false;
    await this.#guard(async () => {
      for (const entry of entries.filter((own) => own.isFile())) {
        const source = join(entry.parentPath, entry.name);
        const target = join(this.path, folder, source.slice(from.length));
        await mkdir(dirname(target), { recursive: true });
        await link(source, target).catch(() => copyFile(source, target));
      }
    });
    return true;
  }

  /** Keeps a folder for later builds, where that is possible. Another build may do so at the same time. */
  async spare(folder: string, place: string): Promise<void> {
    const own = `${place}.new-${process.pid}`;
    try {
      await cp(join(this.path, folder), own, { recursive: true });
      await rename(own, place);
    } catch {
      // A folder that can't be written, or that is there by now: the next build makes the files again, or finds them.
      await rm(own, { recursive: true, force: true }).catch(() => {});
    }
  }

  /** Puts the folder in the place of the earlier build (BF1). */
  async finish(): Promise<void> {
    const old = join(dirname(this.#out), `.${basename(this.#out)}.old-${process.pid}`);
    await this.#guard(async () => {
      const hasOld = await rename(this.#out, old).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === "ENOENT") return false;
          throw error;
        },
      );
      try {
        await rename(this.path, this.#out);
      } catch (error) {
        if (hasOld) await rename(old, this.#out);
        throw error;
      }
      await rm(old, { recursive: true, force: true });
    });
  }

  /** Removes everything that was written. */
  async discard(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  /** Removes the rest of a build that was killed; an earlier build that it had moved away gets its place again. */
  async #restore(path: string): Promise<void> {
    const isLost = path.includes(".old-") && (await stat(this.#out).catch(() => undefined)) === undefined;
    if (isLost) await rename(path, this.#out);
    else await rm(path, { recursive: true, force: true });
  }

  async #guard<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      throw fail("build_unwritable", { folder: this.#out, problem: systemProblem(error) }, { cause: error });
    }
  }
}

const escapeExpression = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Reads a JSON file; `undefined` when it is missing or broken. */
export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch {
    return undefined;
  }
}
