import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { failureOf } from "../../test/client/failure-of.js";
import { answerJson, type StubRequest, startRawStub } from "../../test/client/stub-server.js";
import { failures } from "../failure/failures.js";
import { connect } from "./connect.js";
import type { ConnectOptions } from "./endpoint.js";

type Answer = (request: StubRequest) => unknown;
type Method = (input?: unknown, options?: object) => Promise<unknown> & AsyncIterable<unknown>;

/** Starts a server whose api answers by one function after another, the last one again and again. */
async function startScript(answers: readonly Answer[], api: object = {}, options: ConnectOptions = {}) {
  const calls: StubRequest[] = [];
  const route = { name: "run", route: "/run", kind: "unary", input: {}, output: {}, ...api };
  const stub = await startRawStub((request) => {
    if (request.path === "/schema.json") return answerJson(request, { name: "Stub", routes: [route] });
    calls.push(request);
    return answers[Math.min(calls.length, answers.length) - 1]?.(request);
  });
  const client = (await connect<object>(stub.url, options)) as { run: Method & { submit: Method; retry: Method } };
  return { run: client.run, calls, [Symbol.asyncDispose]: () => stub[Symbol.asyncDispose]() };
}

const refuse =
  (id: string, more: object = {}, status = 503): Answer =>
  (request) =>
    answerJson(
      request,
      { error: id, code: "unavailable", id, service: "Stub", api: "run", details: { retryAfterMs: 1 }, ...more },
      status,
    );
const succeed: Answer = (request) => answerJson(request, "done");
const cutOff: Answer = ({ response }) => response.destroy();
const idempotent = { idempotent: true };

describe("a call with retries", () => {
  it("is made again after the server refused it, as often as it says, with the same input", async () => {
    await using full = await startScript([refuse("lane_full"), refuse("overloaded"), succeed], {}, { retries: 2 });
    assert.equal(await full.run({ a: 1 }), "done");
    assert.deepEqual(
      full.calls.map(({ body }) => `${body}`),
      ['{"a":1}', '{"a":1}', '{"a":1}'],
    );
    await using always = await startScript([refuse("lane_full")]);
    assert.equal((await failureOf(always.run(1))).id, "lane_full");
    assert.equal(always.calls.length, 1, "none by default");
    assert.equal((await failureOf(always.run(1, { retries: 1 }))).id, "lane_full");
    assert.equal(always.calls.length, 3);
  });

  it("is not made again when it may have begun, unless its api is idempotent", async () => {
    const begun: readonly Answer[] = [
      refuse("lane_full", { service: "Model", api: "predict" }),
      refuse("replica_lost"),
      refuse("no_such_id"),
      ({ response }) => response.writeHead(503).end("no backend"),
      cutOff,
    ];
    for (const answer of begun) {
      await using plain = await startScript([answer, succeed], {}, { retries: 3 });
      await failureOf(plain.run());
      assert.equal(plain.calls.length, 1);
      await using twice = await startScript([answer, succeed], idempotent, { retries: 3 });
      assert.equal(await twice.run(), "done");
      assert.equal(twice.calls.length, 2);
    }
    await using wrong = await startScript([refuse("invalid_input", { code: "invalid_argument" }, 400)], idempotent, {
      retries: 3,
    });
    await failureOf(wrong.run());
    assert.equal(wrong.calls.length, 1, "the same call would fail again");
  });

  it("is made again after exactly those failures of ekiben that come before a call begins", async () => {
    const seen = new Set<string>();
    const answer: Answer = (request) => {
      const id = JSON.parse(`${request.body}`) as string;
      if (seen.has(id)) return succeed(request);
      seen.add(id);
      return refuse(id)(request);
    };
    await using script = await startScript([answer], {}, { retries: 1 });
    const ids = Object.keys(failures);
    const isRepeated = await Promise.all(
      ids.map((id) =>
        script.run(id).then(
          () => true,
          () => false,
        ),
      ),
    );
    assert.deepEqual(ids.filter((_, index) => isRepeated[index]).sort(), [
      ...["context_timeout", "credentials_unavailable", "draining", "lane_full", "link_full", "no_ready_replica"],
      ...["overloaded", ...("rate_limited" in failures ? ["rate_limited"] : [])],
      ...["service_failed", "too_many_connections"],
    ]);
  });

  it("is made again after a proxy refused it for a time that it names", async () => {
    for (const status of [429, 503]) {
      const past = new Date(0).toUTCString();
      for (const time of ["0", past]) {
        const answer: Answer = ({ response }) => response.writeHead(status, { "retry-after": time }).end("busy");
        await using limited = await startScript([answer, succeed], {}, { retries: 1 });
        assert.equal(await limited.run(), "done");
      }
    }
  });

  it("waits as long as it is asked to, but no longer than its own time, nor than a minute", async () => {
    const tomorrow: Answer = ({ response }) => response.writeHead(503, { "retry-after": "86400" }).end("closed");
    await using closed = await startScript([tomorrow, succeed], idempotent, { retries: 1 });
    const failure = await failureOf(closed.run());
    assert.equal(failure.id, "connect_failed");
    assert.equal((failure.cause as { retryAfterMs?: number }).retryAfterMs, 86_400_000);
    const later = refuse("lane_full", { details: { retryAfterMs: 30_000 } });
    await using hurried = await startScript([later, succeed], {}, { retries: 1 });
    assert.equal((await failureOf(hurried.run({}, { timeoutMs: 10_000 }))).id, "lane_full");
    assert.deepEqual([closed.calls.length, hurried.calls.length], [1, 1]);
  });

  it("ends in a pause by its signal, and leaves no timer behind", async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    const stop = new AbortController();
    const answer: Answer = async (request) => {
      refuse("lane_full", { details: { retryAfterMs: 50_000 } })(request);
      await request.closed;
      stop.abort(new Error("the user left"));
    };
    await using waiting = await startScript([answer]);
    const failure = await failureOf(waiting.run({}, { retries: 1, signal: stop.signal }));
    assert.match(failure.message, /the user left/);
    assert.equal(timers(), before);
  });

  it("is made again when no connection was made: nothing was sent", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, "close");
    let attempts = 0;
    const counting: typeof fetch = (...given) => {
      attempts++;
      return fetch(...given);
    };
    const work = connect(`http://127.0.0.1:${port}`, { fetch: counting, retries: 1 });
    assert.equal((await failureOf(work)).id, "connect_failed");
    assert.equal(attempts, 2);
  });

  it("is a stream only until its items have begun", async () => {
    const items: Answer = ({ response }) =>
      response.writeHead(200, { "content-type": "text/event-stream" }).end("data: 1\n\n");
    const half: Answer = ({ response }) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: 1\n\n", () => response.destroy());
    };
    const stream = { kind: "stream", ...idempotent };
    await using refused = await startScript([refuse("overloaded"), items], stream, { retries: 1 });
    const read: unknown[] = [];
    for await (const item of refused.run()) read.push(item);
    assert.deepEqual(read, [1]);
    await using broken = await startScript([half, items], stream, { retries: 1 });
    const iterator = broken.run()[Symbol.asyncIterator]();
    assert.deepEqual(await iterator.next(), { done: false, value: 1 });
    assert.equal((await failureOf(iterator.next())).id, "connection_lost");
    assert.equal(broken.calls.length, 1);
  });

  it("never sends an input that is a stream again: its items are gone", async () => {
    const api = { input: { is_stream: true, media_types: ["application/x-ndjson"] } };
    await using upload = await startScript([refuse("lane_full"), succeed], api, { retries: 1 });
    assert.equal((await failureOf(upload.run(new Set([1]).values()))).id, "lane_full");
    assert.equal(upload.calls.length, 1);
  });

  it("submits a task again only where that can't make two", async () => {
    const submitted: Answer = (request) => answerJson(request, { task_id: "t1" });
    const task = { kind: "task" };
    await using keyed = await startScript([cutOff, submitted], task, { retries: 1 });
    assert.deepEqual(await keyed.run.submit({}, { key: "order 1" }), { id: "t1" });
    await using plain = await startScript([cutOff, submitted], task, { retries: 1 });
    assert.equal((await failureOf(plain.run.submit({}))).id, "connection_lost");
    await using full = await startScript([refuse("lane_full", { api: "run:submit" }), submitted], task, { retries: 1 });
    assert.deepEqual(await full.run.submit({}), { id: "t1" });
    await using again = await startScript([cutOff, submitted], task, { retries: 1 });
    assert.equal((await failureOf(again.run.retry("t1"))).id, "connection_lost");
  });
});

describe("a call that is to survive its page", () => {
  it("is marked so for fetch, and no other is", async () => {
    const seen: unknown[] = [];
    const noting: typeof fetch = (url, init) => {
      seen.push(init?.keepalive);
      return fetch(url, init);
    };
    await using script = await startScript([succeed], {}, { fetch: noting });
    await script.run({ event: "left" }, { keepalive: true });
    await script.run({ event: "came" });
    assert.deepEqual(seen, [undefined, true, undefined]);
  });
});
