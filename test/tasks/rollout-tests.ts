import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { connect } from "../../src/client.js";
import type { ServiceClass } from "../../src/define/depends.js";
import { currentCall, type Server, Service, serve, type TaskMethods, task } from "../../src/index.js";
import { failureOf, LogBook } from "../conformance/suite.js";

const Old = z.string();
const New = z.object({ shelf: z.string().min(2, "a shelf has two letters") });

/** Runs of the author's code, as `"v2 maps"`. */
const runs: string[] = [];
let begin = (): void => {};

async function work(version: string, shelf: string): Promise<string> {
  runs.push(`${version} ${shelf}`);
  begin();
  const { signal } = currentCall();
  // A name in capitals lasts until the version is drained.
  if (shelf === shelf.toUpperCase()) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  return `${version} ${shelf}`;
}

/** Versions of one app, with the same service and task. */
const versions = {
  /** Takes a text. */
  v1: () => {
    class Library extends Service() {
      index = task({ input: Old, output: z.string() }, (shelf) => work("v1", shelf));
    }
    return Library;
  },
  /** Takes an object, and no text any more. */
  v2: () => {
    class Library extends Service() {
      index = task({ input: New, output: z.string(), maxConcurrent: 4 }, ({ shelf }) => work("v2", shelf));
    }
    return Library;
  },
  /** Takes both. */
  v3: () => {
    class Library extends Service() {
      index = task({ input: z.union([Old, New]), output: z.string() }, (given) =>
        work("v3", typeof given === "string" ? given : given.shelf),
      );
    }
    return Library;
  },
  renamed: () => {
    class Library extends Service() {
      reindex = task({ input: New, output: z.string() }, ({ shelf }) => work("renamed", shelf));
    }
    return Library;
  },
};

/** Options that give every version the same store. */
export type StoreOptions = { readonly data?: string; readonly tasks?: { readonly store: string } };

/** One running version. */
class Deployed implements AsyncDisposable {
  readonly log: LogBook;
  readonly index: TaskMethods<any, string, object> & ((input: unknown) => Promise<string>);
  readonly #server: Server;

  private constructor(server: Server, log: LogBook, client: any) {
    this.#server = server;
    this.log = log;
    this.index = client.index;
  }

  static async of(version: keyof typeof versions, { tasks, ...place }: StoreOptions): Promise<Deployed> {
    const log = new LogBook();
    const own = { placement: "inline", drainTimeoutMs: 50, ...place } as const;
    const options = { ...own, tasks: { ...tasks, namespace: "library" } };
    const entry = versions[version]() as ServiceClass;
    const server = await serve(entry, { port: 0, host: "127.0.0.1", options, log: log.logger });
    return new Deployed(server, log, await connect<never>(server.url));
  }

  async ask(method: string, path: string): Promise<{ status: number; body: any }> {
    const response = await fetch(this.#server.url + path, { method });
    const text = await response.text();
    return { status: response.status, body: text.startsWith("{") || text.startsWith('"') ? JSON.parse(text) : text };
  }

  async held(id: string): Promise<void> {
    for await (const { isHeld } of this.index.watch(id)) if (isHeld === true) return;
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Deploys version 1, and leaves one task that had begun, and one that waits. */
async function leaveTasks(store: StoreOptions, key?: string): Promise<{ begun: string; waiting: string }> {
  await using old = await Deployed.of("v1", store);
  const hasBegun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const { id: begun } = await old.index.submit("LONG");
  await hasBegun;
  const { id: waiting } = await old.index.submit("maps", key === undefined ? {} : { key });
  return { begun, waiting };
}

/** Tests that no deploy loses a task, or runs one with an input that its contract does not take. */
export function testRollout(createStore: () => StoreOptions): void {
  describe("a task whose stored input no longer fits", () => {
    it("is held, shown with the reason, and does not run however often it is retried", async () => {
      const store = createStore();
      const { begun, waiting } = await leaveTasks(store);
      runs.length = 0;
      await using app = await Deployed.of("v2", store);
      for (const id of [begun, waiting]) await app.held(id);
      const { fields } = await app.log.take(
        "a task is held: its stored input does not fit the contract of this version",
      );
      assert.match(String(fields["problem"]), /expected object/);

      const state = await app.ask("GET", `/index/status?task_id=${waiting}`);
      const { status, held, attempt, failure } = state.body;
      assert.deepEqual([status, held, attempt, failure.id], ["pending", true, 0, "task_input_refused"]);
      assert.match(failure.error, /does not fit the contract of this version of the app: input: .*expected object/);
      for (const query of ["", "&wait=true"]) {
        const refused = await app.ask("GET", `/index/get?task_id=${waiting}${query}`);
        assert.deepEqual([refused.status, refused.body.id, refused.body.details.taskId], [409, "task_held", waiting]);
      }
      assert.equal((await failureOf(app.index.result(waiting))).id, "task_held");

      for (let tries = 0; tries < 3; tries++) {
        const again = await app.ask("POST", `/index/retry?task_id=${waiting}`);
        assert.deepEqual([again.status, again.body], [200, { task_id: waiting, status: "pending" }]);
        await app.held(waiting);
      }
      assert.equal((await app.index.status(waiting)).attempt, 0);
      const canceled = await app.ask("PUT", `/index/cancel?task_id=${begun}`);
      assert.deepEqual([canceled.body.status, canceled.body.held], ["canceled", undefined]);
      assert.deepEqual(runs, []);
    });

    it("waits until somebody retries it, also when a third version takes it, and is counted", async () => {
      const store = createStore();
      const { begun, waiting } = await leaveTasks(store);
      {
        await using app = await Deployed.of("v2", store);
        for (const id of [begun, waiting]) await app.held(id);
      }
      runs.length = 0;
      await using app = await Deployed.of("v3", store);
      const { message = "", fields } = await app.log.take(/tasks are held/);
      assert.match(message, /^2 tasks are held, .*: Library\.index \(2\); .*ekiben tasks retry Library\.index$/);
      assert.deepEqual(fields["tasks"], { "Library.index": 2 });
      const page = (await app.ask("GET", "/metrics")).body as string;
      assert.match(page, /^ekiben_tasks_held\{service="Library",api="index"\} 2$/m);
      assert.match(page, /^ekiben_tasks_waiting\{service="Library",api="index"\} 0$/m);
      assert.equal(await app.index("new ones run"), "v3 new ones run");
      assert.equal((await app.index.status(waiting)).isHeld, true);
      assert.deepEqual(await app.index.retry(waiting), { id: waiting });
      assert.equal(await app.index.result(waiting), "v3 maps");
      assert.deepEqual(runs, ["v3 new ones run", "v3 maps"]);
      const { isHeld, failure, attempt } = await app.index.status(waiting);
      assert.deepEqual([isHeld, failure, attempt], [undefined, undefined, 1]);
    });

    it("runs by itself when its own version is back", async () => {
      const store = createStore();
      const { begun, waiting } = await leaveTasks(store);
      {
        await using app = await Deployed.of("v2", store);
        for (const id of [begun, waiting]) await app.held(id);
      }
      await using app = await Deployed.of("v1", store);
      await app.index.cancel(begun);
      assert.equal(await app.index.result(waiting), "v1 maps");
    });

    it("keeps its key: the same key finds it, and the same work is never begun twice", async () => {
      const store = createStore();
      const { begun, waiting } = await leaveTasks(store, "order 7");
      await using app = await Deployed.of("v2", store);
      for (const id of [begun, waiting]) await app.held(id);
      const error = await failureOf(app.index.submit({ shelf: "maps" }, { key: "order 7" }));
      assert.deepEqual([error.id, error.details], ["task_key_reused", { key: "order 7", taskId: waiting }]);
      await app.close();
      await using next = await Deployed.of("v3", store);
      await next.index.cancel(begun);
      assert.deepEqual(await next.index.submit("maps", { key: "order 7" }), { id: waiting });
    });
  });

  describe("two versions that run at the same time", () => {
    it("each run what was submitted to them, whoever claims it first", async () => {
      const store = createStore();
      await using old = await Deployed.of("v1", store);
      await using next = await Deployed.of("v2", store);
      runs.length = 0;
      const names = Array.from({ length: 20 }, (_, at) => `shelf ${at}`);
      const [olds, nexts] = await Promise.all([
        Promise.all(names.map((shelf) => old.index(shelf))),
        Promise.all(names.map((shelf) => next.index({ shelf }))),
      ]);
      assert.deepEqual(
        olds,
        names.map((shelf) => `v1 ${shelf}`),
      );
      assert.deepEqual(
        nexts,
        names.map((shelf) => `v2 ${shelf}`),
      );
      assert.equal(runs.length, 40);
    });

    it("end what one of them began, and the next gives the result", async () => {
      const store = createStore();
      const old = await Deployed.of("v1", store);
      const { id } = await old.index.submit("poems");
      await old.index.result(id);
      await using next = await Deployed.of("v2", store);
      await old.close();
      assert.equal(await next.index.result(id), "v1 poems");
      assert.equal((await next.index.retry(id)).id === id, false);
    });
  });

  it("a held task of an api that is then renamed is told among those that wait for it", async () => {
    const store = createStore();
    const { begun, waiting } = await leaveTasks(store);
    {
      await using app = await Deployed.of("v2", store);
      for (const id of [begun, waiting]) await app.held(id);
    }
    await using app = await Deployed.of("renamed", store);
    const { fields } = await app.log.take(/tasks wait for apis that this app does not have/);
    assert.deepEqual(fields["tasks"], { "Library.index": 2 });
    const state = await app.ask("GET", `/index/status?task_id=${waiting}`);
    assert.deepEqual([state.body.held, state.body.gone_api], [true, "Library.index"]);
    assert.equal((await app.ask("POST", `/index/retry?task_id=${waiting}`)).body.id, "task_api_gone");
  });
}
