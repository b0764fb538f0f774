import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { z } from "zod";
import { api, currentCall, depends, Service, serve, task } from "../src/index.js";
import { compose } from "../src/testing.js";
import { runCommand } from "./cli-process.js";
import { collect, failureOf } from "./conformance/suite.js";

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

describe("whoever watches a task by a handle", () => {
  it("gets its present state at once, each change once, and its end, over the loss of the replica that it asked", async () => {
    const { Clerk, begun, end } = createClerk();
    class Front extends Service() {
      clerk = depends(Clerk);
    }
    await using app = await compose(Front, { options: { data: join(root, "watch") } });
    const { hold } = app.service(Clerk);
    const { id } = await hold.submit("a");
    await begun;
    const seen: string[] = [];
    for await (const state of hold.watch(id)) {
      seen.push(state.status);
      if (seen.length > 1) continue;
      end();
      await app.kill(Clerk);
    }
    assert.deepEqual([seen[0], seen.at(-1)], ["in_progress", "completed"]);
    assert.deepEqual(
      (await collect(hold.watch(id))).map(({ status }) => status),
      ["completed"],
    );
  });

  it("may leave while it waits for a change", async () => {
    const { Clerk, begun, end } = createClerk();
    await using app = await compose(Clerk, { options: { data: join(root, "watch-left") } });
    const { hold } = app.entry;
    const { id } = await hold.submit("a");
    await begun;
    const watching = hold.watch(id)[Symbol.asyncIterator]();
    assert.equal((await watching.next()).value?.status, "in_progress");
    const next = watching.next();
    assert.equal((await watching.return?.())?.done, true);
    assert.deepEqual([(await next).done, (await watching.next()).done], [true, true]);
    end();
  });

  it("is told that the api which watches has ended", async () => {
    const { Clerk, begun, end } = createClerk();
    let ended: Promise<unknown> | undefined;
    class Front extends Service() {
      clerk = depends(Clerk);
      look = api({ input: z.string(), output: z.string() }, async (id) => {
        const watching = this.clerk.hold.watch(id)[Symbol.asyncIterator]();
        const { value } = await watching.next();
        ended = watching.next().catch((error: { code: string }) => error.code);
        return value?.status as string;
      });
    }
    await using app = await compose(Front, { options: { data: join(root, "watch-scope") } });
    const { id } = await app.service(Clerk).hold.submit("a");
    await begun;
    assert.equal(await app.entry.look(id), "in_progress");
    assert.equal(await ended, "cancelled");
    end();
  });

  it("is told at once of an unknown task, and no longer than its time or signal lasts", async () => {
    const { Clerk, begun } = createClerk();
    await using app = await compose(Clerk, { options: { data: join(root, "watch-ends") } });
    const { hold } = app.entry;
    const read = async (task: string, options = {}) => {
      for await (const _ of hold.watch(task, options));
    };
    assert.equal((await failureOf(read("0".repeat(32)))).id, "unknown_task");
    const { id } = await hold.submit("a");
    await begun;
    assert.equal((await failureOf(read(id, { timeoutMs: 30 }))).code, "deadline_exceeded");
    const controller = new AbortController();
    const watching = failureOf(read(id, { signal: controller.signal }));
    controller.abort();
    assert.equal((await watching).code, "cancelled");
    await hold.cancel(id);
  });
});

describe("a task with a delay", () => {
  it("waits for its time, and its state tells until when", async () => {
    const { Clerk, end } = createClerk();
    end();
    await using app = await compose(Clerk, { options: { data: join(root, "delay") } });
    const { hold } = app.entry;
    const { id } = await hold.submit("later", { delayMs: 3_600_000 });
    const { status, createdAt, notBefore } = await hold.status(id);
    assert.deepEqual([status, Number(notBefore) - Number(createdAt)], ["pending", 3_600_000]);
    assert.equal(await hold("now"), "now");
    assert.equal((await hold.status(id)).status, "pending");
    const soon = await hold.submit("soon", { delayMs: 1 });
    assert.equal(await hold.result(soon.id), "soon");
    for (const delayMs of [-1, 0.5, Number.NaN, 366 * 24 * 3_600_000, "1" as never]) {
      assert.equal((await failureOf(hold.submit("x", { delayMs }))).id, "invalid_task_delay");
    }
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
