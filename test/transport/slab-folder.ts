import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";

/** Folder in memory, removed at the end of the test. */
export interface SlabFolder extends Disposable {
  readonly path: string;
  /** Names of the files in it. */
  list(): string[];
}

/** Reason why no slabs work here; `false` where they do. */
export const hasNoSlabs: string | false = (() => {
  try {
    createSlabFolder()[Symbol.dispose]();
    return false;
  } catch (error) {
    return `no folder can be made in /dev/shm: ${(error as Error).message}`;
  }
})();

export function createSlabFolder(): SlabFolder {
  const path = mkdtempSync("/dev/shm/ekiben-test-");
  return {
    path,
    list: () => (existsSync(path) ? readdirSync(path) : []),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
