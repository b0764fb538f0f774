import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { BuildFolder, FileDigests } from "./build-folder.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-build-folder-"));
after(() => rmSync(root, { recursive: true, force: true }));
const out = join(root, "out");
const source = join(root, "model.bin");

async function build(text: string): Promise<void> {
  const folder = new BuildFolder(out, new FileDigests());
  await folder.open();
  await folder.write("A", [{ target: "service.mjs", content: text }]);
  await folder.copy("A", [{ source, target: "files/model.bin" }]);
  await folder.finish();
}

describe("BuildFolder", () => {
  it("replaces the earlier build at the end, and leaves it alone until then (BF1)", async () => {
    writeFileSync(source, "weights");
    await build("one");
    const next = new BuildFolder(out, new FileDigests());
    await next.open();
    await next.write("A", [{ target: "service.mjs", content: "two" }]);
    assert.equal(readFileSync(join(out, "A/service.mjs"), "utf8"), "one");
    await next.discard();
    assert.deepEqual(readdirSync(root).sort(), ["model.bin", "out"]);
    await build("two");
    assert.equal(readFileSync(join(out, "A/service.mjs"), "utf8"), "two");
  });

  it("gives a file that did not change a second name instead of a copy (BF2)", async () => {
    await build("one");
    const { ino } = statSync(join(out, "A/files/model.bin"));
    await build("two");
    assert.equal(statSync(join(out, "A/files/model.bin")).ino, ino);
    assert.notEqual(statSync(source).ino, ino);
    writeFileSync(source, "others!");
    await build("two");
    assert.equal(readFileSync(join(out, "A/files/model.bin"), "utf8"), "others!");
  });

  it("clears what a build that was killed has left, and puts back a build that it had moved away", async () => {
    await build("kept");
    mkdirSync(join(root, ".out.new-4194305"), { recursive: true });
    renameSync(out, join(root, ".out.old-4194305"));
    const next = new BuildFolder(out, new FileDigests());
    await next.open();
    await next.discard();
    assert.equal(readFileSync(join(out, "A/service.mjs"), "utf8"), "kept");
    assert.equal(existsSync(join(root, ".out.new-4194305")), false);
  });

  it("says that the folder can't be written", async () => {
    writeFileSync(join(root, "file"), "");
    const folder = new BuildFolder(join(root, "file/out"), new FileDigests());
    await assert.rejects(folder.open(), { id: "build_unwritable" });
  });
});
