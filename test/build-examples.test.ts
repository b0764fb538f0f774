import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ask, Copy } from "./build/project.js";
import { runCommand } from "./cli-process.js";

const examples = join(import.meta.dirname, "../examples");
const builds = mkdtempSync(join(tmpdir(), "ekiben-examples-"));
after(() => rmSync(builds, { recursive: true, force: true }));

const listFiles = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

const sizeOf = (folder: string): number => listFiles(folder).reduce((sum, file) => sum + statSync(file).size, 0);

describe("builds of the examples", () => {
  const names = ["quickstart", "document-intake", "spam-vote", "voice-activity", "support-desk", "poster-search"];
  before(async () => {
    for (const name of names) {
      const { status, stderr } = await runCommand(["build", "service.ts", "--out", join(builds, name, "build")], {
        cwd: join(examples, name),
      });
      assert.equal(status, 0, `${name}: ${stderr}`);
    }
  });
  const buildOf = (name: string) => join(builds, name, "build");

  it("let the gateway of the document intake have neither the model runtime nor a model", () => {
    const gateway = join(buildOf("document-intake"), "DocumentIntake");
    assert.ok(sizeOf(gateway) <= 2_000_000, `${sizeOf(gateway)} bytes`);
    const packages = listFiles(gateway).filter((file) => file.includes("node_modules"));
    assert.deepEqual(packages, []);
    assert.ok(sizeOf(join(buildOf("document-intake"), "TextRecognizer")) > 20_000_000, "the recogniser has both");
  });

  it("answer as the source does, from another folder", async () => {
    using copy = new Copy(buildOf("quickstart"));
    using server = copy.start(["--port", "0"]);
    const url = await server.url();
    const answer = (await ask(url, "predict", { rawInput: "Where is the railway station, please?" })) as {
      label: string;
    };
    assert.equal(answer.label, "English");
  });

  it("run their models: image decoder, ONNX, TensorFlow and WebAssembly", async () => {
    using copy = new Copy(buildOf("document-intake"));
    using server = copy.start(["--port", "0"]);
    const form = new FormData();
    const page = readFileSync(join(examples, "document-intake/fixtures/pages/a-invoice.png"));
    form.set("page", new File([page], "a-invoice.png", { type: "image/png" }));
    const response = await fetch(`${await server.url()}/read`, { method: "POST", body: form });
    const answer = (await response.json()) as { label: string; lines: unknown[]; language: string };
    assert.deepEqual([answer.label, answer.lines.length, answer.language], ["invoice", 6, "en"]);
  });
});
