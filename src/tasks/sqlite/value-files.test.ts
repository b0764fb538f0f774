import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, it } from "node:test";
import { ValueFiles } from "./value-files.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-values-"));
after(() => rmSync(root, { recursive: true, force: true }));
const hourMs = 3_600_000;

describe("ValueFiles", () => {
  let folder: string;
  let files: ValueFiles;
  beforeEach(async () => {
    folder = mkdtempSync(join(root, "values-"));
    files = await ValueFiles.open(folder);
  });
  const bytes = Buffer.from("some bytes");

  it("writes files that only their owner can read, whole, and nothing else (LV1)", async () => {
    const name = await files.write(bytes);
    assert.deepEqual(await files.read(name), bytes);
    assert.deepEqual(readdirSync(folder), [name]);
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  });

  it("leaves nothing of a file that could not be written", async () => {
    rmSync(folder, { recursive: true });
    await assert.rejects(files.write(bytes), { code: "ENOENT" });
  });

  it("copies without a second file on the disk, and each name may go by itself", async () => {
    const name = await files.write(bytes);
    const copy = await files.copy(name);
    assert.equal(statSync(join(folder, copy)).ino, statSync(join(folder, name)).ino);
    await files.remove([name, name, "never-there"]);
    assert.deepEqual(await files.read(copy), bytes);
  });

  it("sweeps what no row names once it is an hour old, half-written files too (LV2)", async () => {
    const [named, orphan] = [await files.write(bytes), await files.write(bytes)];
    writeFileSync(join(folder, "0123.part"), "half");
    const asked: string[] = [];
    const pickNamed = async (names: readonly string[]) => {
      asked.push(...names);
      return new Set([named]);
    };
    await files.sweep(Date.now() + hourMs - 60_000, pickNamed);
    assert.equal(readdirSync(folder).length, 3);
    assert.deepEqual(asked, []);
    await files.sweep(Date.now() + hourMs + 60_000, pickNamed);
    assert.deepEqual(asked.sort(), [named, orphan, "0123.part"].sort());
    assert.deepEqual(readdirSync(folder), [named]);
  });

  it("takes a fresh copy of an old file for young", async () => {
    const name = await files.write(bytes);
    const writtenAt = statSync(join(folder, name)).mtimeMs;
    await new Promise<void>((resolve) => setImmediate(resolve));
    const copy = await files.copy(name);
    assert.ok(statSync(join(folder, copy)).mtimeMs > writtenAt);
  });
});
