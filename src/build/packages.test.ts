import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import {
  findInstalled,
  type InstalledPackage,
  isNativePackage,
  judgeCode,
  PackageCopies,
  packageOf,
} from "./packages.js";

const root = realpathSync(mkdtempSync(join(tmpdir(), "ekiben-packages-")));
after(() => rmSync(root, { recursive: true, force: true }));
const platform = { os: "linux", arch: "x64", libc: "glibc" };

/** Installs a package with files; a path ends in `package.json` for its fields. */
function install(place: string, fields: object, files: readonly string[] = []): InstalledPackage {
  const folder = join(root, place);
  for (const file of ["package.json", ...files]) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), file === "package.json" ? JSON.stringify(fields) : "x");
  }
  return { name: place.slice(place.lastIndexOf("node_modules/") + 13), folder };
}

const filesOf = (copies: PackageCopies) =>
  copies.files().map(({ target, isNative }) => `${target}${isNative ? " native" : ""}`);

describe("packages beside a bundle", () => {
  it("takes native packages whole, for this platform alone, with what they depend on", () => {
    const addon = install(
      "node_modules/addon",
      {
        name: "addon",
        version: "1.0.0",
        dependencies: { tool: "1" },
        optionalDependencies: { "@addon/linux": "1", "@addon/mac": "1", "@addon/linux-musl": "1" },
      },
      [
        "index.js",
        "index.d.ts",
        "README.md",
        "bin/linux/x64/a.node",
        "bin/linux/arm64/a.node",
        "bin/win32/x64/a.dll",
        "lib/data.txt",
      ],
    );
    install("node_modules/tool", { name: "tool", version: "1.0.0" }, ["tool.js", "test/tool.js"]);
    install("node_modules/@addon/linux", { name: "@addon/linux", os: ["linux"], cpu: ["x64"], libc: ["glibc"] }, [
      "a.js",
    ]);
    install("node_modules/@addon/linux-musl", { name: "@addon/linux-musl", os: ["linux"], cpu: ["x64"] }, ["a.js"]);
    install("node_modules/@addon/mac", { name: "@addon/mac", os: ["darwin"], cpu: ["arm64"] }, ["a.js"]);
    assert.equal(isNativePackage(addon.folder), true);
    const copies = new PackageCopies(platform);
    copies.add(addon, "whole");
    assert.deepEqual(filesOf(copies), [
      "node_modules/addon/bin/linux/x64/a.node native",
      "node_modules/addon/index.js",
      "node_modules/addon/lib/data.txt",
      "node_modules/addon/package.json",
      "node_modules/tool/package.json",
      "node_modules/tool/tool.js",
      "node_modules/@addon/linux/a.js native",
      "node_modules/@addon/linux/package.json native",
    ]);
  });

  it("keeps two versions of a package apart", () => {
    const one = install("node_modules/one", { name: "one", dependencies: { both: "1" } });
    install("node_modules/one/node_modules/both", { name: "both", version: "1.0.0" });
    const both = install("node_modules/both", { name: "both", version: "2.0.0" });
    const copies = new PackageCopies(platform);
    copies.add(both, "whole");
    copies.add(one, "whole");
    assert.deepEqual(
      filesOf(copies).filter((file) => file.includes("both")),
      ["node_modules/both/package.json", "node_modules/one/node_modules/both/package.json"],
    );
  });

  it("takes what a file names in a text and the bundle still has", () => {
    const model = install("node_modules/model", { name: "model" }, ["weights.bin", "index.js"]);
    writeFileSync(
      join(root, "package.json"),
      JSON.stringify({ name: "app", dependencies: { model: "1", other: "1" } }),
    );
    install("node_modules/other", { name: "other" });
    const text = 'import { a } from "other"; const folder = find("model", "weights.bin");';
    const named = (code: string) => {
      const copies = new PackageCopies(platform);
      copies.addNamed(join(root, "service.ts"), text, code);
      return copies.files().map(({ source }) => source);
    };
    assert.deepEqual(named('find("model", "weights.bin")').length, 3);
    assert.deepEqual(named("dropped()"), []);
    assert.equal(findInstalled("model", join(root, "deep/er"))?.folder, model.folder);
  });

  it("judges code by how it finds other files", () => {
    assert.equal(judgeCode('require("a"); module.exports = 1;'), "bundled");
    assert.equal(judgeCode("// __dirname\nmodule.exports = 1;"), "bundled");
    assert.equal(judgeCode('read(__dirname + "/a.wasm")'), "with its data");
    assert.equal(judgeCode("require(name)"), "apart");
    assert.equal(judgeCode("new Worker(file)"), "apart");
  });

  it("knows the package of a file; a workspace is the author's", () => {
    assert.deepEqual(packageOf("/a/node_modules/@b/c/d.js"), { name: "@b/c", folder: "/a/node_modules/@b/c" });
    assert.equal(packageOf("/a/packages/c/d.js"), undefined);
  });
});
