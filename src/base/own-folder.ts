import { lstatSync, mkdirSync, rmSync, type Stats } from "node:fs";
import { dirname } from "node:path";

/** True for a folder, not a link to one, that only this user may enter. */
export const isOwnFolder = (stats: Stats): boolean =>
  stats.isDirectory() && (stats.mode & 0o077) === 0 && (process.getuid === undefined || stats.uid === process.getuid());

/**
 * Creates a folder again if it was removed. Refuses a replacement by another user, since the name of the folder is
 * visible.
 *
 * @param isParentGone True when the parent folder may be gone too; it is then created as well.
 * @returns True when the folder was missing.
 * @throws {Error} when it can't be created, or belongs to another user now.
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
 * Removes a file or a folder with its contents, as far as possible; never throws. (`force` alone still throws when
 * another program has put something else in the way.)
 */
export function removePath(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // The path belongs to another user now.
  }
}
