import { lstatSync, mkdirSync, type Stats } from "node:fs";

/** Whether it is a folder, and no link to one, that this user alone may enter. */
export const isOwnFolder = (stats: Stats): boolean =>
  stats.isDirectory() && (stats.mode & 0o077) === 0 && (process.getuid === undefined || stats.uid === process.getuid());

/**
 * Makes a folder again that was removed. What others may have put in its place is not used: its name was to be seen.
 *
 * @returns Whether it had been removed.
 * @throws {Error} when it can't be made, or is somebody else's now.
 */
export function keepOwnFolder(path: string): boolean {
  try {
    mkdirSync(path, 0o700);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  if (!isOwnFolder(lstatSync(path))) throw new Error(`${path} was replaced by something that others may enter`);
  return false;
}
