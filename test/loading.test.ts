import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type BuildOptions, build } from "esbuild";
import { Project } from "./loading/project.js";

const head = `import { api, depends, Service } from "ekiben";\nimport { z } from "zod";\n`;
const placements = ["process", "thread", "inline"] as const;

/** Prints the answer of each api of the apps. */
const callAll = (...apps: string[]) => `
const answers = [];
for (const { url } of [${apps}]) {
  const response = await fetch(url + "/run", { method: "POST", headers: { "content-type": "application/json" }, body: "1" });
  answers.push(response.status === 200 ? await response.json() : await response.text());
}
console.log("answers " + JSON.stringify(answers));`;

async function answersOf(project: Project, ...args: string[]): Promise<unknown> {
  using program = project.run(args);
  const [, answers = ""] = await program.until(/answers (.*)\n/);
  return JSON.parse(answers);
}
const loader = ["--import", "tsx"];

describe("a service that extends a class of another file", () => {
  const files = {
    "base.ts": `${head}
export abstract class Scorer extends Service({ resources: { cpu: 1 } }) {
  abstract readonly factor: number;
  run = api({ input: z.number(), output: z.number() }, (n) => n * this.factor);
}
export const scaled = (factor: number) => class extends Scorer { readonly factor = factor; };
export const mixed = <B extends abstract new () => Scorer>(Base: B) => { abstract class Mixed extends Base {} return Mixed; };`,
    "double.ts": `import { Scorer } from "./base.ts";\nexport class Double extends Scorer { readonly factor = 2; }`,
    "made.ts": `import { mixed, Scorer, scaled } from "./base.ts";
export class Triple extends mixed(Scorer) { readonly factor = 3; }
const named = { Fourfold: class extends scaled(4) {} };
export default named.Fourfold;`,
  };
  for (const placement of ["process", "thread"] as const) {
    it(`is served by a program as itself (${placement})`, async () => {
      const options = `{ port: 0, options: { placement: "${placement}", logLevel: "silent" } }`;
      using project = new Project({
        files: {
          ...files,
          "main.ts": `import { serve } from "ekiben";
import { Double } from "./double.ts";
import Fourfold, { Triple } from "./made.ts";
const apps = await Promise.all([Double, Triple, Fourfold].map((entry) => serve(entry, ${options})));
${callAll("...apps")}
await Promise.all(apps.map((app) => app.close()));`,
        },
      });
      assert.deepEqual(await answersOf(project, ...loader, "main.ts"), [2, 3, 4]);
    });
  }
});

describe("a program that says which file has its class", () => {
  for (const placement of ["process", "thread"] as const) {
    it(`has replicas load that one (${placement})`, async () => {
      using project = new Project({
        files: {
          "service.ts": `${head}
export class App extends Service() {
  run = api({ input: z.number(), output: z.string() }, () => String(Reflect.get(globalThis, "loadedBy")));
}`,
          "entry.ts": `Reflect.set(globalThis, "loadedBy", "entry.ts");\nexport { App } from "./service.ts";`,
          "main.ts": `import { serve } from "ekiben";
import { App } from "./service.ts";
const options = { placement: "${placement}", logLevel: "silent" } as const;
const from = new URL("./entry.ts", import.meta.url);
const apps = [await serve(App, { port: 0, options, from }), await serve(App, { port: 0, options })];
${callAll("...apps")}
await Promise.all(apps.map((app) => app.close()));`,
        },
      });
      assert.deepEqual(await answersOf(project, ...loader, "main.ts"), ["entry.ts", "undefined"]);
    });
  }
});

describe("two servers in one file", () => {
  const services = `${head}
export class Model extends Service() { run = api({ input: z.number(), output: z.number() }, (n) => n + 1); }
export class Public extends Service() {
  model = depends(Model);
  run = api({ input: z.number(), output: z.string() }, async (n) => "public " + (await this.model.run(n)));
}
class Admin extends Service() {
  model = depends(Model);
  run = api({ input: z.number(), output: z.string() }, async (n) => "admin " + (await this.model.run(n)));
}
const options = { port: 0, options: { placement: process.argv[2], logLevel: "silent" } } as never;`;
  const close = `
await a.close();
const metrics = await (await fetch(b.url + "/metrics")).text();
console.log(/service="Public"/.test(metrics) ? "mixed" : "apart", /service="Admin"/.test(metrics));
${callAll("b").replaceAll("answers", "left")}
await b.close();`;

  for (const placement of placements) {
    it(`both answer, one after the other, and one outlives the other (DH2) (${placement})`, async () => {
      const main = `import { serve } from "ekiben";\n${services}
const a = await serve(Public, options);
const b = await serve(Admin, options);
${callAll("a", "b")}${close}`;
      using project = new Project({ files: { "main.ts": main } });
      using program = project.run([...loader, "main.ts", placement]);
      const { status, stdout, stderr } = await program.ended;
      assert.equal(status, 0, stderr);
      assert.match(stdout, /answers \["public 2","admin 2"\]\napart true\nleft \["admin 2"\]\n/);
    });
  }

  it("both answer when started at once, and each knows the address of an app that was started before", async () => {
    const main = `import { serve } from "ekiben";\n${services}
const [a, b] = await Promise.all([serve(Public, options), serve(Admin, options)]);
class Third extends Service() { run = api({ input: z.number(), output: z.string() }, () => b.url + " " + a.port); }
const c = await serve(Third, options);
${callAll("a", "b", "c")}
console.log(answers[2] === b.url + " " + a.port);
await Promise.all([a, b, c].map((server) => server.close()));`;
    using project = new Project({ files: { "main.ts": main } });
    using program = project.run([...loader, "main.ts", "process"]);
    const { status, stdout, stderr } = await program.ended;
    assert.equal(status, 0, stderr);
    assert.match(stdout, /answers \["public 2","admin 2",.*\]\ntrue\n/);
  });

  it("a file that waits for its own server, imported by the program, hands its class over as well", async () => {
    using project = new Project({
      files: {
        "main.ts": `import { server } from "./app.ts";\n${callAll("server")}\nawait server.close();`,
        "app.ts": `import { serve } from "ekiben";\n${services}
export const server = await serve(Admin, { port: 0, options: { logLevel: "silent" } });`,
      },
    });
    assert.deepEqual(await answersOf(project, ...loader, "main.ts"), ["admin 2"]);
  });
});

describe("two copies of ekiben", () => {
  const model = `${head.replace("api, depends, Service", "api, currentCall, depends, Service, ServingError")}
class Inner extends Service() { run = api({ input: z.number(), output: z.number() }, (n) => n + 1); }
export class Model extends Service() {
  inner = depends(Inner);
  run = api({ input: z.number(), output: z.number() }, async (n) => {
    if (n < 0) throw new ServingError({ code: "not_found", message: "below " + currentCall().caller.service });
    return this.inner.run(n);
  });
  count = api({ input: z.number(), yields: z.number() }, async function* (n) { for (let i = 0; i < n; i++) yield i; });
}`;
  const main = `${head.replace("Service }", "Service, serve, ServingError }")}
import { Model } from "./models/model.ts";
class App extends Service() {
  model = depends(Model);
  run = api({ input: z.number(), output: z.array(z.any()) }, async (n) => {
    const failure = await this.model.run(-1).catch((error) => error);
    const items = [];
    for await (const item of this.model.count(2)) items.push(item);
    return [await this.model.run(n), failure instanceof ServingError, failure.message, ...items];
  });
}
const a = await serve(App, { port: 0, options: { placement: process.argv[2], logLevel: "silent" } } as never);
${callAll("a")}
await a.close();`;
  const files = { "main.ts": main, "models/model.ts": model, "models/package.json": `{ "type": "module" }` };

  for (const placement of ["process", "inline"]) {
    it(`of one version work together (${placement})`, async () => {
      using project = new Project({ files });
      project.install("models/node_modules/ekiben");
      assert.deepEqual(await answersOf(project, ...loader, "main.ts", placement), [[2, true, "below App", 0, 1]]);
    });
  }

  it("of two versions are named with their folders before anything starts", async () => {
    using project = new Project({
      files: { ...files, "service.ts": `${main.slice(0, main.indexOf("const a ="))}export { App };` },
    });
    project.install("models/node_modules/ekiben", "9.9.9");
    using check = project.command(["check", "service.ts", "--no-types"]);
    const { status, stdout, stderr } = await check.ended;
    assert.equal(status, 1, stdout + stderr);
    const text = stdout + stderr;
    assert.ok(text.includes(`${project.folder}/models/node_modules/ekiben (9.9.9)`), text);
    assert.ok(text.includes(`${project.folder}/node_modules/ekiben (`), text);
    assert.match(text, /npm dedupe/);
    assert.doesNotMatch(text, /ran outside a graph/);
  });
});

describe("a bundled server", () => {
  const source = `import { serve } from "ekiben";\n${head}
class Model extends Service() { run = api({ input: z.number(), output: z.number() }, (n: number) => n + 1); }
class App extends Service() {
  model = depends(Model);
  run = api({ input: z.number(), output: z.array(z.any()) }, async (n: number) => [App.name.length, await this.model.run(n)]);
}
const server = await serve(App, { port: 0, options: { placement: process.argv[2], logLevel: "warn" } } as never);
${callAll("server")}
await server.close();`;
  const bundle = (project: Project, options: BuildOptions) =>
    build({
      entryPoints: [join(project.folder, "main.ts")],
      outfile: join(project.folder, "out/bundle.mjs"),
      ...{ bundle: true, platform: "node", format: "esm", logLevel: "error", ...options },
    });

  for (const placement of ["process", "thread"]) {
    it(`that leaves ekiben out runs, minified too (${placement})`, async () => {
      using project = new Project({ files: { "main.ts": source } });
      await bundle(project, { packages: "external", minify: true });
      using program = project.run(["out/bundle.mjs", placement]);
      const { status, stdout, stderr } = await program.ended;
      assert.equal(status, 0, stderr);
      assert.match(stdout, /answers \[\[1,2\]\]/);
      assert.match(stdout, /names of services look minified: \w+, \w+; .*--keep-names/);
    });
  }

  it("that contains ekiben is refused with an explanation, as an ES module and as CommonJS", async () => {
    using project = new Project({
      files: { "main.ts": `${source.slice(0, source.indexOf("const server"))}serve(App);` },
    });
    for (const options of [{}, { format: "cjs", outfile: join(project.folder, "out/bundle.cjs") }] as const) {
      await bundle(project, options);
      using program = project.run([options.format === undefined ? "out/bundle.mjs" : "out/bundle.cjs"]);
      const { status, stderr } = await program.ended;
      assert.equal(status, 1);
      assert.match(stderr, /ekiben itself is part of a bundle/);
      assert.match(stderr, /--packages=external/);
    }
  });
});
