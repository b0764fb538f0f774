import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { createDeferred } from "../src/base/clock.js";
import { silentLogger } from "../src/base/logger.js";
import { api, currentCall, depends, type Server, Service, ServingError, serve, Tensor, tensor } from "../src/index.js";

let began = createDeferred<void>();
let release = createDeferred<void>();
let cancelled = createDeferred<unknown>();

const texts = z.array(z.string());

class Model extends Service() {
  score = api({ input: tensor("float32", ["n"]), output: z.number() }, ({ data }) =>
    data.reduce((sum, x) => sum + x, 0),
  );
  context = api({ output: z.unknown() }, () => {
    const { requestId, trace, headers, caller } = currentCall();
    return { requestId, traceId: trace.traceId, tenant: headers["x-tenant"], caller };
  });
  fails = api({ output: z.unknown() }, () => {
    throw new ServingError({ code: "not_found", id: "no_weights", message: "no weights", details: { file: "w.bin" } });
  });
  hangs = api({ output: z.unknown() }, async () => {
    const { signal } = currentCall();
    signal.addEventListener("abort", () => cancelled.resolve(signal.reason));
    began.resolve();
    await release.promise;
    return "released";
  });
  tokens = api({ input: z.string(), yields: z.string() }, async function* (text) {
    yield* text.split(" ");
  });
}

class Pipeline extends Service() {
  model = depends(Model);
  score = api(
    { input: z.object({ values: z.array(z.number()) }), output: z.object({ score: z.number() }) },
    async (input) => {
      const values = new Tensor("float32", [input.values.length], Float32Array.from(input.values));
      return { score: await this.model.score(values) };
    },
  );
  context = api({ output: z.unknown() }, () => this.model.context());
  fails = api({ output: z.unknown() }, () => this.model.fails());
  hangs = api({ output: z.unknown(), maxConcurrent: 1, maxQueued: 0 }, () => this.model.hangs());
  tokens = api({ input: z.string(), yields: z.string() }, (text) => this.model.tokens(text));
  /** A batch leaves exactly when three rows are there. */
  rows = api(
    { input: { texts }, output: { texts, sizes: tensor("int32", ["n"]) }, batch: { maxRows: 3, windowMs: 600_000 } },
    ({ texts: rows }) => ({
      texts: rows.map((row) => (row === "" ? emptyRow() : row.toUpperCase())),
      sizes: new Tensor(
        "int32",
        [rows.length],
        Int32Array.from(rows, (row) => row.length),
      ),
    }),
  );
  priority = api({ output: z.string() }, () => currentCall().priority);
}

const emptyRow = () => new ServingError({ code: "invalid_argument", id: "empty_row", message: "a row has no text" });

let server: Server;
const start = () =>
  serve(Pipeline, { port: 0, host: "127.0.0.1", log: silentLogger, env: {}, options: { placement: "inline" } });
before(async () => {
  server = await start();
});
after(() => server.close());

const post = (path: string, body?: unknown, headers: Record<string, string> = {}, on = server) =>
  fetch(on.url + path, {
    method: "POST",
    headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
const read = async (response: Promise<Response>) => (await (await response).json()) as any;

describe("serve", () => {
  it("answers through every service of the graph", async () => {
    assert.deepEqual(await read(post("/score", { values: [1, 2, 3] })), { score: 6 });
    assert.equal(await (await post("/tokens", "a b c")).text(), "abc");
  });

  it("makes the entry service public, and no other", async () => {
    const failure = await read(post("/Model/score", [1]));
    assert.equal(failure.id, "unknown_route");
    const document = await read(fetch(`${server.url}/openapi.json`));
    assert.ok(!Object.keys(document.paths).some((path) => path.includes("Model")));
  });

  it("carries id, trace and headers of a request to every service below", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const response = post("/context", undefined, { "x-request-id": "r-1", traceparent, "x-tenant": "acme" });
    const caller = { service: "Pipeline", api: "context" };
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    assert.deepEqual(await read(response), { requestId: "r-1", traceId, tenant: "acme", caller });
    assert.equal((await response).headers.get("x-request-id"), "r-1");
  });

  it("tells where a failure below happened", async () => {
    const response = await post("/fails");
    const { requestId: _, ...failure } = await read(Promise.resolve(response));
    assert.equal(response.status, 404);
    const place = { service: "Model", api: "fails" };
    assert.deepEqual(failure, {
      error: "no weights",
      code: "not_found",
      id: "no_weights",
      ...place,
      details: { file: "w.bin" },
    });
  });

  it("names the field of a wrong input, and is undisturbed", async () => {
    const failure = await read(post("/score", { values: [1, "x"] }));
    assert.deepEqual([failure.id, failure.details.issues[0].path], ["invalid_input", "values[1]"]);
    assert.deepEqual(await read(post("/score", { values: [] })), { score: 0 });
  });

  it("joins the rows of several requests, fails one of them alone, and counts their batch", async () => {
    const ask = (text: string) => post("/rows", { texts: [text] });
    const [first, empty, last] = [ask("a"), ask(""), ask("ccc")];
    assert.deepEqual(await read(first), { texts: ["A"], sizes: [1] });
    assert.deepEqual(await read(last), { texts: ["CCC"], sizes: [3] });
    assert.deepEqual([(await empty).status, (await read(empty)).id], [400, "empty_row"]);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /^ekiben_batches_total\{.*api="rows".*reason="full".*\} 1$/m);
    assert.match(metrics, /^ekiben_batch_rows_sum\{.*\} 3$/m);
    assert.match(metrics, /^ekiben_batch_calls_sum\{.*\} 3$/m);
  });

  it("takes a request's priority from its header", async () => {
    assert.equal(await read(post("/priority")), "interactive");
    assert.equal(await read(post("/priority", undefined, { "ekiben-priority": "background" })), "background");
  });

  it("answers when the client's own time is over", async () => {
    const failure = await read(post("/hangs", undefined, { "ekiben-timeout-ms": "60" }));
    assert.equal(failure.id, "deadline_exceeded");
    assert.equal(Math.round(failure.details.timeoutMs), 60);
    assert.equal(failure.details.setBy, "the client's timeoutMs, sent as ekiben-timeout-ms");
  });

  it("ends the work below when the client goes away", async () => {
    [began, cancelled] = [createDeferred(), createDeferred()];
    const client = new AbortController();
    const asked = fetch(`${server.url}/hangs`, { method: "POST", signal: client.signal }).catch(() => {});
    await began.promise;
    client.abort();
    assert.equal(((await cancelled.promise) as ServingError).code, "cancelled");
    await asked;
    release.resolve();
  });

  it("refuses calls at once when a lane is full, with a Retry-After", async () => {
    [began, release] = [createDeferred(), createDeferred()];
    const running = post("/hangs");
    await began.promise;
    const refused = await post("/hangs");
    assert.equal(refused.status, 429);
    assert.match(String(refused.headers.get("retry-after")), /^[1-9]\d*$/);
    assert.equal((await read(Promise.resolve(refused))).id, "lane_full");
    release.resolve();
    assert.equal(await read(running), "released");
  });

  it("is probed, measured and described", async () => {
    for (const path of ["/livez", "/readyz", "/healthz"]) assert.equal((await fetch(server.url + path)).status, 200);
    const ready = await read(fetch(`${server.url}/readyz`));
    assert.deepEqual(ready.services.map((service: { name: string }) => service.name).sort(), ["Model", "Pipeline"]);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /^# TYPE /m);
    assert.equal((await read(fetch(`${server.url}/schema.json`))).name, "Pipeline");
  });

  it("closes without losing accepted requests", async () => {
    [began, release] = [createDeferred(), createDeferred()];
    const closing = await start();
    const running = post("/hangs", undefined, {}, closing);
    await began.promise;
    const closed = closing.close();
    release.resolve();
    assert.equal(await read(running), "released");
    await closed;
    await assert.rejects(post("/context", undefined, {}, closing));
  });
});
