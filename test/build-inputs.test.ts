import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ask, Project, shop } from "./build/project.js";

/** A service whose file has more lines, and whose one api returns an expression. */
const single = (lines: string, value: string, more: Readonly<Record<string, string>> = {}) => ({
  "package.json": shop["package.json"] as string,
  "service.ts": `import { api, Service } from "ekiben";
import { z } from "zod";
${lines}
export class App extends Service() {
  run = api({ output: z.any() }, async () => ${value});
}
`,
  ...more,
});

/** Builds a project, runs a copy of the build, and returns the answer of its api. */
async function runBuilt(files: Readonly<Record<string, string>>): Promise<unknown> {
  using project = new Project(files);
  const { status, stderr } = await project.build();
  assert.equal(status, 0, stderr);
  using copy = project.copyOut();
  using server = copy.start(["--port", "0"]);
  return await ask(await server.url(), "run", undefined);
}

async function faultsOf(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  using project = new Project(files);
  const { status, stderr } = await project.build([], env);
  assert.equal(status, 1, stderr);
  assert.equal(existsSync(project.out), false);
  return stderr;
}

describe("files that come along in a build", () => {
  it("are those that code finds by its own place: by a URL, a folder, a pattern", async () => {
    const lines = `
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
const here = dirname(fileURLToPath(import.meta.url));
const read = (name: string) => readFileSync(new URL(\`data/\${name}.txt\`, import.meta.url), "utf8");
const folder = join(import.meta.dirname, "folder");
const data = new URL("./one.json", import.meta.url);`;
    const value = `[read("a"), readdirSync(folder).join(), JSON.parse(readFileSync(data, "utf8")).one, here.endsWith("files/shop")]`;
    const files = { "data/a.txt": "A", "data/b.txt": "B", "folder/c": "", "folder/d/e": "", "one.json": '{"one":1}' };
    assert.deepEqual(await runBuilt(single(lines, value, files)), ["A", "c,d", 1, true]);
  });

  it("are those that the option names", async () => {
    const files = {
      "package.json": shop["package.json"] as string,
      "service.ts": `import { readFileSync } from "node:fs";
import { join } from "node:path";
import { api, Service } from "ekiben";
import { z } from "zod";
const find = (name: string) => join(import.meta.dirname, name);
export class App extends Service({ build: { assets: ["models/**/*.bin"] } }) {
  run = api({ output: z.string() }, () => readFileSync(find("models/deep/er/a.bin"), "utf8"));
}
`,
      "models/deep/er/a.bin": "weights",
      "models/notes.txt": "not these",
    };
    using project = new Project(files);
    await project.build();
    assert.equal(existsSync(join(project.out, "App/files/shop/models/notes.txt")), false);
    assert.equal(await runBuilt(files), "weights");
  });

  it("are packages with native code, and those that code names", async () => {
    const lines = `import Database from "libsql";`;
    const value = `new Database(":memory:").prepare("SELECT 6 * 7 AS answer").get().answer`;
    assert.equal(await runBuilt(single(lines, value)), 42);
  });

  it("are JSON that is imported, and modules of a template", async () => {
    const lines = `import json from "./one.json" with { type: "json" };\nconst load = (name: string) => import(\`./plugins/\${name}.ts\`);`;
    const files = {
      "one.json": '{"one":1}',
      "plugins/a.ts": "export const a: string = 'A';",
      "plugins/b.ts": "export const a = 'B';",
    };
    assert.deepEqual(await runBuilt(single(lines, "[json.one, (await load('b')).a]", files)), [1, "B"]);
  });
});

describe("the app file in a build", () => {
  it("keeps its options and its functions, and no secret", async () => {
    const files = {
      ...single("", "process.env.GREETING"),
      "ekiben.config.ts": `import { type AppFile, secret } from "ekiben";
export default {
  timeoutMs: 4321,
  services: { App: { replicas: 2, env: { GREETING: secret("THE_SECRET") } } },
  fastify: (fastify) => { fastify.get("/own", async () => "hello"); },
} satisfies AppFile;
`,
    };
    using project = new Project(files);
    const { status, stderr } = await project.build([], { THE_SECRET: "not-to-be-written" });
    assert.equal(status, 0, stderr);
    const manifest = readFileSync(join(project.out, "App/manifest.json"), "utf8");
    assert.doesNotMatch(manifest, /not-to-be-written/);
    using copy = project.copyOut();
    using server = copy.start(["--port", "0"], { THE_SECRET: "read when it runs" });
    const url = await server.url();
    assert.equal(await ask(url, "run", undefined), "read when it runs");
    assert.equal(await (await fetch(`${url}/own`)).text(), "hello");
    assert.match(server.printed.stderr, /App {2}started in .* 2 replicas/);
  });

  it("may not carry what it read from the environment", async () => {
    const files = {
      ...single("", "1"),
      "ekiben.config.ts": `export default { services: { App: { env: { KEY: process.env.MY_API_KEY } } } };`,
    };
    const stderr = await faultsOf(files, { MY_API_KEY: "abcdef123456" });
    assert.match(stderr, /the option services\.App\.env\.KEY has the value of the environment variable MY_API_KEY/);
    assert.match(stderr, /secret\("MY_API_KEY"\)/);
    assert.doesNotMatch(stderr, /abcdef/);
  });
});

describe("faults of a build", () => {
  const cases: [string, Readonly<Record<string, string>>, RegExp][] = [
    [
      "an import that can't be followed",
      single("const load = (name: string) => import(name);", "load('x')"),
      /App: service\.ts:3 imports a module whose name is computed, so it can't come along: import\(name\)/,
    ],
    [
      "a require of a computed name",
      single(
        'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);',
        "require(process.argv[9] ?? '')",
      ),
      /App: service\.ts:6 imports a module whose name is computed/,
    ],
    [
      "a file that is missing",
      single('const file = new URL("./gone.bin", import.meta.url);', "file.href"),
      /App: service\.ts:3 reads \.\/gone\.bin, which can't come along: there is no such file/,
    ],
    [
      "a file whose name is computed",
      single(
        'import { join } from "node:path";\nconst find = (name: string) => join(import.meta.dirname, name);',
        "find('x')",
      ),
      /App: service\.ts:4 finds files by its own place, but it can't be told which: join\(import\.meta\.dirname,/,
    ],
    [
      "a package that is not installed",
      single("", "(await import('not-installed-at-all')).default"),
      /Could not resolve "not-installed-at-all"/,
    ],
  ];
  for (const [name, files, expected] of cases) {
    it(`names ${name}, with its place and a fix`, async () => {
      const stderr = await faultsOf(files);
      assert.match(stderr, expected);
      assert.match(stderr, /fix: /);
    });
  }

  it("names a callee whose code can't be separated from its caller", async () => {
    const text = (shop["service.ts"] as string).replace(
      "export class Style extends Service({ resources: { cpu: 1 } }) {",
      "$&\n  static table = Object.keys(globalThis);",
    );
    const stderr = await faultsOf({ ...shop, "service.ts": text });
    assert.match(
      stderr,
      /Shop: the code of Style would come along \(service\.ts\): something runs when the class is declared/,
    );
    const derived = (shop["service.ts"] as string).replace(
      "export class Shop extends Service({ timeoutMs: 5000 })",
      "export class Shop extends Style",
    );
    assert.match(await faultsOf({ ...shop, "service.ts": derived }), /Shop extends it/);
  });

  it("names a class that no file declares at its top level", async () => {
    const text = `import { api, Service } from "ekiben";
import { z } from "zod";
const make = () => {
  class App extends Service() { run = api({ output: z.any() }, () => 1); }
  return App;
};
export default make();
`;
    assert.match(
      await faultsOf({ "package.json": shop["package.json"] as string, "service.ts": text }),
      /no file declares the class App at its top level/,
    );
  });
});
