import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { z } from "zod";
import type { ServiceClass } from "../src/define/depends.js";
import { api, currentCall, depends, type Server, Service, serve, task } from "../src/index.js";
import { LogBook } from "./conformance/suite.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-orphans-"));
after(() => rmSync(root, { recursive: true, force: true }));

let begin = (): void => {};
const contract = { input: z.string(), output: z.string() };

/** Task that runs until it is cancelled, unless its input is `"done"`. */
async function hold(text: string): Promise<string> {
  if (text !== "done") {
    const { signal } = currentCall();
    begin();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }
  return text.toUpperCase();
}

/** One version of the app, and later ones in which the task, its class or its kind has another name. */
const versions = {
  first: () => {
    class Library extends Service() {
      index = task(contract, hold);
    }
    return Library;
  },
  renamedTask: () => {
    class Library extends Service() {
      reindex = task(contract, hold);
    }
    return Library;
  },
  renamedClass: () => {
    class Catalog extends Service() {
      index = task(contract, hold);
    }
    return Catalog;
  },
  noTask: () => {
    class Library extends Service() {
      index = api(contract, (text) => text);
    }
    return Library;
  },
  elsewhere: () => {
    class Other extends Service() {
      work = task(contract, hold);
    }
    class Library extends Service() {
      other = depends(Other);
      plain = api(contract, (text) => text);
    }
    return Library;
  },
};

class Deployed implements AsyncDisposable {
  readonly log = new LogBook();
  readonly #server: Server;

  private constructor(server: Server, log: LogBook) {
    this.#server = server;
    this.log = log;
  }

  static async of(version: keyof typeof versions, data: string): Promise<Deployed> {
    const log = new LogBook();
    const options = { placement: "inline", data, tasks: { namespace: "library" }, drainTimeoutMs: 50 } as const;
    const entry = versions[version]() as ServiceClass;
    return new Deployed(await serve(entry, { port: 0, host: "127.0.0.1", options, log: log.logger }), log);
  }

  async ask(method: string, path: string, body?: string): Promise<{ status: number; body: any }> {
    const response = await fetch(this.#server.url + path, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const text = await response.text();
    return { status: response.status, body: text.startsWith("{") || text.startsWith('"') ? JSON.parse(text) : text };
  }

  async submit(text: string): Promise<string> {
    return (await this.ask("POST", "/index/submit", text)).body.task_id;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close();
  }
}

/** Store with a completed task, a started task and a waiting task. */
async function fill(data: string): Promise<{ done: string; begun: string; waiting: string }> {
  await using app = await Deployed.of("first", data);
  const done = await app.submit("done");
  await app.ask("GET", `/index/get?task_id=${done}&wait=true`);
  const hasBegun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const begun = await app.submit("begun");
  await hasBegun;
  return { done, begun, waiting: await app.submit("waiting") };
}

describe("tasks whose api is gone after a deploy", () => {
  for (const version of ["renamedTask", "renamedClass", "noTask", "elsewhere"] as const) {
    it(`are logged and answered for as what they are: ${version}`, async () => {
      const data = join(root, version);
      const { done, begun, waiting } = await fill(data);
      await using app = await Deployed.of(version, data);
      const { fields, message = "" } = await app.log.take(/tasks wait for apis that this app does not have/);
      assert.deepEqual(fields["tasks"], { "Library.index": 2 });
      assert.match(message, /^2 tasks wait .*: Library\.index \(2\); move them: ekiben tasks move Library\.index /);
      const page = (await app.ask("GET", "/metrics")).body as string;
      assert.match(page, /^ekiben_tasks_orphaned\{service="Library",api="index"\} 2$/m);

      const state = await app.ask("GET", `/index/status?task_id=${begun}`);
      assert.deepEqual([state.status, state.body.status, state.body.gone_api], [200, "pending", "Library.index"]);
      const ended = await app.ask("GET", `/index/status?task_id=${done}`);
      assert.deepEqual([ended.body.status, ended.body.gone_api], ["completed", "Library.index"]);
      assert.deepEqual(await app.ask("GET", `/index/get?task_id=${done}`), { status: 200, body: "DONE" });
      for (const [method, path] of [
        ["GET", `/index/get?task_id=${waiting}`],
        ["GET", `/index/get?task_id=${waiting}&wait=true`],
        ["POST", `/index/retry?task_id=${waiting}`],
      ] as const) {
        const refused = await app.ask(method, path);
        assert.deepEqual([refused.status, refused.body.id], [409, "task_api_gone"], path);
        assert.deepEqual(refused.body.details, { taskId: waiting, api: "Library.index", status: "pending" });
      }
      const canceled = await app.ask("PUT", `/index/cancel?task_id=${waiting}`);
      assert.deepEqual([canceled.status, canceled.body.status], [200, "canceled"]);
      assert.equal((await app.ask("GET", `/index/get?task_id=${waiting}`)).body.id, "task_canceled");
      const unknown = await app.ask("GET", `/index/status?task_id=${"0".repeat(32)}`);
      assert.equal(unknown.status, 404);
      assert.equal((await app.ask("GET", `/other/status?task_id=${done}`)).status, 404);
    });
  }

  it("run when the older version is back", async () => {
    const data = join(root, "back");
    const { begun, waiting } = await fill(data);
    await (await Deployed.of("renamedTask", data))[Symbol.asyncDispose]();
    await using app = await Deployed.of("first", data);
    for (const id of [begun, waiting]) {
      const hasBegun = new Promise<void>((resolve) => {
        begin = resolve;
      });
      if ((await app.ask("GET", `/index/status?task_id=${id}`)).body.status === "pending") await hasBegun;
      assert.equal((await app.ask("PUT", `/index/cancel?task_id=${id}`)).status, 200);
      assert.equal((await app.ask("GET", `/index/get?task_id=${id}&wait=true`)).body.id, "task_canceled");
    }
  });
});
