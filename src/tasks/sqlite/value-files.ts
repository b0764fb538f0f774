// Large inputs and results, as files beside the rows that name them.
//
// V1  A file is whole and on the disk before a row names it, and stays until no row does.
// V2  A file that no row names is left over from a process that ended in between. It is removed once it is so old that
//     nobody can be about to name it.
import { randomBytes } from "node:crypto";
import { link, mkdir, open, opendir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { ServingError } from "../../failure/serving-error.js";
import { toSqliteFailure } from "./sqlite-driver.js";

/** How old a file without a row is before it is taken for left over; a writer has its row in far less. */
const orphanAgeMs = 3_600_000;
/** Names that are looked up at once. */
const sweepBatch = 500;
/** A larger value is a file of its own. */
const largestInlineBytes = 64 * 1024;

/** A value as it is kept: in the row, or as a file. */
export type Kept = { readonly bytes: Uint8Array | null; readonly file: string | null };

/** The change that names a file, and whether it did. */
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

  /** Writes a new file (V1). @returns Its name. */
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

  /** A second name for a file, which outlives the first. @returns The name. */
  async copy(name: string): Promise<string> {
    const copied = randomBytes(16).toString("hex");
    // Both names share their times: they are made new first, so that the copy is never taken for left over.
    const now = new Date();
    await utimes(this.#path(name), now, now);
    await link(this.#path(name), this.#path(copied));
    await syncFolder(this.#folder);
    return copied;
  }

  /** Removes files that no row names any more; one that is gone already is no fault. */
  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) await rm(this.#path(name), { force: true });
  }

  /**
   * Removes what is left over (V2).
   *
   * @param pickNamed Of some names those that rows have.
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

  /** Keeps a large value as a file of its own, and removes it again where no row has come to name it (Q3 of `SqliteStore`). */
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

  /** After most errors it is not certain what is on the disk: then the file is left, and swept later if no row names it. */
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

/** A new file survives a power cut only once the folder that names it is on the disk too. Windows can't, and need not. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** @throws {ServingError} what a file could not be read or written for, as a failure of the store. */
export async function touchFiles<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toSqliteFailure(error);
  }
}

/** The driver gives an ArrayBuffer or a Buffer, and nothing for no bytes. */
function toBytes(bytes: Uint8Array | ArrayBuffer | null): Uint8Array {
  if (bytes === null) return new Uint8Array(0);
  return bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
}
