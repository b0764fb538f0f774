import { readdir, readFile, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";

/** Folder of what is not whole, in the folder of models. */
export const partsFolder = "tmp";
const digestForm = /^[0-9a-f]{64}$/;

/** Facts about a stored model, in `model.json` beside its file. */
export interface StoredModel {
  readonly file: string;
  readonly bytes: number;
  readonly name: string;
  readonly version: string;
  readonly from: string;
}

/** Reads the facts of a stored model. @returns `undefined` where there is none. */
export async function readStored(folder: string): Promise<StoredModel | undefined> {
  try {
    const stored = JSON.parse(await readFile(join(folder, "model.json"), "utf8")) as StoredModel;
    return typeof stored.file === "string" && basename(stored.file) === stored.file ? stored : undefined;
  } catch {
    return undefined;
  }
}

/** A model in the folder of models. */
export interface KeptModel extends StoredModel {
  readonly sha256: string;
  readonly path: string;
  /** Time of its last use, in milliseconds since 1970. */
  readonly usedAt: number;
}

/** Lists everything in a folder of models. */
export async function listStored(folder: string): Promise<KeptModel[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => digestForm.test(name));
  const all = await Promise.all(
    names.sort().map(async (sha256): Promise<KeptModel[]> => {
      const own = join(folder, sha256);
      const stored = await readStored(own);
      const used = await stat(join(own, "model.json")).catch(() => undefined);
      if (stored === undefined || used === undefined) return [];
      return [{ ...stored, sha256, path: join(own, stored.file), usedAt: used.mtimeMs }];
    }),
  );
  return all.flat();
}

/** Removes a stored model. */
export const removeStored = (folder: string, sha256: string): Promise<void> =>
  rm(join(folder, sha256), { recursive: true, force: true });

/** Removes what is left of fetches that ended long ago. @returns The number of bytes. */
export async function removeParts(folder: string, olderThanMs: number): Promise<number> {
  const parts = join(folder, partsFolder);
  let bytes = 0;
  for (const name of await readdir(parts).catch(() => [])) {
    const path = join(parts, name);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || Date.now() - found.mtimeMs < olderThanMs) continue;
    bytes += found.isFile() ? found.size : 0;
    await rm(path, { recursive: true, force: true });
  }
  return bytes;
}
