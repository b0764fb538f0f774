import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { commands } from "../src/cli/commands.js";
import { type FailureDetails, type FailureId, failures } from "../src/failure/failures.js";
import { readCodeBlocks } from "./read-markdown.js";

const root = join(import.meta.dirname, "..");
const folder = join(root, "docs/how-to");
const read = (page: string) => readFileSync(join(folder, page), "utf8");
const run = promisify(execFile);

/** Values of the messages that docs/how-to/troubleshooting.md quotes. */
const quoted: { readonly [Id in FailureId]?: FailureDetails<Id> } = {
  typescript_needs_loader: { file: "service.ts", node: "20.20.2" },
  module_failed: { file: "service.ts", error: "Cannot find package 'zod' imported from /app/service.ts" },
  entry_ambiguous: { file: "service.ts", candidates: ["Billing", "Pipeline"] },
  unknown_option: { option: "timeout", source: "ekiben.config.ts", nearest: "timeoutMs" },
  port_in_use: { port: 3000, host: "0.0.0.0" },
  resource_failed: { resource: "Model.session", error: "ENOENT: no such file or directory, open 'model.onnx'" },
  start_failed: { hook: "start", error: "connect ECONNREFUSED 127.0.0.1:5432" },
  task_store_driver_missing: { engine: "sqlite", driver: "libsql" },
  bundled_in: {},
  unknown_route: { method: "POST", path: "/predictt", known: ["/predict"] },
  method_not_allowed: { path: "/predict", allow: "POST", method: "GET" },
  unsupported_media_type: { contentType: "application/x-www-form-urlencoded", accepted: ["application/json"] },
  invalid_input: { issues: [{ path: "text", message: "Invalid input: expected string, received number" }] },
  credentials_missing: { expected: "authorization: Bearer <key>, or x-api-key: <key>" },
  context_missing: {
    name: "Desk.mine",
    reason: "no function gave one to the request, or it runs for a cached answer",
  },
  body_too_large: { maxBodyBytes: 16 * 1024 ** 2 },
  lane_full: { running: 2, queued: 4, maxQueued: 4, retryAfterMs: 0, overdue: 0 },
  overloaded: { queued: 40, answerMs: 50, waitMs: 2000, runMs: 50, leftMs: 1000, retryAfterMs: 0 },
  unhandled_error: { error: "Cannot read properties of undefined (reading 'length')" },
  invalid_output: { issues: [{ path: "confidence", message: "Invalid input: expected number, received NaN" }] },
  deadline_exceeded: {
    timeoutMs: 800,
    setBy: "timeoutMs of Pipeline.predict, from EKIBEN_TIMEOUT_MS",
    waitingFor: ["Model.score"],
  },
  no_ready_replica: { replicas: 2 },
  replica_lost: { replica: "Model#0", why: "Model#0 was ended by SIGKILL" },
  service_failed: { service: "Model", attempts: 8, reason: "start() threw: no weights", retryAfterMs: 30_000 },
  stream_used_twice: {
    stream: "the stream of Splitter.split",
    first: "passed to Counter.count",
    second: "passed to Counter.long",
  },
  depends_outside_scope: { dependency: "Model", versions: [] },
  handle_before_start: { dependency: "Model", api: "score" },
  resource_not_open: { resource: "Model.session" },
  no_current_call: { versions: [] },
  not_transferable: { path: "$.user", what: "an instance of User" },
  not_importable: { service: "Pipeline", files: ["/app/pipeline.test.ts"] },
  connect_failed: { url: "http://localhost:3000", problem: "connect ECONNREFUSED 127.0.0.1:3000" },
  invalid_response: { url: "http://localhost:3000", problem: "status 404, content-type text/html" },
  unknown_api: { name: "predictt", known: ["predict", "score"] },
};

describe("the pages by task", () => {
  for (const page of readdirSync(folder)) {
    it(`name only commands that exist: ${page}`, () => {
      const known = commands.map(({ name }) => name);
      const blocks = readCodeBlocks(join(folder, page)).filter(({ language }) => language !== "ts");
      const used = blocks.flatMap(({ code }) =>
        [...code.matchAll(/\bekiben(?:",)? "?([a-z]+)\b/g)].map(([, name = ""]) => name),
      );
      assert.deepEqual(
        used.filter((name) => !known.includes(name)),
        [],
      );
    });
  }
});

describe("the messages of docs/how-to/troubleshooting.md", () => {
  const page = read("troubleshooting.md");

  it("are those of the failures named above them", () => {
    const entries = [...page.matchAll(/^### `(\w+)`\n\n> (.*)$/gm)].map(([, id = "", text]) => ({ id, text }));
    const textOf = (id: string) =>
      (failures[id as FailureId].text as (details: unknown) => string)(quoted[id as FailureId]);
    assert.deepEqual(entries.map(({ id }) => id).sort(), Object.keys(quoted).sort());
    const wrong = entries.filter(({ id, text }) => textOf(id) !== text);
    assert.deepEqual(
      wrong.map(({ id }) => `${id}: ${textOf(id)}`),
      [],
    );
  });

  it("are log lines that the source writes", () => {
    const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
      .map((file) => readFileSync(join(root, "src", file), "utf8"));
    const table = page.slice(page.indexOf("## In the log"), page.indexOf("## From the compiler"));
    const lines = [...table.matchAll(/^\| `([^`]+)` \|/gm)].map(([, line = ""]) => line);
    assert.ok(lines.length >= 5);
    assert.deepEqual(
      lines.filter((line) => !sources.some((source) => source.includes(line))),
      [],
    );
  });
});

describe("the files of docs/how-to/deploy.md", () => {
  const blockOf = (language: string) => {
    const code = readCodeBlocks(join(folder, "deploy.md")).find((block) => block.language === language)?.code;
    assert.ok(code !== undefined, `there is no ${language} block`);
    return code;
  };

  it("start the program of the package, without a shell or npm between", () => {
    const { bin } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { bin: Record<string, string> };
    const command = JSON.parse(/^CMD (\[.*\])$/m.exec(blockOf("dockerfile"))?.[1] ?? "[]") as string[];
    assert.deepEqual(command, [`node_modules/.bin/${Object.keys(bin)[0]}`, "serve", "service.ts:Pipeline"]);
    const [, file] = /^ExecStart=\/usr\/bin\/node node_modules\/ekiben\/(\S+) serve /m.exec(blockOf("ini")) ?? [];
    assert.equal(`./${file}`, bin["ekiben"]);
  });

  const verifier = "/usr/bin/systemd-analyze";
  const skip = !existsSync(verifier) && "there is no systemd-analyze on this machine";
  it("include a unit that systemd accepts", { skip }, async () => {
    const scratch = await mkdtemp(join(tmpdir(), "ekiben-unit-"));
    try {
      const unit = join(scratch, "pipeline.service");
      // Programs and folders of the unit are those of another machine.
      const code = blockOf("ini").replace("/usr/bin/node", process.execPath).replace("/srv/pipeline", scratch);
      await writeFile(unit, code);
      const { stdout, stderr } = await run(verifier, ["verify", "--man=no", unit]);
      assert.doesNotMatch(stdout + stderr, /pipeline\.service/);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });
});
