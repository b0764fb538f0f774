// Large inputs and results, as files beside the rows that name them.
//
// LV1  A file is complete and on the disk before a row names it, and stays until no row names it.
// LV2  A file without a row was left by a process that ended in between. It is removed once it is so old that no
//      process can be about to name it.
import { randomBytes } from "node:crypto";
import { link, mkdir, open, opendir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { ServingError } from "../../failure/serving-error.js";
import { toSqliteFailure } from "./sqlite-driver.js";

/** Age at which a file without a row counts as left over. A writer adds the row within a far shorter time. */
const orphanAgeMs = 3_600_000;
/** Names that are looked up in one query. */
const sweepBatch = 500;
/** Size of the largest value that is kept in its row; a larger one becomes a file. */
const largestInlineBytes = 64 * 1024;

/** Stored value: in the row, or as a file. */
export type Kept = { readonly bytes: Uint8Array | null; readonly file: string | null };

/** Change that may name a file, and says whether it did. */
type NamingChange<T> = () => Promise<{ value: T; isFileNamed: boolean }>;

export class ValueFiles {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(folder: string): Promise<ValueFiles> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new ValueFiles(folder);
  }

  /** Writes a new file (LV1). @returns Its name. */
  async write(bytes: Uint8Array): Promise<string> {
    const name = randomBytes(16).toString("hex");
    const temporary = this.#path(`${name}.part`);
    try {
      const file = await open(temporary, "wx", 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, this.#path(name));
      await syncFolder(this.#folder);
      return name;
    } catch (error) {
      await this.remove([`${name}.part`, name]);
      throw error;
    }
  }

  read(name: string): Promise<Uint8Array> {
    return readFile(this.#path(name));
  }

  /** Makes a second name of a file, which outlives the first. @returns The name. */
  async copy(name: string): Promise<string> {
    const copied = randomBytes(16).toString("hex");
    // Both names share their times. They are set to now first, so that the copy never counts as left over.
    const now = new Date();
    await utimes(this.#path(name), now, now);
    await link(this.#path(name), this.#path(copied));
    await syncFolder(this.#folder);
    return copied;
  }

  /** Removes files that no row names any more. Missing files are ignored. */
  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) await rm(this.#path(name), { force: true });
  }

  /**
   * Removes files that are left over (LV2).
   *
   * @param pickNamed Selects the names that rows have.
   */
  async sweep(now: number, pickNamed: (names: readonly string[]) => Promise<ReadonlySet<string>>): Promise<void> {
    let old: string[] = [];
    const removeOrphans = async () => {
      const named = await pickNamed(old);
      await this.remove(old.filter((name) => !named.has(name)));
      old = [];
    };
    for await (const { name } of await opendir(this.#folder)) {
      const found = await stat(this.#path(name)).catch(() => undefined);
      if (found !== undefined && found.mtimeMs <= now - orphanAgeMs) old.push(name);
      if (old.length >= sweepBatch) await removeOrphans();
    }
    await removeOrphans();
  }

  readKept({ bytes, file }: Kept): Promise<Uint8Array> {
    return file === null ? Promise.resolve(toBytes(bytes)) : touchFiles(() => this.read(file));
  }

  /**
   * Writes a large value to a file, and removes the file again if no row names it in the end (LS3 of `SqliteStore`).
   */
  async keep<T>(
    bytes: Uint8Array | undefined,
    change: (kept: Kept) => Promise<{ value: T; isFileNamed: boolean }>,
  ): Promise<T> {
    if (bytes === undefined || bytes.length <= largestInlineBytes) {
      return (await change({ bytes: bytes ?? null, file: null })).value;
    }
    const file = await touchFiles(() => this.write(bytes));
    return this.removeUnless(file, () => change({ bytes: null, file }));
  }

  /**
   * Removes a file unless a row names it. After most errors the state on the disk is unknown: the file stays then, and
   * is swept later if no row names it.
   */
  async removeUnless<T>(file: string | null, change: NamingChange<T>): Promise<T> {
    const remove = async () => {
      if (file !== null) await this.remove([file]).catch(() => {});
    };
    try {
      const { value, isFileNamed } = await change();
      if (!isFileNamed) await remove();
      return value;
    } catch (error) {
      if (error instanceof ServingError && error.id === "task_store_full") await remove();
      throw error;
    }
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

/** Writes a folder to the disk: a new file survives a power cut only then. Windows can't do this, and need not. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Runs file operations. @throws {ServingError} their errors as failures of the store. */
export async function touchFiles<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toSqliteFailure(error);
  }
}

/** Converts bytes of the driver: an ArrayBuffer, a Buffer, or nothing for 0 bytes. */
function toBytes(bytes: Uint8Array | ArrayBuffer | null): Uint8Array {
  if (bytes === null) return new Uint8Array(0);
  return bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
}
