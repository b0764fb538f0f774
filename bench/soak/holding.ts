import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { readMemory } from "../processes.ts";

/** Resources of an app at one moment, of all its processes together. */
export interface Holding {
  readonly pssMiB: number;
  readonly descriptors: number;
  /** Files in shared memory that carry large values. */
  readonly slabs: number;
  readonly slabMiB: number;
  /** Files in its temporary folder, sockets among them. */
  readonly temporaryFiles: number;
  readonly temporaryMiB: number;
}

export const holdingUnits = {
  pssMiB: ["memory (PSS)", "MiB"],
  descriptors: ["descriptors", ""],
  slabs: ["slabs", ""],
  slabMiB: ["slabs", "MiB"],
  temporaryFiles: ["temporary files", ""],
  temporaryMiB: ["temporary files", "MiB"],
} as const satisfies Record<keyof Holding, readonly [string, string]>;

const sharedMemory = "/dev/shm";

/**
 * Reads the resources of an app's processes.
 *
 * @param folder Temporary folder of the app. Slabs are counted for all apps of the machine.
 */
export function readHolding(pids: readonly number[], folder: string): Holding {
  const slabs = measureFiles(listOwn(sharedMemory));
  const temporary = measureFiles(listOwn(folder));
  return {
    pssMiB: pids.reduce((sum, pid) => sum + (readMemory(pid)?.pssMiB ?? 0), 0),
    descriptors: pids.reduce((sum, pid) => sum + orNone(() => readdirSync(`/proc/${pid}/fd`)).length, 0),
    ...{ slabs: slabs.count, slabMiB: slabs.mib, temporaryFiles: temporary.count, temporaryMiB: temporary.mib },
  };
}

/** Lists the folders of ekiben, without the compile cache that Node keeps beside them. */
const listOwn = (folder: string): string[] =>
  orNone(() => readdirSync(folder))
    .filter((name) => name.startsWith("ekiben"))
    .flatMap((name) => listFiles(join(folder, name)));

const listFiles = (folder: string): string[] =>
  orNone(() => readdirSync(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name));

function measureFiles(files: readonly string[]): { readonly count: number; readonly mib: number } {
  const sizes = files.flatMap((file) => orNone(() => [statSync(file).size]));
  return { count: sizes.length, mib: sizes.reduce((sum, size) => sum + size, 0) / 1024 ** 2 };
}

/** Ignores processes that end and files that disappear during the reading. */
function orNone<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch {
    return [];
  }
}
