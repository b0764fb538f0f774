import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FileStore } from "../held/file-store.js";
import { createHeldBlob } from "../held/held-blob.js";
import { minHeldBytes } from "../held/held-bytes.js";
import type { HeldFile } from "../held/held-file.js";
import { SpoolFile } from "../held/spool-file.js";
import { splitHeldParts } from "./split-parts.js";

/** Finds a file system other than that of temporary files; `undefined` for none. */
function findOtherDisk(): string | undefined {
  try {
    return statSync("/dev/shm").dev === statSync(tmpdir()).dev ? undefined : "/dev/shm";
  } catch {
    return undefined;
  }
}
const otherDisk = findOtherDisk();

/** Opens a store whose folder can be changed, like one that was removed and created again elsewhere. */
function openStore() {
  const own = mkdtempSync(join(tmpdir(), "ekiben-test-"));
  const folders = [own];
  const files = new FileStore("1".repeat(32), () => ({ memory: undefined, disk: folders.at(-1) }));
  const close = () => {
    files.close();
    const left = folders.flatMap((folder) => readdirSync(folder));
    for (const folder of folders) rmSync(folder, { recursive: true });
    assert.deepEqual(left, []);
  };
  const moveTo = (root: string) => void folders.push(mkdtempSync(join(root, "ekiben-test-")));
  return { files, moveTo, [Symbol.dispose]: close };
}

async function spool(files: FileStore, bytes: Buffer): Promise<HeldFile> {
  const file = new SpoolFile(files);
  file.push(bytes);
  return await file.finish({ use: "bytes" });
}

/** Parts of a body, each different and larger than one read. */
const scans = [1, 2].map((seed) => Buffer.alloc(minHeldBytes + 300_001 * seed, `${seed}: ${"x".repeat(seed * 9)};`));
const head = (name: string) => `--x\r\ncontent-disposition: form-data; name="${name}"; filename="${name}"\r\n\r\n`;
const body = Buffer.concat([
  ...scans.flatMap((scan, i) => [Buffer.from(head(`scan${i}`)), scan, Buffer.from("\r\n")]),
  Buffer.from(`${head("note")}short\r\n--x--\r\n`),
]);

describe("splitHeldParts", () => {
  const bodyIsElsewhere = { skip: otherDisk === undefined && "there is no other file system here" };
  for (const [where, options] of [
    ["links", {}],
    ["copies, where the body's file can have no other name", bodyIsElsewhere],
  ] as const) {
    it(`gives large parts as ${where}`, options, async () => {
      using store = openStore();
      const held = await spool(store.files, body);
      if (options === bodyIsElsewhere) store.moveTo(otherDisk as string);
      const parts = await splitHeldParts(held, "multipart/form-data; boundary=x", {
        files: store.files,
        staysHeld: () => true,
      });
      assert.deepEqual(
        parts.map(({ name, held: own }) => [name, own?.byteLength]),
        [...scans.map((scan, i) => [`scan${i}`, scan.length]), ["note", undefined]],
      );
      for (const [i, scan] of scans.entries()) {
        const blob = createHeldBlob(parts[i]?.held as HeldFile, "");
        assert.ok(Buffer.from(await blob.arrayBuffer()).equals(scan));
      }
      assert.equal(Buffer.from(parts[2]?.bytes as Uint8Array).toString(), "short");
    });
  }
});
