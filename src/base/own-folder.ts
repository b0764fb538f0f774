import { lstatSync, mkdirSync, rmSync, type Stats } from "node:fs";
import { dirname } from "node:path";

/** Whether it is a folder, and no link to one, that this user alone may enter. */
export const isOwnFolder = (stats: Stats): boolean =>
  stats.isDirectory() && (stats.mode & 0o077) === 0 && (process.getuid === undefined || stats.uid === process.getuid());

/**
 * Makes a folder again that was removed. What others may have put in its place is not used: its name was to be seen.
 *
 * @param isParentGone Whether what it stood in may have been removed with it, and is made again too.
 * @returns Whether it had been removed.
 * @throws {Error} when it can't be made, or is somebody else's now.
 */
export function keepOwnFolder(path: string, isParentGone = false): boolean {
  try {
    mkdirSync(path, 0o700);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && isParentGone) {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      return keepOwnFolder(path);
    }
    if (code !== "EEXIST") throw error;
  }
  if (!isOwnFolder(lstatSync(path))) throw new Error(`${path} was replaced by something that others may enter`);
  return false;
}

/**
 * Removes a file or a folder with all that is in it, as far as that can be done: what is left is no reason to fail. `force` alone
 * still throws where somebody has put something else in the way.
 */
export function removePath(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // Not ours any more.
  }
}
