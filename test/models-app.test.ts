import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { z } from "zod";
import { api, model, resource, Service, serve } from "../src/index.js";
import { compose } from "../src/testing.js";
import { CommandProcess, runCommand } from "./cli-process.js";
import { failureOf, LogBook } from "./conformance/suite.js";
import { bytesOf, digestOf, FileServer, sendFile } from "./models/file-server.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-models-app-"));
after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const newFolder = () => join(root, String(++folders));
const bytes = bytesOf(400_000);
const sha256 = digestOf(bytes);
const output = z.string();

describe("models of a service", () => {
  it("are there for start() and for resources, also private ones and those in lists, and are named by /readyz", async () => {
    await using files = await FileServer.start();
    files.add("/det.onnx", bytes);
    class Detector extends Service() {
      weights = model("det@1.2", { from: files.url("/det.onnx"), sha256 });
      readonly #keys = model("keys@1", { from: "file:./fixtures/models/words.txt" });
      readonly #more = [model("more@1", { from: "file:fixtures/models/words.txt" })];
      loaded = resource(() => readFileSync(this.weights.path).length);
      #text = "";
      override start() {
        this.#text = readFileSync(this.#keys.path, "utf8") + readFileSync(String(this.#more[0]?.path), "utf8");
      }
      tell = api(
        { output },
        () => `${this.loaded} ${this.#text.split("\n").length} ${this.weights.name} ${this.weights.version}`,
      );
    }
    const [log, options] = [new LogBook(), { placement: "inline", models: newFolder() } as const];
    const server = await serve(Detector, { port: 0, host: "127.0.0.1", options, log: log.logger });
    const { fields } = await log.take("a model was fetched");
    assert.deepEqual([fields["service"], fields["model"]], ["Detector", "det@1.2"]);
    assert.equal(await (await fetch(`${server.url}/tell`, { method: "POST" })).json(), "400000 3 det 1.2");
    const ready = (await (await fetch(`${server.url}/readyz`)).json()) as { services: { models: string[] }[] };
    assert.deepEqual(ready.services[0]?.models, ["det@1.2", "keys@1", "more@1"]);
    await server.close();
    await using again = await compose(Detector, { options: { models: options.models } });
    assert.match(await again.entry.tell(), /^400000 /);
    assert.equal(files.asked.length, 1);
  });

  it("have no path on an instance made with new, which a unit test may give them", async () => {
    class Detector extends Service() {
      weights = model("det@1.2", { from: "file:./weights.onnx" });
      tell = api({ output }, () => this.weights.path);
    }
    const detector = new Detector();
    const error = await failureOf(detector.tell());
    assert.equal(error.id, "model_not_fetched");
    assert.match(error.message, /the model det@1\.2 .* belongs to Detector/);
    detector.weights = { name: "det", version: "1.2", path: "/here" };
    assert.equal(await detector.tell(), "/here");
  });

  it("are not fetched for a service that a test replaces", async () => {
    class Detector extends Service() {
      weights = model("det@1.2", { from: "https://unreachable.invalid/x", sha256 });
      tell = api({ output }, () => this.weights.path);
    }
    await using app = await compose(Detector, { replace: [[Detector, { tell: () => "fake" }]] });
    assert.equal(await app.entry.tell(), "fake");
  });

  it("that can't be had stop the start, with the service, the reason and what to do", async () => {
    await using files = await FileServer.start();
    class Detector extends Service() {
      weights = model("det@1.2", { from: files.url("/missing"), sha256 });
      tell = api({ output }, () => "");
    }
    const error = await failureOf(compose(Detector, { options: { models: newFolder() } }));
    assert.deepEqual([error.id, error.service], ["model_not_found", "Detector"]);
    assert.match(String(error.fix), /Correct `from`/);
  });

  it("that are declared wrongly are faults of the graph, each with its field and a fix", async () => {
    const wrong = {
      noVersion: ["det", { from: "https://a.b/c", sha256 }, /"det" is no name with a version/],
      noFrom: ["det@1", {} as never, /det@1 has no `from`/],
      noDigest: ["det@1", { from: "https://a.b/c" }, /det@1 has no sha256/],
      shortDigest: ["det@1", { from: "https://a.b/c", sha256: "abc" }, /not 64 hex digits/],
      range: ["det@1", { from: "npm:a@^1.0.0/b", sha256 }, /has no exact version/],
      noPath: ["det@1", { from: "npm:a@1.0.0", sha256 }, /is not npm:package@1\.2\.3/],
      outside: ["det@1", { from: "npm:a@1.0.0/../b", sha256 }, /names no file inside the package/],
      plain: ["det@1", { from: "http://a.b/c", sha256 }, /is not https/],
      password: ["det@1", { from: "https://me:s3cret@a.b/c", sha256 }, /has a user or a password/],
      scheme: ["det@1", { from: "s3://bucket/c", sha256 }, /none of npm:…, file:… and https/],
    } as const;
    class Detector extends Service() {
      tell = api({ output }, () => "");
      constructor() {
        super();
        for (const [field, [id, options]] of Object.entries(wrong))
          Object.assign(this, { [field]: model(id, options) });
        Object.assign(this, { stop: model("det@1", { from: "file:a" }) });
      }
    }
    const error = await failureOf(compose(Detector));
    const { faults } = error.details as { faults: { id: string; field: string; message: string; fix: string }[] };
    assert.equal(error.id, "invalid_graph");
    for (const [field, [, , problem]] of Object.entries(wrong)) {
      const fault = faults.find((one) => one.field === field);
      assert.match(String(fault?.message), problem);
      assert.match(String(fault?.fix), /ekiben models add/);
    }
    assert.equal(faults.find(({ field }) => field === "stop")?.id, "reserved_name");
    assert.equal(JSON.stringify(error).includes("s3cret"), false);
  });
});

describe("models on the command line", () => {
  const cwd = join(import.meta.dirname, "fixtures/models");

  it("are fetched once for all replicas and processes, listed, checked, and removed when nobody uses them", async () => {
    await using files = await FileServer.start();
    files.add("/det.onnx", bytes);
    const folder = newFolder();
    const env = { MODEL_URL: files.url("/det.onnx"), MODEL_SHA256: sha256, EKIBEN_MODELS: folder };
    const models = (...words: string[]) => runCommand(["models", ...words], { cwd, env });
    const before = await models();
    assert.match(before.stdout, /^det@1\.2 +Detector +not fetched +http:/m);
    assert.match(before.stdout, /^words@1 +Detector +there +.*words\.txt$/m);

    const start = () => new CommandProcess(["serve", "--port", "0", "--host", "127.0.0.1"], { cwd, env });
    using one = start();
    using other = start();
    const path = join(folder, sha256, "det.onnx");
    for (const app of [one, other]) {
      // The log has the address of the model too.
      const [, url] = await app.until(/ready in .* (http:\S+)/);
      const answer = await fetch(`${url}/tell`, { method: "POST" });
      assert.deepEqual(await answer.json(), ["some words", bytes.length, path]);
      app.child.kill("SIGTERM");
      assert.equal((await app.ended).status, 0);
    }
    assert.equal(files.asked.length, 1);

    const listed = JSON.parse((await models("list", "--format", "json")).stdout) as { model: string; path: string }[];
    assert.deepEqual(
      listed.map((one) => [one.model, one.path]),
      [
        ["words@1", join(cwd, "words.txt")],
        ["det@1.2", path],
      ],
    );
    assert.match((await models("verify")).stdout, /^ok +det@1\.2/m);
    chmodSync(path, 0o644);
    writeFileSync(path, bytesOf(bytes.length, 5));
    const verified = await models("verify");
    assert.deepEqual([verified.status, /1 differs; those in .* were removed/.test(verified.stdout)], [1, true]);
    const added = await models("add");
    assert.match(added.stdout, /^det@1\.2 .*det\.onnx {2}fetched in /m);

    assert.match((await models("prune")).stdout, /^0 models removed/m);
    const longAgo = new Date(Date.now() - 40 * 24 * 3_600_000);
    utimesSync(join(folder, sha256, "model.json"), longAgo, longAgo);
    assert.match((await models("prune")).stdout, /^removed det@1\.2 +0\.4 MB[\s\S]*^1 model removed, 0\.4 MB freed/m);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.length === 64),
      [],
    );
    assert.equal((await models("prune", "--days", "x")).status, 2);
    assert.match((await models("lst")).stderr, /models has no action lst; did you mean list\?/);
  });

  it("are added by their origin, with the line that declares them", async () => {
    await using files = await FileServer.start();
    files.add("/Face-Detector_v2.onnx", bytes);
    const env = { EKIBEN_MODELS: newFolder() };
    const from = files.url("/Face-Detector_v2.onnx");
    const added = await runCommand(["models", "add", from], { cwd, env });
    assert.equal(added.status, 0, added.stderr);
    assert.match(added.stdout, /weights = model\("face-detector-v2@1\.0", \{/);
    assert.ok(added.stdout.includes(`  from: "${from}",\n  sha256: "${sha256}",\n});\n`), added.stdout);
    const local = await runCommand(["models", "add", "file:./words.txt", "--format", "json"], { cwd, env });
    assert.equal(JSON.parse(local.stdout).path, join(cwd, "words.txt"));
    const wrong = await runCommand(["models", "add", "npm:left-pad"], { cwd, env });
    assert.deepEqual([wrong.status, /is not npm:package@1\.2\.3/.test(wrong.stderr)], [2, true]);
  });

  it("whose process was killed in the middle are continued by the next, which need not wait (MS2, WL1)", async () => {
    await using files = await FileServer.start();
    let hasBegun = (): void => {};
    const begun = new Promise<void>((resolve) => (hasBegun = resolve));
    files.answers.set("/det.onnx", (request, response) => {
      if (files.asked.length > 1) return sendFile(request, response, bytes);
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 300_000));
      return hasBegun();
    });
    const folder = newFolder();
    const env = { MODEL_URL: files.url("/det.onnx"), MODEL_SHA256: sha256, EKIBEN_MODELS: folder };
    const part = () => readdirSync(join(folder, "tmp")).find((name) => name.endsWith(".part"));
    using first = new CommandProcess(["models", "add"], { cwd, env });
    await begun;
    // All that was sent has arrived when the file is as long.
    while (part() === undefined || readFileSync(join(folder, "tmp", String(part()))).length < 300_000) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    first.child.kill("SIGKILL");
    await first.ended;
    const second = await runCommand(["models", "add"], { cwd, env });
    assert.equal(second.status, 0, second.stderr);
    assert.deepEqual(files.asked, ["/det.onnx", "/det.onnx bytes=300000-"]);
    assert.deepEqual(readdirSync(join(folder, "tmp")), []);
  });

  it("that are missing are faults of check", async () => {
    const file = join(root, "missing.ts");
    writeFileSync(
      file,
      `import { api, model, Service } from ${JSON.stringify(join(import.meta.dirname, "../dist/index.js"))};
      export class Detector extends Service() {
        weights = model("det@1", { from: "file:./none.onnx" });
        tell = api({ output: { "~standard": { version: 1, vendor: "own", validate: (value) => ({ value }) } } }, () => 1);
      }`,
    );
    const checked = await runCommand(["check", file, "--no-types"], { cwd });
    assert.equal(checked.status, 1);
    assert.match(
      checked.stdout,
      /Detector\.weights[\s\S]*the model det@1 is not at file:\.\/none\.onnx: there is no file/,
    );
  });
});
