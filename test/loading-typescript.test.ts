import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Project } from "./loading/project.js";

/** True when this Node runs TypeScript without tsx. */
const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript);

const tsconfig = `{
  // Comments are allowed here.
  "compilerOptions": {
    "module": "esnext", "moduleResolution": "bundler", "experimentalDecorators": true,
    "paths": { "@/*": ["./src/*"] },
  }
}`;

/** Syntax and paths that a bundler resolves, a compiler turns into code, or Node cannot strip. */
const files = {
  "tsconfig.json": tsconfig,
  "src/alias.ts": `export const alias = "alias";`,
  "src/lazy.ts": `export const lazy = "lazy";`,
  "src/ending.ts": `export enum Kind { A = "enum" }\nexport interface Shape { readonly a: 1 }`,
  "src/folder/index.ts": `export const folder = "folder";`,
  "src/labels.json": `{ "json": "json" }`,
  "src/decorated.ts": `
const seen: string[] = [];
const mark = (target: { name: string }) => { seen.push(target.name); };
@mark
class Marked { constructor(readonly parameter: string) {} }
export const decorated = () => seen[0] + new Marked(" parameter").parameter;`,
  "src/limits.ts": `export const queue = 7;`,
  "src/service.ts": `
import { api, depends, Service } from "ekiben";
import { z } from "zod";
import { alias } from "@/alias";
import { Kind, Shape } from "./ending";
import { folder } from "./folder";
import labels from "./labels.json";
import { decorated } from "./decorated.js";
const shape: Shape = { a: 1 };
class Model extends Service() {
  run = api({ input: z.string(), output: z.array(z.string()) }, async () => {
    const { lazy } = await import("@/lazy");
    return [alias, Kind.A, folder, labels.json, decorated(), lazy, String(shape.a)];
  });
}
export class App extends Service() {
  model = depends(Model);
  run = api({ input: z.string(), output: z.array(z.string()) }, (text) => this.model.run(text));
}`,
  "src/ekiben.config.ts": `
import { queue } from "@/limits";
export default { maxQueued: queue };`,
};
const answers = ["alias", "enum", "folder", "json", "Marked parameter", "lazy", "1"];

const call = async (url: string) => {
  const response = await fetch(`${url}/run`, {
    method: "POST",
    // Each request has a connection of its own, because an open connection stays with its version.
    headers: { "content-type": "application/json", connection: "close" },
    body: `"now"`,
  });
  return response.json();
};

describe("a TypeScript project that has tsx", () => {
  it("is checked, with its app file", async () => {
    using project = new Project({ files });
    using check = project.command(["check", "src/service.ts:App", "--no-types"]);
    const { status, stdout, stderr } = await check.ended;
    assert.equal(status, 0, stdout + stderr);
    using options = project.command(["options", "src/service.ts:App", "--changed"]);
    assert.match((await options.ended).stdout, /maxQueued +7 .*ekiben\.config\.ts/);
  });

  it("is served in processes, whatever folder the command line runs in", async () => {
    using project = new Project({ files });
    using server = project.command(["serve", `${project.folder}/src/service.ts:App`, "--port", "0"], "/");
    assert.deepEqual(await call(await server.url()), answers);
    server.child.kill("SIGINT");
    assert.equal((await server.ended).status, 0);
  });

  it("is served in threads, and one version after another", async () => {
    using project = new Project({ files });
    const args = ["serve", "src/service.ts:App", "--port", "0", "--placement", "thread", "--watch"];
    using server = project.command(args);
    const url = await server.url();
    assert.deepEqual(await call(url), answers);
    project.write({ "src/folder/index.ts": `export const folder = "another";` });
    await server.until(/version 2 ready/);
    // The previous version may still answer a connection that it was given.
    let changed: unknown;
    do changed = await call(url);
    while (JSON.stringify(changed) === JSON.stringify(answers));
    assert.deepEqual(
      changed,
      answers.map((answer) => (answer === "folder" ? "another" : answer)),
    );
    server.child.kill("SIGINT");
    await server.ended;
  });

  it("is served by a program under tsx, and need not be made of ES modules", async () => {
    using project = new Project({
      files: {
        ...files,
        "src/main.ts": `import { serve } from "ekiben";
import { App } from "./service";
void serve(App, { port: 0, options: { logLevel: "silent" } }).then((server) => console.log(server.url));`,
      },
      packageFile: {},
    });
    using program = project.run(["--import", "tsx", "src/main.ts"]);
    assert.deepEqual(await call(await program.url()), answers);
  });
});

describe("a TypeScript project without tsx", () => {
  const failing: Readonly<Record<string, readonly [text: string, need: RegExp]>> = {
    "alias.ts": [`\nimport { alias } from "@/alias";`, /alias\.ts:2 imports @\/alias, an alias of tsconfig\.json/],
    "ending.ts": [
      `import { queue } from "./src/limits";`,
      /ending\.ts:1 imports \.\/src\/limits and means \.\/src\/limits\.ts/,
    ],
    "script.ts": [
      `import { queue } from "./src/limits.js";`,
      /script\.ts:1 imports \.\/src\/limits\.js and means \.\/src\/limits\.ts/,
    ],
    "folder.ts": [
      `import "./src/folder";`,
      /folder\.ts:1 imports \.\/src\/folder and means \.\/src\/folder\/index\.ts/,
    ],
    "json.ts": [
      `// labels\nimport labels from "./src/labels.json";`,
      /json\.ts:2 imports src\/labels\.json without `with/,
    ],
    "enum.ts": [`\n\nexport enum Kind { A }`, /enum\.ts:3: TypeScript enum is not supported/],
    "deeper.ts": [`import "./enum.ts";`, /enum\.ts:3: TypeScript enum is not supported/],
    "type.ts": [
      `import { Shape } from "./src/shape.ts";\nexport const shape: Shape = {};`,
      /type\.ts:1 imports Shape, a type, without `import type`/,
    ],
    "decorator.ts": [`const mark = (_: unknown) => {};\n@mark\nexport class A {}`, /decorator\.ts:2 has a decorator/],
    "view.ts": [`import "./src/view.tsx";`, /src\/view\.tsx can't be loaded as it is/],
  };
  const missing = {
    "package.ts": `import "no-such-package";`,
    "file.ts": `import "./no-such-file.ts";`,
    "throws.ts": `throw new SyntaxError("its own");`,
  };

  it("names the line that needs it, and blames tsx for nothing else", async () => {
    using project = new Project({
      hasTsx: false,
      files: {
        "tsconfig.json": tsconfig,
        "src/limits.ts": "export const queue = 7;",
        "src/folder/index.ts": "",
        "src/labels.json": "{}",
        "src/shape.ts": "export interface Shape {}",
        "src/view.tsx": "export const view = 1;",
        ...Object.fromEntries(Object.entries(failing).map(([file, [text]]) => [file, text])),
        ...missing,
        "load.mjs": `import { loadModule } from "./node_modules/ekiben/dist/load/load-module.js";
const failures = {};
for (const file of process.argv.slice(2)) {
  failures[file] = await loadModule(file).then(() => "loaded", ({ id, message, fix }) => [id, message, fix]);
}
console.log(JSON.stringify(failures));`,
      },
    });
    using program = project.run(["load.mjs", ...Object.keys(failing), ...Object.keys(missing)]);
    const { stdout, stderr } = await program.ended;
    assert.notEqual(stdout, "", stderr);
    const failures = JSON.parse(stdout) as Record<string, [id: string, message: string, fix: string]>;
    for (const [file, [, need]] of Object.entries(failing)) {
      const [id, message, fix] = failures[file] as [string, string, string];
      assert.equal(id, "typescript_needs_loader", `${file}: ${message}`);
      assert.match(fix, /Install tsx/);
      if (stripsTypes) assert.match(message, need);
      else assert.match(message, /is TypeScript and Node \S+ can't run it without a loader/);
    }
    for (const file of Object.keys(missing)) {
      assert.equal(failures[file]?.[0], stripsTypes ? "module_failed" : "typescript_needs_loader", file);
    }
  });
});
