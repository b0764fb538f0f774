import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { keepOwnFolder } from "./own-folder.js";

let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "ekiben-own-"));
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

describe("keepOwnFolder", () => {
  it("makes a folder that is gone, for its owner alone, and leaves one that is there", () => {
    const folder = join(place, "own");
    assert.deepEqual([keepOwnFolder(folder), keepOwnFolder(folder)], [true, false]);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
  });

  it("refuses what may be somebody else's", () => {
    const [open, link, file] = ["open", "link", "file"].map((name) => join(place, name)) as [string, string, string];
    keepOwnFolder(open);
    chmodSync(open, 0o755);
    symlinkSync(place, link);
    writeFileSync(file, "", { mode: 0o600 });
    for (const path of [open, link, file]) assert.throws(() => keepOwnFolder(path), /that others may enter/);
  });

  it("makes no folder above it, unless that may have gone with it", () => {
    const path = join(place, "gone", "too", "own");
    assert.throws(() => keepOwnFolder(path), { code: "ENOENT" });
    assert.equal(keepOwnFolder(path, true), true);
    assert.equal(keepOwnFolder(path, true), false);
    for (const folder of [path, join(place, "gone")]) assert.equal(statSync(folder).mode & 0o777, 0o700);
  });
});
