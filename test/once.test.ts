import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { z } from "zod";
import { api, once, resource, Service } from "../src/index.js";
import { compose } from "../src/testing.js";
import { CommandProcess, runCommand } from "./cli-process.js";
import { failureOf } from "./conformance/suite.js";

const cwd = join(import.meta.dirname, "fixtures/once");
const root = mkdtempSync(join(tmpdir(), "ekiben-once-"));
after(() => rmSync(root, { recursive: true, force: true }));

const flags = ["--port", "0", "--host", "127.0.0.1"];

/** Starts the app and stops it when all its replicas have started. @returns The lines that they wrote. */
async function runApp(folder: string): Promise<string[]> {
  const log = join(folder, "log");
  writeFileSync(log, "");
  using app = new CommandProcess(["serve", ...flags], {
    cwd,
    env: { ONCE_LOG: log, EKIBEN_DATA: join(folder, "data") },
  });
  await app.url();
  const started = () => readFileSync(log, "utf8").match(/^started /gm)?.length ?? 0;
  while (started() < 3) await new Promise((resolve) => setImmediate(resolve));
  app.child.kill("SIGTERM");
  assert.equal((await app.ended).status, 0);
  return readFileSync(log, "utf8")
    .trim()
    .split("\n")
    .map((line) => line.replace(/^begun \d+$/, "begun"));
}

describe("once() at the start of replicas in processes of their own, in an app without tasks", () => {
  it("runs in one of them, before any of them has started, and never again", async () => {
    const folder = mkdtempSync(join(root, "app-"));
    const lines = await runApp(folder);
    assert.deepEqual(
      [lines.slice(0, 2), lines.slice(2).sort()],
      [
        ["begun", "done"],
        ["started false", "started false", "started true"],
      ],
    );
    assert.deepEqual(await runApp(folder), ["started false", "started false", "started false"]);
  });

  it("runs again at the next start when its process was killed in the middle, without a wait for the lease", async () => {
    const folder = mkdtempSync(join(root, "app-"));
    const log = join(folder, "log");
    writeFileSync(log, "");
    const env = { ONCE_LOG: log, EKIBEN_DATA: join(folder, "data"), ONCE_CRASH: "1" };
    const { status, stderr } = await runCommand(["serve", ...flags], { cwd, env });
    assert.deepEqual([status, /was ended by SIGKILL/.test(stderr)], [1, true], stderr);
    // Replicas that took over before the app was stopped were killed too.
    assert.match(readFileSync(log, "utf8"), /^(begun \d+\n)+$/);
    const lines = await runApp(folder);
    assert.deepEqual(lines.slice(0, 2), ["begun", "done"]);
  });
});

describe("once()", () => {
  it("works in start() and in the functions that open resources, and nowhere else", async () => {
    const ran: string[] = [];
    class Model extends Service() {
      database = resource(async () => {
        await once("create", () => ran.push("create"));
        return { close: () => {} };
      });
      ask = api({ output: z.boolean() }, () => once("late", () => ran.push("late")));
      override async start(): Promise<void> {
        await once("fill", async () => ran.push("fill"));
      }
    }
    await using app = await compose(Model);
    assert.deepEqual(ran, ["create", "fill"]);
    assert.equal((await failureOf(app.entry.ask())).id, "once_out_of_place");
    await assert.rejects(
      once("outside", () => ran.push("outside")),
      { id: "once_out_of_place", message: 'once("outside") was called outside of the start of a service' },
    );
    assert.deepEqual(ran, ["create", "fill"]);
  });

  it("fails the start with the error of the work", async () => {
    class Model extends Service() {
      override async start(): Promise<void> {
        await once("fill", () => {
          throw new Error("no such table");
        });
      }
    }
    await assert.rejects(compose(Model), { id: "start_failed", message: /no such table/ });
  });
});
