import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { FileStore } from "../../src/held/file-store.js";
import type { HeldFile } from "../../src/held/held-file.js";

type Folders = Readonly<Record<"memory" | "disk", string>>;

function createFolders(): Folders {
  const root = mkdtempSync(join(tmpdir(), "ekiben-test-"));
  const folders = { memory: join(root, "memory"), disk: join(root, "disk") };
  for (const folder of Object.values(folders)) mkdirSync(folder);
  return folders;
}

/**
 * Opens the store of one process of an app for large values.
 *
 * @param shared Folders of another process of the same app. Default: its own, in which nothing may be left at its end.
 */
export function openFileStore(shared?: Folders) {
  const folders = shared ?? createFolders();
  const files = new FileStore((shared === undefined ? "1" : "2").repeat(32), () => folders);
  const list = () => Object.values(folders).flatMap((folder) => readdirSync(folder));
  /** File on the disk. It has no blocks, so that it may have any size. */
  const createFile = (byteLength: number, isPassing = false): HeldFile => {
    const path = files.newPath("disk");
    writeFileSync(path, "");
    truncateSync(path, byteLength);
    return files.own(path, { start: 0, byteLength, use: "blob", isPassing });
  };
  /** File that somebody else has removed. */
  const createLost = (byteLength: number): HeldFile => {
    const file = createFile(byteLength);
    rmSync(file.name?.path as string);
    return file;
  };
  const close = () => {
    files.close();
    if (shared !== undefined) return;
    const left = list();
    rmSync(dirname(folders.disk), { recursive: true });
    assert.deepEqual(left, []);
  };
  return { files, folders, list, createFile, createLost, [Symbol.dispose]: close };
}
