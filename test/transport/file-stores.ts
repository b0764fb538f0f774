import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileStore } from "../../src/held/file-store.js";
import type { HeldFile } from "../../src/held/held-file.js";

/** Where a process of an app keeps large values; at its end nothing may be left there. */
export function openFileStore() {
  const root = mkdtempSync(join(tmpdir(), "ekiben-test-"));
  const folders = { memory: join(root, "memory"), disk: join(root, "disk") };
  for (const folder of Object.values(folders)) mkdirSync(folder);
  const files = new FileStore("1".repeat(32), () => folders);
  const list = () => Object.values(folders).flatMap((folder) => readdirSync(folder));
  /** A file on the disk. It has no blocks, so that it may have any size. */
  const createFile = (byteLength: number, isPassing = false): HeldFile => {
    const path = files.newPath("disk");
    writeFileSync(path, "");
    truncateSync(path, byteLength);
    return files.own(path, { start: 0, byteLength, use: "blob", isPassing });
  };
  /** One that somebody else has taken away. */
  const createLost = (byteLength: number): HeldFile => {
    const file = createFile(byteLength);
    rmSync(file.name?.path as string);
    return file;
  };
  const close = () => {
    files.close();
    const left = list();
    rmSync(root, { recursive: true });
    assert.deepEqual(left, []);
  };
  return { files, list, createFile, createLost, [Symbol.dispose]: close };
}
