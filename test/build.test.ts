import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ask, Project, shop } from "./build/project.js";

const readText = (...path: string[]) => readFileSync(join(...path), "utf8");
const manifestOf = (...path: string[]) => JSON.parse(readText(...path, "manifest.json"));

/** Digests by service. */
const digestsOf = ({ out }: Project): Record<string, string> =>
  Object.fromEntries(manifestOf(out).services.map(({ service, digest }: never) => [service, digest]));

describe("ekiben build", () => {
  let project: Project;
  before(async () => {
    project = new Project();
    const { status, stderr } = await project.build();
    assert.equal(status, 0, stderr);
  });
  after(() => project[Symbol.dispose]());

  it("makes one folder for each service that is not inline", () => {
    const names = readdirSync(project.out, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
    assert.deepEqual(names.sort(), ["Model", "Shop", "Style", "node_modules"]);
    const { entry, services, edges, toolchain } = manifestOf(project.out);
    assert.equal(entry, "Shop");
    assert.deepEqual(
      services.map(({ service }: { service: string }) => service),
      ["Model", "Style", "Shop"],
    );
    assert.deepEqual(
      edges.map(({ from, to, timeoutMs }: never) => [from, to, timeoutMs]),
      [
        ["Shop", "Model", 3000],
        ["Shop", "Words", undefined],
        ["Shop", "Style", undefined],
      ],
    );
    assert.match(toolchain.esbuild, /^\d/);
  });

  it("gives a caller the contracts of its callees, and nothing of their code, files and imports", () => {
    const caller = readText(project.out, "Shop/service.mjs");
    assert.doesNotMatch(caller, /secretOfStyle|modelRuntime|weights\.bin/);
    assert.match(caller, /serviceOfContract/);
    assert.match(caller, /\.split\(" "\)\.length/, "the inline service is in it");
    assert.equal(existsSync(join(project.out, "Shop/files")), false);
    assert.deepEqual(readdirSync(join(project.out, "Shop/contracts")).sort(), [
      "Model.json",
      "Style.json",
      "Words.json",
    ]);
    const model = readText(project.out, "Model/service.mjs");
    assert.match(model, /modelRuntime/);
    assert.doesNotMatch(model, /secretOfStyle/);
    assert.equal(readText(project.out, "Model/files/shop/weights.bin"), "win\n");
    assert.equal(JSON.parse(readText(project.out, "Model/service.mjs.map")).sources.includes("model.ts"), true);
  });

  it("says what a service needs, in its manifest", () => {
    const { service, dependsOn, inline, options, contract, digest, files } = manifestOf(project.out, "Shop");
    assert.equal(service, "Shop");
    assert.deepEqual(inline, ["Words"]);
    assert.deepEqual(
      dependsOn.map(({ to }: { to: string }) => to),
      ["Model", "Words", "Style"],
    );
    assert.equal(dependsOn[0].contract, manifestOf(project.out, "Model").contract);
    assert.deepEqual(options.declared.Shop.options, { timeoutMs: 5000 });
    for (const text of [contract, digest]) assert.match(text, /^[0-9a-f]{32}$/);
    assert.deepEqual(Object.keys(files), [
      "contract.json",
      "contracts/Model.json",
      "contracts/Style.json",
      "contracts/Words.json",
      "service.mjs",
    ]);
  });

  it("runs where nothing is installed, by plain Node, with the options of the build", async () => {
    using copy = project.copyOut();
    using server = copy.start(["--port", "0"], { EKIBEN_LOG: "debug" });
    const url = await server.url();
    assert.deepEqual(await ask(url, "ask", { text: "WIN NOW" }), { label: "ham", words: 2, style: "loud" });
    assert.deepEqual(await ask(url, "ask", { text: "you win" }), { label: "spam", words: 2, style: "quiet" });
    server.child.kill("SIGTERM");
    const { status, stderr } = await server.ended;
    assert.equal(status, 0, stderr);
    assert.deepEqual(readdirSync(copy.folder), ["app"], "nothing is written beside it");
  });

  it("is served by the command line, wherever each service lives", async () => {
    for (const placement of ["process", "thread"]) {
      using copy = project.copyOut();
      using server = copy.start(["--port", "0", "--placement", `Model=${placement}`, "--placement", "Shop=inline"]);
      const url = await server.url();
      assert.deepEqual(await ask(url, "ask", { text: "you win" }), { label: "spam", words: 2, style: "quiet" });
    }
  });

  it("puts services of one group into one process", async () => {
    using copy = project.copyOut();
    using server = copy.start(["--port", "0", "--group", "all"]);
    const url = await server.url();
    assert.deepEqual(await ask(url, "ask", { text: "you win" }), { label: "spam", words: 2, style: "quiet" });
  });

  it("runs one service that needs no other, from its folder alone", async () => {
    using copy = project.copyOut();
    for (const other of ["Shop", "Style", "manifest.json"]) rmSync(join(copy.app, other), { recursive: true });
    using server = copy.start(["Model", "--port", "0"]);
    assert.equal(await ask(await server.url(), "label", "you win"), "spam");
  });

  it("has the same digests in every folder", async () => {
    using other = new Project();
    await other.build();
    assert.deepEqual(digestsOf(other), digestsOf(project));
    assert.equal(manifestOf(other.out).digest, manifestOf(project.out).digest);
    for (const service of ["Model", "Shop", "Style"]) {
      for (const file of ["service.mjs", "service.mjs.map", "manifest.json"]) {
        assert.equal(readText(other.out, service, file), readText(project.out, service, file));
        assert.equal(readText(other.out, service, file).includes(other.folder), false);
      }
    }
  });

  it("changes the digest of a service that changed, and no other", async () => {
    using own = new Project();
    await own.build();
    const begun = digestsOf(own);
    const changesAfter = async (files: Record<string, string>) => {
      const earlier = digestsOf(own);
      own.write(files);
      const { status, stderr } = await own.build();
      assert.equal(status, 0, stderr);
      return Object.entries(digestsOf(own)).flatMap(([name, digest]) => (digest === earlier[name] ? [] : [name]));
    };
    assert.deepEqual(
      await changesAfter({ "runtime.ts": `${shop["runtime.ts"]}// nothing\nconsole.error("one more line");` }),
      ["Model"],
    );
    assert.deepEqual(await changesAfter({ "weights.bin": "lose\n" }), ["Model"]);
    assert.deepEqual(
      await changesAfter({ "words.ts": (shop["words.ts"] as string).replace('split(" ")', 'split("  ")') }),
      ["Shop"],
    );
    assert.deepEqual(
      await changesAfter({
        "service.ts": (shop["service.ts"] as string).replace("secretOfStyle === text", "text === secretOfStyle"),
      }),
      ["Style"],
    );
    assert.deepEqual(await changesAfter(shop), ["Model", "Style", "Shop"]);
    assert.deepEqual(digestsOf(own), begun);
  });

  it("changes a caller with the contract of its callee", async () => {
    using own = new Project();
    await own.build();
    const earlier = digestsOf(own);
    own.write({
      "service.ts": (shop["service.ts"] as string).replace(
        "judge = api({ input: z.string()",
        "judge = api({ input: z.string().max(99)",
      ),
    });
    await own.build();
    const now = digestsOf(own);
    assert.deepEqual(
      Object.keys(now).filter((name) => now[name] !== earlier[name]),
      ["Style", "Shop"],
    );
  });

  it("does nothing when nothing has changed, and notices everything that has", async () => {
    using own = new Project();
    const unchanged = /unchanged since the last build/;
    assert.doesNotMatch((await own.build()).stderr, unchanged);
    assert.match((await own.build()).stderr, unchanged);
    own.write({ "weights.bin": "others\n" });
    const rebuilt = await own.build();
    assert.doesNotMatch(rebuilt.stderr, unchanged);
    assert.match(rebuilt.stdout, /Model +\w+ +\d+ kB +changed\n.*Style .* as before\n.*Shop .* as before/);
    own.write({ "ekiben.config.json": '{ "port": 1 }' });
    assert.doesNotMatch((await own.build()).stderr, unchanged);
    own.write({ "service.ts": `${shop["service.ts"]}\nconsole.error(process.env["GREETING"]);` });
    await own.build([], { GREETING: "a" });
    assert.match((await own.build([], { GREETING: "a" })).stderr, unchanged);
    assert.doesNotMatch((await own.build([], { GREETING: "b" })).stderr, unchanged);
    assert.doesNotMatch((await own.build(["--force"], { GREETING: "b" })).stderr, unchanged);
  });

  it("leaves the earlier build as it was when it fails", async () => {
    using own = new Project();
    await own.build();
    const earlier = readText(own.out, "manifest.json");
    own.write({ "model.ts": (shop["model.ts"] as string).replace("weights.bin", "missing.bin") });
    const { status, stderr } = await own.build();
    assert.equal(status, 1);
    assert.match(stderr, /Model: model\.ts:8 reads missing\.bin, which can't come along: there is no such file/);
    assert.equal(readText(own.out, "manifest.json"), earlier);
    assert.deepEqual(readdirSync(join(own.folder, ".ekiben")).sort(), [".build-cache.json", "build"]);
    writeFileSync(join(own.folder, "taken"), "");
    own.write(shop);
    const blocked = await own.build(["--out", "taken/build"]);
    assert.match(blocked.stderr, /the build can't be written to .*taken\/build: /);
  });

  it("refuses a copy that is not whole, and options that a build can't take", async () => {
    using copy = project.copyOut();
    const fails = async (args: readonly string[] = [], service: readonly string[] = []) => {
      using server = copy.start([...service, "--port", "0", ...args]);
      const { status, stderr } = await server.ended;
      assert.equal(status, 1);
      return stderr;
    };
    assert.match(await fails(["--placement", "Model=inline"]), /Model\.placement: it was built by itself/);
    assert.match(await fails(["--placement", "Words=process"]), /Words\.placement: it was built into its callers/);
    assert.match(
      await fails([], ["Shop"]),
      /Model\.at: the code of Model is not in this folder, and no address says where/,
    );
    writeFileSync(join(copy.app, "Model/files/shop/weights.bin"), "longer than before\n");
    assert.match(await fails(), /not as it was built: files\/shop\/weights\.bin: it has 19 bytes instead of 4/);
    writeFileSync(join(copy.app, "Model/files/shop/weights.bin"), "win\n");
    const bundle = join(copy.app, "Shop/service.mjs");
    writeFileSync(bundle, readText(bundle).replace("ask", "asq"));
    assert.match(await fails(), /service\.mjs: its content differs from the digest/);
    writeFileSync(join(copy.app, "manifest.json"), "{");
    assert.match(await fails(), /manifest\.json is not JSON/);
  });
});
