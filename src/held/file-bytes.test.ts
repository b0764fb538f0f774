import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { newBytes } from "../base/new-bytes.js";
import { readBytes, readRange, writeBytes } from "./held-bytes.js";
import { writeChunks } from "./spool-file.js";

const folder = mkdtempSync(join(tmpdir(), "ekiben-test-"));
after(() => rmSync(folder, { recursive: true }));

/** A little more than Node takes in one go. Nothing touches it, so it takes no memory. */
const hugeBytes = 2 ** 31 + 4096;

/** A file of ten bytes. */
function createSmall(): string {
  const path = join(folder, "small");
  writeFileSync(path, "0123456789");
  return path;
}

describe("more bytes than Node reads or writes in one go", () => {
  it("are read from a file up to its end", () => {
    const file = openSync(createSmall(), "r");
    const target = newBytes(hugeBytes);
    assert.throws(() => readBytes(file, target, hugeBytes, 3), { message: "it ends after 10 bytes" });
    assert.equal(Buffer.from(target.buffer, 0, 7).toString(), "3456789");
    closeSync(file);
  });

  it("are read by a promise up to the file's end", async () => {
    await using file = await open(createSmall(), "r");
    const target = newBytes(hugeBytes);
    await assert.rejects(readRange(file, target, 3), { message: "it ends after 10 bytes" });
    assert.equal(Buffer.from(target.buffer, 0, 7).toString(), "3456789");
  });

  it("are written", async () => {
    // It takes everything and looks at nothing.
    const file = openSync("/dev/null", "w");
    const bytes = newBytes(hugeBytes);
    writeBytes(file, bytes, hugeBytes, 0);
    const chunks = [bytes.subarray(0, 5), bytes];
    assert.equal(await new Promise((resolve) => writeChunks(file, chunks, resolve)), null);
    closeSync(file);
  });
});

describe("writeChunks", () => {
  it("writes chunks one after the other, more than the system takes at once too", async () => {
    const path = join(folder, "chunks");
    const file = openSync(path, "w");
    const chunks = Array.from({ length: 5000 }, (_, i) => new Uint8Array(i % 7).fill(i));
    assert.equal(await new Promise((resolve) => writeChunks(file, chunks, resolve)), null);
    closeSync(file);
    assert.deepEqual(readFileSync(path), Buffer.concat(chunks));
  });

  it("says what the system says", async () => {
    const file = openSync(createSmall(), "r");
    const error = await new Promise<any>((resolve) => writeChunks(file, [new Uint8Array(3)], resolve));
    assert.equal(error.code, "EBADF");
    closeSync(file);
  });
});
