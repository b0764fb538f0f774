import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { CommandProcess } from "./cli-process.js";

const cwd = join(import.meta.dirname, "fixtures/takeover");
const root = mkdtempSync(join(tmpdir(), "ekiben-takeover-"));
after(() => rmSync(root, { recursive: true, force: true }));

/** Lease far longer than any test: a task that waited for its lease would never end here. */
const leaseMs = "3600000";

/** Process that runs a task, once it has started. */
function whoRuns(log: string, name: string): Promise<number> {
  return new Promise((resolve) => {
    const watcher = watch(log);
    const look = () => {
      const line = readFileSync(log, "utf8")
        .split("\n")
        .find((own) => own.startsWith(`${name} `));
      if (line === undefined) return;
      watcher.close();
      resolve(Number(line.split(" ")[1]));
    };
    watcher.on("change", look);
    look();
  });
}

describe("a task whose process is killed", () => {
  for (const [path, replicas] of [
    ["work", "1"],
    ["work", "2"],
    ["nested", "2"],
  ] as const) {
    it(`is begun again without waiting for its lease: ${path}, of ${replicas} replicas`, async () => {
      const folder = mkdtempSync(join(root, "app-"));
      const log = join(folder, "log");
      writeFileSync(log, "");
      const flags = ["--port", "0", "--host", "127.0.0.1", "--tasks-lease-ms", leaseMs, "--replicas", replicas];
      const env = { TASK_LOG: log, EKIBEN_DATA: join(folder, "data") };
      using app = new CommandProcess(["serve", "service.ts:Outer", ...flags], { cwd, env });
      const url = await app.url();
      const submit = async (name: string): Promise<string> => {
        const headers = { "content-type": "application/json" };
        const body = JSON.stringify(name);
        const response = await fetch(`${url}/${path}/submit`, { method: "POST", headers, body });
        return ((await response.json()) as { task_id: string }).task_id;
      };
      const id = await submit("first");
      process.kill(await whoRuns(log, "first"), "SIGKILL");
      // The connection may have been to the killed process.
      const read = async (): Promise<unknown> => {
        for (;;) {
          const answer = await fetch(`${url}/${path}/get?task_id=${id}&wait=true`).catch(() => undefined);
          if (answer?.ok === true) return answer.json();
        }
      };
      // A nested task is restarted too, besides the task that the second attempt submits.
      assert.match(String(await read()), path === "nested" ? /^first, attempt [23]$/ : /^first, attempt 2$/);
      app.child.kill("SIGTERM");
      assert.equal((await app.ended).status, 0);
    });
  }
});
