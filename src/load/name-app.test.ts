import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { nameApp } from "../app/plan-app.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-names-"));
after(() => rmSync(root, { recursive: true, force: true }));

describe("nameApp", () => {
  it("is the package, the file and the entry, wherever the package lies and however it is built", () => {
    for (const release of ["releases/1", "releases/2"]) {
      mkdirSync(join(root, release, "dist"), { recursive: true });
      writeFileSync(join(root, release, "package.json"), '{"name":"@acme/shop"}');
      // One without a name says only how files are to be read.
      writeFileSync(join(root, release, "dist", "package.json"), '{"type":"module"}');
      assert.equal(nameApp(join(root, release, "service.ts"), "Shop"), "@acme/shop/service.Shop");
      assert.equal(nameApp(join(root, release, "dist/service.js"), "Shop"), "@acme/shop/service.Shop");
    }
  });

  it("tells files of one folder apart, and entries of one file", () => {
    const names = ["a.ts", "b.ts"].flatMap((file) => ["A", "B"].map((entry) => nameApp(join(root, file), entry)));
    assert.equal(new Set(names).size, 4);
  });

  it("holds only what the option for it takes", () => {
    assert.equal(nameApp(join(root, "jobs of mine.ts"), "Jobs"), "jobs_of_mine.Jobs");
  });
});
