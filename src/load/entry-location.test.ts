import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import type { ServiceClass } from "../define/depends.js";
import { Service } from "../define/service.js";
import { loadEntry, locateEntry } from "./entry-location.js";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "ekiben-test-")));
after(() => rmSync(folder, { recursive: true }));
const own = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
const prelude = `import { Service } from ${own("../define/service.ts")};\n`;

/** Writes an author's file and imports it. */
async function write(name: string, text: string): Promise<Record<string, ServiceClass>> {
  const file = join(folder, name);
  writeFileSync(file, prelude + text);
  return await import(pathToFileURL(file).href);
}

class OfThisFile extends Service() {}

describe("locateEntry", () => {
  it("finds the file that exports the class, under whatever name", async () => {
    const exported = await write(
      "exported.mjs",
      `export class App extends Service() {}
       class Inner extends Service({ name: "Scorer" }) {}
       export { Inner as Alias };
       export default class extends Service({ name: "ByDefault" }) {}`,
    );
    const file = join(folder, "exported.mjs");
    assert.deepEqual(await locateEntry(exported["App"] as ServiceClass, "App"), {
      ...{ file, service: "App", earlier: [] },
    });
    assert.equal((await locateEntry(exported["Alias"] as ServiceClass, "Scorer")).file, file);
    assert.equal((await locateEntry(exported["default"] as ServiceClass, "ByDefault")).file, file);
  });

  it("looks through the files that led to the class: a base class of the author's own is not where it lies", async () => {
    await write("base.mjs", "export const createBase = (options) => class extends Service(options) {};");
    const { App } = await write(
      "derived.mjs",
      `import { createBase } from "./base.mjs";\nexport class App extends createBase({ replicas: 2 }) {}`,
    );
    assert.equal((await locateEntry(App as ServiceClass, "App")).file, join(folder, "derived.mjs"));
  });

  it("finds a class whose base is of another file, and one that a function of a third made", async () => {
    await write("scorer.mjs", "export class Scorer extends Service() {}");
    await write(
      "make.mjs",
      `import { Scorer } from "./scorer.mjs";\nexport const make = (name) => ({ [name]: class extends Scorer {} })[name];`,
    );
    const { Double } = await write(
      "double.mjs",
      `import { Scorer } from "./scorer.mjs";\nexport class Double extends Scorer {}`,
    );
    const { Made } = await write("made.mjs", `import { make } from "./make.mjs";\nexport const Made = make("Made");`);
    assert.equal((await locateEntry(Double as ServiceClass, "Double")).file, join(folder, "double.mjs"));
    assert.equal((await locateEntry(Made as ServiceClass, "Made")).file, join(folder, "made.mjs"));
  });

  it("takes the file that its program names, by URL or path, and looks at no other", async () => {
    const { App } = await write("named.mjs", "export class App extends Service() {}");
    const file = join(folder, "named.mjs");
    const callers = () => assert.fail("the stack was read");
    for (const from of [file, pathToFileURL(file), pathToFileURL(file).href]) {
      assert.equal((await locateEntry(App as ServiceClass, "App", { from, callers })).file, file);
    }
    await write("other.mjs", "export class Other extends Service() {}");
    const from = join(folder, "other.mjs");
    await assert.rejects(locateEntry(App as ServiceClass, "App", { from, callers }), {
      id: "not_importable",
      details: { service: "App", files: [from] },
      fix: /from: import\.meta\.url/,
    });
    await assert.rejects(locateEntry(OfThisFile, "OfThisFile", { from: import.meta.url }), { id: "not_importable" });
  });

  it("says that no file exports the class, and where it looked", async () => {
    const exported: object = await write(
      "hidden.mjs",
      "class App extends Service() {}\nexport const create = () => App;",
    );
    const { create } = exported as { create: () => ServiceClass };
    await assert.rejects(locateEntry(create(), "App"), {
      id: "not_importable",
      service: "App",
      details: { service: "App", files: [join(folder, "hidden.mjs")] },
    });
  });

  it("never has a replica load a file of tests again", async () => {
    await assert.rejects(locateEntry(OfThisFile, "OfThisFile"), { id: "not_importable" });
  });

  it("knows the script that runs now, which hands its class over itself", () => {
    const script = join(folder, "script.mjs");
    writeFileSync(
      script,
      `${prelude}import { locateEntry } from ${own("./entry-location.ts")};
       class App extends Service() {}
       console.log(JSON.stringify(await locateEntry(App, "App")));`,
    );
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", script], { env, encoding: "utf8" });
    assert.deepEqual(JSON.parse(stdout || `"${stderr}"`), { file: script, service: "App", earlier: [] });
  });
});

describe("loadEntry", () => {
  it("gives the very class that was located, by the name of its service", async () => {
    const { App, Other } = await write(
      "two.mjs",
      `export class Other extends Service() {}\nexport class App extends Service({ name: "Scorer" }) {}`,
    );
    assert.equal(await loadEntry(await locateEntry(App as ServiceClass, "Scorer")), App);
    assert.equal(await loadEntry(await locateEntry(Other as ServiceClass, "Other")), Other);
  });

  it("says which services there are when the file no longer has it", async () => {
    await write("changed.mjs", `export class Before extends Service() {}\nexport const helper = 1;`);
    const location = { file: join(folder, "changed.mjs"), service: "After", earlier: [] };
    await assert.rejects(loadEntry(location), {
      id: "unknown_service",
      service: "After",
      details: { service: "After", file: location.file, known: ["Before"] },
    });
  });

  it("fails as the file does", async () => {
    await assert.rejects(loadEntry({ file: join(folder, "none.mjs"), service: "App", earlier: [] }), {
      id: "file_not_found",
    });
  });

  // Last of all: from here on serve() hands over in this process.
  it("takes what a script hands to serve(), though the script never ends (DH1)", async () => {
    const file = join(folder, "serving.mjs");
    writeFileSync(
      file,
      `${prelude}import { serve } from ${own("../app/serve.ts")};
       class App extends Service() {}
       await serve(App);`,
    );
    const loaded = await loadEntry({ file, service: "App", earlier: [] });
    assert.equal(loaded.name, "App");
  });
});
