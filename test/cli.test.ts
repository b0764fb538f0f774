import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fixtures, runCommand } from "./cli-process.js";

describe("ekiben", { concurrency: 2 }, () => {
  it("shows an overview, each command's flags, and its version", async () => {
    const overview = await runCommand([]);
    assert.equal(overview.status, 0);
    for (const command of ["serve", "graph", "check", "options"]) {
      assert.match(overview.stdout, new RegExp(`^  ${command} +\\S`, "m"));
    }
    const help = await runCommand(["serve", "--help"]);
    assert.match(help.stdout, /-p, --port <port>\n {6}Port of the HTTP server.*\n {6}default: 3000; EKIBEN_PORT\n/);
    assert.match(help.stdout, /--timeout-ms <ms>/);
    assert.match(help.stdout, /^Exit codes$/m);
    const version = await runCommand(["--version"]);
    const { version: expected } = JSON.parse(await readFile(join(fixtures, "../../../package.json"), "utf8"));
    assert.equal(version.stdout, `${expected}\n`);
  });

  const usage: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [["serv"], /there is no command serv; did you mean serve\?/],
    [["--verison"], /there is no command --verison; did you mean --version\?/],
    [["service.ts"], /did you mean serve service\.ts\?/],
    [["serve", "--prot", "1"], /there is no flag --prot; did you mean --port\?/],
    [["graph", "--port", "1"], /there is no flag --port/],
    [["graph", "--format", "pdf"], /--format is pdf; it takes text, mermaid, svg, json/],
    [["check", "a.ts", "b.ts"], /check takes one file, got a\.ts b\.ts/],
  ];
  for (const [args, message] of usage) {
    it(`refuses \`ekiben ${args.join(" ")}\` with status 2 and says what was meant`, async () => {
      const { status, stdout, stderr } = await runCommand(args);
      assert.equal(status, 2);
      assert.equal(stdout, "");
      assert.match(stderr, message);
      assert.match(stderr, /fix: Run /);
    });
  }

  it("says which file is missing", async () => {
    const { status, stderr } = await runCommand(["graph", "nothing.ts"]);
    assert.equal(status, 1);
    const [error, fix, docs, ...rest] = stderr.split("\n");
    assert.equal(error, "error: there is no file nothing.ts");
    assert.equal(fix, "  fix: Name the file that exports the service: ekiben serve path/to/service.ts");
    assert.match(docs ?? "", /^ {2}docs: /);
    assert.deepEqual(rest, [""]);
  });

  it("says where the reference explains a failure, in a file of the package", async () => {
    const { stderr } = await runCommand(["graph", "nothing.ts"]);
    const [, page = "", id] = /^ {2}docs: (.*)#(.*)$/m.exec(stderr) ?? [];
    assert.match(readFileSync(join(fixtures, page), "utf8"), new RegExp(`^### ${id}$`, "m"));
    const { stderr: faults } = await runCommand(["graph", "faults.ts:Left"]);
    assert.deepEqual(faults.match(/#\w+$/gm), ["#reserved_name", "#cycle"]);
  });

  it("shows the author's own lines and the cause when a file throws while it loads", async () => {
    const { status, stderr } = await runCommand(["graph", "broken.ts"]);
    assert.equal(status, 1);
    assert.match(stderr, /error: broken\.ts could not be loaded: the table has no rows\n/);
    assert.match(stderr, /at readTable \(broken\.ts:2:\d+\)/);
    assert.match(stderr, /caused by Error: ENOENT/);
    assert.doesNotMatch(stderr, /node:internal|dist\//);
  });

  it("asks which service is meant", async () => {
    const { status, stderr } = await runCommand(["graph", "two-entries.mjs"]);
    assert.equal(status, 1);
    assert.match(stderr, /two-entries\.mjs exports 2 services that no other depends on: First, Second/);
    assert.equal((await runCommand(["graph", "two-entries.mjs:Second"])).status, 0);
  });

  it("lists every fault of a graph at once", async () => {
    const { status, stdout, stderr } = await runCommand(["graph", "faults.ts:Left"]);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^2 faults\n/);
    assert.match(stderr, /fault Left\.ready: ready is a lifecycle hook/);
    assert.match(stderr, /services depend on one another in a circle: Left -> Right -> Left/);
    assert.equal(stderr.match(/^ {4}fix: /gm)?.length, 2);
  });

  it("colours only where colours are wanted", async () => {
    const paint = async (env: Record<string, string>) =>
      (await runCommand(["--help"], { env })).stdout.includes("\u001b[");
    assert.equal(await paint({}), false);
    assert.equal(await paint({ FORCE_COLOR: "1" }), true);
    assert.equal(await paint({ FORCE_COLOR: "0" }), false);
  });
});

describe("ekiben graph", { concurrency: 2 }, () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), "ekiben-cli-"))));
  after(() => rm(folder, { recursive: true, force: true }));

  it("shows a graph as text", async () => {
    const { status, stdout, stderr } = await runCommand(["graph", "service.ts"]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^Counter/);
    assert.match(stdout, /└─ Words/);
    assert.match(stdout, /2 services, 1 edge\n$/);
  });

  it("shows it as Mermaid and as JSON", async () => {
    assert.match((await runCommand(["graph", "service.ts", "-f", "mermaid"])).stdout, /^flowchart LR\n/);
    const document = JSON.parse((await runCommand(["graph", "service.ts", "--format", "json"])).stdout);
    assert.equal(document.entry, "Counter");
    assert.deepEqual(document.edges, [{ from: "Counter", field: "words", to: "Words" }]);
  });

  it("writes it to a file, in the format of its ending", async () => {
    const output = join(folder, "graph.svg");
    const { status, stdout, stderr } = await runCommand(["graph", "service.ts", "--output", output]);
    assert.deepEqual([status, stdout, stderr], [0, "", `wrote ${output}\n`]);
    assert.match(await readFile(output, "utf8"), /^<svg /);
  });
});

describe("ekiben options", { concurrency: 2 }, () => {
  it("says the value of each option and which source won", async () => {
    const { status, stdout } = await runCommand(
      ["options", "configured", "--changed", "--port", "4", "--max-queued", "Model.predict=7"],
      { env: { EKIBEN_PORT: "5", EKIBEN_REPLICAS: "Model=6" } },
    );
    assert.equal(status, 0);
    assert.equal(
      stdout,
      [
        "OPTION                   VALUE      SOURCE",
        "port                     4          --port",
        "host                     127.0.0.1  ekiben.config.ts host",
        "logLevel                 warn       ekiben.config.ts logLevel",
        "Model.replicas           6          EKIBEN_REPLICAS",
        "Model.predict.timeoutMs  222 ms     ekiben.config.ts services.Model.apis.predict.timeoutMs",
        "Model.predict.maxQueued  7          --max-queued",
        "",
      ].join("\n"),
    );
  });

  it("gives every option as JSON for other programs", async () => {
    const { stdout } = await runCommand(["options", "configured", "--json"]);
    const rows = JSON.parse(stdout) as { option: string; service?: string; value: unknown; source: string }[];
    const find = (option: string) => rows.find((row) => row.option === option);
    assert.deepEqual(find("replicas"), {
      option: "replicas",
      service: "Model",
      value: { min: 3, max: 3, targetInFlight: 8 },
      source: "service",
      where: "Service() of Model",
    });
    assert.equal(find("resources.memory")?.value, "Infinity");
    assert.equal(find("http.cors")?.source, "default");
  });

  it("shows no password of a store", async () => {
    const env = { EKIBEN_TASKS_STORE: "postgres://me:s3cret@db/tasks" };
    for (const form of [[], ["--json"]]) {
      const { stdout } = await runCommand(["options", "configured", "--changed", ...form], { env });
      assert.match(stdout, /postgres:\/\/me:\*\*\*@db\/tasks/);
      assert.doesNotMatch(stdout, /s3cret/);
    }
  });

  it("warns of a variable that sets nothing", async () => {
    const { status, stderr } = await runCommand(["options", "configured"], { env: { EKIBEN_REPLICA: "2" } });
    assert.equal(status, 0);
    assert.match(stderr, /warning EKIBEN_REPLICA: .*; did you mean EKIBEN_REPLICAS\?/);
  });

  it("names the apis that a timeout for the whole app does not reach, and so does check", async () => {
    const env = { EKIBEN_TIMEOUT_MS: "5000" };
    const kept = ["count", "hold"].map((name) => `Counter\\.${name} \\(20000 ms, Service\\(\\) of Counter\\)`);
    const note = new RegExp(
      `note timeoutMs: timeoutMs of 5000 ms \\(EKIBEN_TIMEOUT_MS\\) .* ${kept.join(", ")}\n {4}fix: `,
    );
    const options = await runCommand(["options", "service.ts", "--changed"], { env });
    assert.match(options.stderr, note);
    assert.match(options.stdout, /^Words\.split\.timeoutMs +5000 ms +EKIBEN_TIMEOUT_MS$/m);
    assert.match(options.stdout, /^Counter\.count\.timeoutMs +20000 ms +Service\(\) of Counter$/m);
    const check = await runCommand(["check", "service.ts", "--no-types"], { env });
    assert.equal(check.status, 0);
    assert.match(check.stdout, note);
  });
});

describe("ekiben check", { concurrency: 2 }, () => {
  it("passes a correct graph, and says what it did not check", async () => {
    const { status, stdout } = await runCommand(["check", "service.ts", "--no-types"]);
    assert.equal(status, 0, stdout);
    assert.equal(stdout, "ok: 2 services, 1 edge, 0 faults, 0 warnings\n");
  });

  it("finds faults in examples and warns of resources, and ends with 1", async () => {
    const { status, stdout } = await runCommand(["check", "faults.ts:Examples", "--no-types"]);
    assert.equal(status, 1);
    assert.match(stdout, /fault Examples\.run\.examples\[0\]: example 0 does not fit the input schema: n: /);
    assert.match(stdout, /warning resources\.cpu: all replicas together ask for 1000 cores/);
    assert.match(stdout, /not ok: 1 service, 0 edges, 1 fault, 1 warning\n$/);
  });

  it("finds type errors with the project's own TypeScript", async () => {
    const { status, stdout } = await runCommand(["check", "typed"]);
    assert.equal(status, 1, stdout);
    assert.match(stdout, /fault typed\/service\.ts:5:\d+: TS\d+: .*'string' is not assignable/);
  });
});

describe("a project of its own", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "ekiben-project-"));
    await writeFile(join(folder, "package.json"), "{}");
    await writeFile(join(folder, "service.cjs"), 'import { Service } from "ekiben";\n');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("is refused with an explanation when it is CommonJS with import statements", async () => {
    const { status, stderr } = await runCommand(["graph", "service.cjs"], { cwd: folder });
    assert.equal(status, 1);
    assert.match(stderr, /service\.cjs is loaded as CommonJS and has import statements/);
  });

  it("runs the command line of its own ekiben, since its services import that one", async () => {
    const own = join(folder, "node_modules/ekiben");
    await mkdir(own, { recursive: true });
    await writeFile(join(own, "package.json"), '{ "type": "module", "bin": { "ekiben": "./main.js" } }');
    await writeFile(join(own, "main.js"), 'console.log("own", ...process.argv.slice(2));');
    const { stdout } = await runCommand(["graph"], { cwd: folder });
    assert.equal(stdout, "own graph\n");
  });
});
