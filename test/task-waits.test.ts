import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { z } from "zod";
import { api, currentCall, depends, Service, serve, task } from "../src/index.js";
import { compose } from "../src/testing.js";
import { runCommand } from "./cli-process.js";
import { failureOf } from "./conformance/suite.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-task-waits-"));
after(() => rmSync(root, { recursive: true, force: true }));

/** Holds the first task until it is cancelled, and reports when it has begun. */
function createClerk() {
  let begin!: () => void;
  let end!: () => void;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const ended = new Promise<void>((resolve) => (end = resolve));
  class Clerk extends Service() {
    hold = task({ input: z.string(), output: z.string() }, async (text) => {
      const { signal } = currentCall();
      begin();
      await Promise.race([ended, new Promise((resolve) => signal.addEventListener("abort", resolve))]);
      return text;
    });
  }
  return { Clerk, begun, end };
}

describe("whoever waits for a task", () => {
  it("is answered by a drain that lasts long enough for a task that runs, and sent away from one that only waits", async () => {
    const { Clerk, begun, end } = createClerk();
    const app = await compose(Clerk, { options: { data: join(root, "drain") } });
    const running = app.entry.hold("running");
    await begun;
    const { id } = await app.entry.hold.submit("waiting");
    const waiting = failureOf(app.entry.hold.result(id));
    const closed = app.close();
    const error = await waiting;
    assert.deepEqual([error.id, error.details, error.retryable], ["task_wait_ended", { taskId: id }, true]);
    end();
    assert.equal(await running, "running");
    await closed;
    await using next = await compose(Clerk, { options: { data: join(root, "drain") } });
    assert.equal(await next.entry.hold.result(id), "waiting");
  });

  it("is told when there is no place to wait", async () => {
    const { Clerk, begun, end } = createClerk();
    const options = { data: join(root, "full"), maxQueued: 1 };
    await using app = await compose(Clerk, { options });
    const running = app.entry.hold("running");
    await begun;
    const { id } = await app.entry.hold.submit("waiting");
    const first = app.entry.hold.result(id);
    const error = await failureOf(app.entry.hold.result(id));
    assert.deepEqual([error.id, error.httpStatus], ["lane_full", 429]);
    end();
    assert.deepEqual([await running, await first], ["running", "waiting"]);
  });
});

describe("a fake of a service with tasks", () => {
  it("runs as the task would, its contract checked, and is handed in like it", async () => {
    const { Clerk } = createClerk();
    class Front extends Service() {
      clerk = depends(Clerk);
      ask = api({ input: z.string(), output: z.string() }, (text) => this.clerk.hold(text));
    }
    const hold = (text: string): string => (text === "wrong" ? (5 as never) : `faked ${text}`);
    await using app = await compose(Front, { replace: [[Clerk, { hold }]] });
    assert.equal(await app.entry.ask("x"), "faked x");
    const { id } = await app.service(Clerk).hold.submit("wrong");
    assert.equal((await failureOf(app.service(Clerk).hold.result(id))).id, "invalid_output");
  });
});

describe("a store that can't be opened", () => {
  const cwd = join(import.meta.dirname, "fixtures/tasks");
  const file = join(root, "a-file");
  writeFileSync(file, "no folder");

  it("fails the start of the service that has tasks, and says why", async () => {
    const env = { EKIBEN_DATA: file, TASK_LOG: join(root, "log") };
    const { status, stderr } = await runCommand(["serve", "--port", "0", "--placement", "inline"], { cwd, env });
    assert.equal(status, 1);
    assert.match(stderr, /the task store \(SQLite\) can't be used: /i);
  });

  it("is no matter of a service without tasks", async () => {
    class Plain extends Service() {}
    await using app = await compose(Plain, { options: { data: file } });
    assert.ok(app);
  });
});

describe("an app whose tasks are kept", () => {
  it("shows them in its metrics and is found again by the next one", async () => {
    const { Clerk, end } = createClerk();
    end();
    const options = { logLevel: "silent", placement: "inline", data: join(root, "metrics") } as const;
    const server = await serve(Clerk, { port: 0, host: "127.0.0.1", options });
    const send = async (path: string, init?: RequestInit) => (await fetch(server.url + path, init)).text();
    const headers = { "content-type": "application/json" };
    assert.equal(await send("/hold", { method: "POST", headers, body: '"a"' }), '"a"');
    const page = await send("/metrics");
    for (const line of [
      'ekiben_tasks_submitted_total{service="Clerk",api="hold"} 1',
      'ekiben_task_attempts_total{service="Clerk",api="hold",outcome="completed"} 1',
      'ekiben_tasks_waiting{service="Clerk",api="hold"} 0',
    ]) {
      assert.ok(page.includes(line), line);
    }
    await server.close();
  });
});
