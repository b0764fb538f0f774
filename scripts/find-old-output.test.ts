import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { findOldOutput } from "./find-old-output.js";

/** Writes files of a repository, each with the time it was changed, in seconds. */
function createRepository(files: Readonly<Record<string, number>>) {
  const root = mkdtempSync(join(tmpdir(), "ekiben-build-"));
  for (const [file, seconds] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), "");
    utimesSync(join(root, file), seconds, seconds);
  }
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
}

const built = {
  "src/index.ts": 1,
  "src/call/link.ts": 1,
  "src/call/link.test.ts": 9,
  "docs-page/docs-page.css": 1,
  "scripts/build-package.ts": 1,
  "tsconfig.json": 1,
  "tsconfig.build.json": 1,
  "dist/index.js": 2,
  "dist/call/link.js": 2,
  "dist/call/link.d.ts": 2,
  "dist/docs-page/docs-page.js": 2,
};

const find = (changes: Readonly<Record<string, number>>, without: readonly string[] = []) => {
  const files = Object.entries({ ...built, ...changes }).filter(([file]) => !without.includes(file));
  using repository = createRepository(Object.fromEntries(files));
  return findOldOutput(repository.root);
};

describe("findOldOutput", () => {
  it("finds nothing when each output is as new as its source, whatever changed in a test", () => {
    assert.equal(find({}), undefined);
    assert.equal(find({ "src/call/link.ts": 2 }), undefined);
  });

  it("finds a source that is newer than its output, or has none", () => {
    assert.equal(find({ "src/call/link.ts": 3 }), "src/call/link.ts");
    assert.equal(find({ "src/call/new.ts": 1 }), "src/call/new.ts");
    assert.equal(find({ "docs-page/docs-page.css": 3 }), "docs-page/docs-page.css");
    assert.equal(find({}, ["dist/index.js"]), "src/index.ts");
  });

  it("finds an output whose source is gone, and a newer recipe of the build", () => {
    assert.equal(find({}, ["src/call/link.ts"]), "dist/call/link.js");
    assert.equal(find({ "tsconfig.json": 3 }), "tsconfig.json");
  });
});
