import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { failureOf } from "../../test/client/failure-of.js";
import { answerJson, type StubRequest, startRawStub, startStub } from "../../test/client/stub-server.js";
import { client } from "./connect.js";
import type { ConnectOptions } from "./endpoint.js";

/** A client without types: every name is a function, with functions as its properties. */
type Late = Record<string, LateFunction>;
type LateFunction = ((input?: unknown, options?: object) => Promise<unknown> & AsyncIterable<unknown>) & {
  readonly [operation: string]: (input?: unknown, options?: object) => Promise<unknown>;
};

const lateClient = (url: string | URL, options?: ConnectOptions) => client<object>(url, options) as unknown as Late;

async function collect(items: AsyncIterable<unknown> | undefined): Promise<unknown[]> {
  const read: unknown[] = [];
  for await (const item of items ?? []) read.push(item);
  return read;
}

const apis = {
  run: { answer: (request: StubRequest) => answerJson(request, `ran ${request.body}`) },
  inspect: { answer: (request: StubRequest) => answerJson(request, "inspected") },
  tokens: {
    kind: "stream" as const,
    answer: ({ response }: StubRequest) =>
      response.writeHead(200, { "content-type": "text/event-stream" }).end("data: 1\n\ndata: 2\n\n"),
  },
  train: { kind: "task" as const, answer: (request: StubRequest) => answerJson(request, "trained") },
};
const pathsOf = (stub: { readonly requests: readonly StubRequest[] }) => stub.requests.map(({ path }) => path);

describe("client", () => {
  it("asks nothing before its first call, and for the apis once, whatever comes first", async () => {
    await using stub = await startStub(apis);
    const late = lateClient(stub.url);
    assert.equal(late["run"], late["run"]);
    assert.deepEqual(pathsOf(stub), []);
    const calls = [late["run"]?.(1), late["run"]?.(2), collect(late["tokens"]?.()), late["train"]?.()];
    assert.deepEqual(await Promise.all(calls), ["ran 1", "ran 2", [1, 2], "trained"]);
    assert.deepEqual(await late["run"]?.(3), "ran 3");
    assert.equal(await late["inspect"]?.(), "inspected");
    assert.deepEqual(pathsOf(stub).sort(), ["/inspect", "/run", "/run", "/run", "/schema.json", "/tokens", "/train"]);
  });

  it("takes charge of promises in inputs at once, also while it waits for the apis or never gets them", async () => {
    const unheard: unknown[] = [];
    const hear = (error: unknown) => unheard.push(error);
    process.on("unhandledRejection", hear);
    try {
      await using stub = await startStub(apis);
      const inputs = () => [Promise.reject(new Error("no picture")), { a: 1, b: Promise.reject(new Error("no text")) }];
      for (const url of [stub.url, "http://127.0.0.1:1"]) {
        const late = lateClient(url);
        const calls = inputs().flatMap((input) => [late["run"]?.(input), late["train"]?.["submit"]?.(input)]);
        const streams = inputs().map((input) => late["tokens"]?.(input));
        // An unhandled rejection would be told after this turn.
        await new Promise(setImmediate);
        const ends = await Promise.allSettled([...calls, ...streams.map(collect)]);
        assert.deepEqual(new Set(ends.map(({ status }) => status)), new Set(["rejected"]));
      }
      const late = lateClient(stub.url);
      await late["run"]?.(1);
      for (const input of inputs()) void late["tokens"]?.(input);
      await new Promise(setImmediate);
    } finally {
      process.off("unhandledRejection", hear);
    }
    assert.deepEqual(unheard, []);
  });

  it("is an object that can be awaited, printed and compared, before and after it has connected", async () => {
    await using stub = await startStub(apis);
    const late = lateClient(stub.url);
    for (const _ of [1, 2]) {
      assert.equal(await late, late);
      assert.equal(typeof inspect(late), "string");
      assert.equal(JSON.stringify(late), "{}");
      assert.equal(`${late}`, "[object Object]");
      assert.equal(await late["run"], late["run"]);
      await late["run"]?.();
    }
    assert.throws(() => Object.assign(late, { run: 1 }), TypeError);
  });

  it("has the operations of a task, and of no other api", async () => {
    const answer = (request: StubRequest) => {
      const isSchema = request.path === "/schema.json";
      const routes = ["run", "train"].map((name) => {
        return { name, route: `/${name}`, kind: name === "run" ? "unary" : "task", input: {}, output: {} };
      });
      answerJson(request, isSchema ? { name: "Stub", routes } : { task_id: "t1", status: "in_progress" });
    };
    await using stub = await startRawStub(answer);
    const late = lateClient(stub.url);
    assert.deepEqual(await late["train"]?.["submit"]?.({ a: 1 }), { id: "t1" });
    const other = lateClient(stub.url);
    const unknown = await failureOf(other["run"]?.["submit"]?.());
    assert.deepEqual(
      [unknown.id, unknown.message],
      ["unknown_api", "there is no api run.submit; there are run, train"],
    );
    assert.equal((await failureOf(lateClient(stub.url)["rnu"]?.())).id, "unknown_api");
  });

  it("fails each call while the apis can't be read, and asks again at the next", async () => {
    let isUp = false;
    await using stub = await startRawStub((request) => {
      if (!isUp) return request.response.writeHead(503).end("down");
      const routes = [{ name: "run", route: "/run", kind: "unary", input: {}, output: {} }];
      answerJson(request, request.path === "/schema.json" ? { name: "Stub", routes } : "ran");
    });
    const late = lateClient(stub.url);
    const failures = await Promise.all([failureOf(late["run"]?.()), failureOf(collect(late["run"]?.()))]);
    assert.deepEqual(
      failures.map(({ id }) => id),
      ["connect_failed", "connect_failed"],
    );
    assert.deepEqual(pathsOf(stub), ["/schema.json"]);
    isUp = true;
    assert.equal(await late["run"]?.(), "ran");
    assert.deepEqual(pathsOf(stub), ["/schema.json", "/schema.json", "/run"]);
    assert.equal((await failureOf(lateClient("nowhere")["run"]?.())).id, "connect_failed");
  });

  it("says nothing of a stream that nobody reads, also where the server can't be reached", async () => {
    await using stub = await startRawStub(({ response }) => void response.writeHead(503).end());
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on("unhandledRejection", note);
    lateClient(stub.url)["tokens"]?.();
    assert.equal((await failureOf(lateClient(stub.url)["tokens"]?.())).id, "connect_failed");
    // The first request was answered before the second.
    await new Promise(setImmediate);
    process.off("unhandledRejection", note);
    assert.deepEqual(unhandled, []);
  });

  it("ends a call that waits for the apis by its own limits, and gives up asking when nobody waits", async () => {
    let asked = 0;
    await using stub = await startRawStub((request) => {
      // The first question is never answered.
      if (request.path === "/schema.json" && ++asked === 1) return;
      const routes = [{ name: "run", route: "/run", kind: "unary", input: {}, output: {} }];
      answerJson(request, request.path === "/schema.json" ? { name: "Stub", routes } : "ran");
    });
    const late = lateClient(stub.url);
    const stop = new AbortController();
    const [slow, stopped] = [late["run"]?.({}, { timeoutMs: 20 }), late["run"]?.({}, { signal: stop.signal })];
    const failure = await failureOf(slow);
    assert.equal(failure.id, "deadline_exceeded");
    assert.match(failure.message, /within 20 ms \(timeoutMs of this call\); still waiting for http:/);
    stop.abort(new Error("the user left"));
    assert.match((await failureOf(stopped)).message, /the user left/);
    await stub.requests[0]?.closed;
    assert.equal(await late["run"]?.(), "ran");
    assert.equal(asked, 2);
  });

  it("counts the time that the apis took as time of the call", async () => {
    const told: (string | string[] | undefined)[] = [];
    await using stub = await startStub({
      run: {
        answer: (request) => {
          told.push(request.headers["ekiben-timeout-ms"]);
          answerJson(request, "ran");
        },
      },
    });
    const late = lateClient(stub.url);
    await late["run"]?.({}, { timeoutMs: 600_000 });
    assert.ok(Number(told[0]) < 600_000, `${told}`);
  });

  it("lets a stream that waits for the apis be ended", async () => {
    await using stub = await startStub(apis);
    const items = lateClient(stub.url)["tokens"]?.()[Symbol.asyncIterator]();
    assert.deepEqual(await items?.return?.(), { done: true, value: undefined });
    assert.deepEqual(pathsOf(stub), ["/schema.json"]);
    const twice = lateClient(stub.url)["tokens"]?.();
    assert.deepEqual(await collect(twice), [1, 2]);
    assert.equal((await failureOf(collect(twice))).id, "stream_used_twice");
  });
});
