import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { planApp } from "../src/app/plan-app.js";
import { createDeferred } from "../src/base/clock.js";
import { createCallTime } from "../src/call/call-scope.js";
import {
  api,
  type ContextRequest,
  currentCall,
  depends,
  type ReadContext,
  Service,
  ServingError,
  serve,
  stream,
  task,
} from "../src/index.js";
import { LogBook } from "./conformance/suite.js";
import { FakeClock } from "./fake-clock.js";
import { RawConnection } from "./http/raw-connection.js";
import { createTestServer } from "./http/test-server.js";

const whoami = () => currentCall().context;
let runs = 0;

class Below extends Service() {
  who = api({ output: z.any() }, whoami);
  trace = api({ output: z.any() }, () => {
    const { requestId, trace } = currentCall();
    return { requestId, traceId: trace.traceId };
  });
}

class Entry extends Service() {
  below = depends(Below);
  who = api({ output: z.any() }, async () => [whoami(), await this.below.who()]);
  detached = api({ output: z.any() }, () => this.below.who(undefined, { detach: true }));
  items = api({ yields: z.any() }, async function* () {
    yield whoami();
    await new Promise(setImmediate);
    yield whoami();
  });
  takes = api({ input: stream(z.any()), output: z.any() }, async (items) => {
    for await (const _ of items) runs++;
    return whoami();
  });
  runs = api({ input: z.any(), output: z.number() }, () => ++runs);
  helper = api({ output: z.any() }, () => whoami() ?? "nobody");
  rows = api({ input: z.array(z.any()), output: z.array(z.any()), batch: { maxRows: 4 } }, async (rows) => {
    const { requestId, trace } = currentCall();
    assert.deepEqual(await this.below.trace(), { requestId, traceId: trace.traceId });
    const detached = this.below.who(undefined, { detach: true });
    const seen = await Promise.all([whoami(), this.below.who(), detached, this.helper()]);
    return rows.map(() => seen.map((who) => who ?? "nobody"));
  });
}

/** Users by token, in place of a real check. */
const users: Readonly<Record<string, string>> = { "Bearer ann": "ann", "Bearer bob": "bob" };

const context: ReadContext = async ({ headers }) => {
  const user = users[headers["authorization"] ?? ""];
  if (user === undefined) throw new ServingError({ code: "unauthenticated", message: "who is asking?" });
  if (user === "bob") throw new ServingError({ code: "permission_denied", id: "not_you", message: "not bob" });
  return { user };
};

const ann = { authorization: "Bearer ann" };
const post = (url: string, headers: Record<string, string> = {}, payload?: string) =>
  ({ method: "POST", url, headers, ...(payload !== undefined && { payload }) }) as const;

describe("context of the app file", () => {
  it("is what every api of the request sees: below, detached, in streams both ways", async () => {
    await using server = await createTestServer(Entry, { deps: { context } });
    const { fastify } = server;
    assert.deepEqual((await fastify.inject(post("/who", ann))).json(), [{ user: "ann" }, { user: "ann" }]);
    assert.deepEqual((await fastify.inject(post("/detached", ann))).json(), { user: "ann" });
    assert.equal((await fastify.inject(post("/items", ann))).body, '{"user":"ann"}\n{"user":"ann"}\n');
    const lines = { ...ann, "content-type": "application/x-ndjson" };
    assert.deepEqual((await fastify.inject(post("/takes", lines, "1\n2\n"))).json(), { user: "ann" });
  });

  it("is undefined in an api that batches and below, alone or not: it runs for several requests", async () => {
    await using server = await createTestServer(Entry, { deps: { context } });
    const json = { ...ann, "content-type": "application/json" };
    const nobody = ["nobody", "nobody", "nobody", "nobody"];
    const alone = await server.fastify.inject(post("/rows", json, "[1]"));
    assert.deepEqual(alone.json(), [nobody]);
    const answers = await Promise.all([1, 2, 3].map(() => server.fastify.inject(post("/rows", json, "[1]"))));
    for (const answer of answers) assert.deepEqual(answer.json(), [nobody]);
  });

  it("is undefined without the option", async () => {
    await using server = await createTestServer(Entry);
    assert.deepEqual((await server.fastify.inject(post("/items", ann))).body, "null\nnull\n");
  });

  it("refuses with 401 and 403 in ekiben's form; the api does not run", async () => {
    await using server = await createTestServer(Entry, { deps: { context } });
    const before = runs;
    const nobody = await server.fastify.inject(post("/runs"));
    assert.deepEqual([nobody.statusCode, nobody.headers["www-authenticate"]], [401, "Bearer"]);
    const { requestId, ...body } = nobody.json();
    assert.deepEqual(body, {
      error: "who is asking?",
      code: "unauthenticated",
      id: "unauthenticated",
      service: "Entry",
      api: "runs",
      details: {},
    });
    assert.equal(requestId, nobody.headers["x-request-id"]);
    const bob = await server.fastify.inject(post("/runs", { authorization: "Bearer bob" }));
    assert.deepEqual([bob.statusCode, bob.json().id, bob.headers["www-authenticate"]], [403, "not_you", undefined]);
    assert.equal(runs, before);
  });

  it("refuses streams, bodies that are streams, and bodies before they are read", async () => {
    await using server = await createTestServer(Entry, { deps: { context } });
    const { port } = await server.listen();
    for (const url of ["/items", "/takes"]) {
      assert.equal((await server.fastify.inject(post(url))).statusCode, 401, url);
    }
    const connection = new RawConnection(port);
    connection.write(
      "POST /runs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n",
    );
    await connection.until((text) => text.startsWith("HTTP/1.1 401 "));
    connection.end();
  });

  it("may name the challenge of a 401, as one header", async () => {
    const challenges: [unknown, string][] = [
      ['Basic realm="books"', 'Basic realm="books"'],
      ["Basic\r\nx-evil: 1", "Bearer"],
      [7, "Bearer"],
    ];
    for (const [challenge, header] of challenges) {
      const refuse = () => {
        throw new ServingError({ code: "unauthenticated", message: "no", details: { challenge } });
      };
      await using server = await createTestServer(Entry, { deps: { context: refuse } });
      const { headers } = await server.fastify.inject(post("/who"));
      assert.deepEqual([headers["www-authenticate"], headers["x-evil"]], [header, undefined]);
    }
  });

  it("masks any other error, under an incident that is in the log", async () => {
    const log = new LogBook();
    const crash = async () => {
      throw new Error("password=secret");
    };
    await using server = await createTestServer(Entry, { deps: { context: crash, log: log.logger } });
    const response = await server.fastify.inject(post("/who"));
    assert.equal(response.statusCode, 500);
    assert.doesNotMatch(response.body, /secret/);
    const { fields } = await log.take(/^internal error: password=secret/);
    assert.equal(fields["incident"], response.json().incident);
  });

  it("logs the cause of a failure that it raised, and tells it nobody", async () => {
    const log = new LogBook();
    const busy = () => {
      const cause = new Error("connect ECONNREFUSED 10.0.0.7");
      throw new ServingError({ code: "unavailable", id: "users_away", message: "try later", cause });
    };
    await using server = await createTestServer(Entry, { deps: { context: busy, log: log.logger } });
    const response = await server.fastify.inject(post("/who"));
    assert.deepEqual([response.statusCode, response.headers["retry-after"]], [503, "1"]);
    assert.doesNotMatch(response.body, /ECONN/);
    const { fields } = await log.take("context of the app file failed: try later");
    assert.match(String((fields["err"] as Error).message), /ECONNREFUSED/);
  });

  it("names the place of a value that can't travel", async () => {
    await using server = await createTestServer(Entry, { deps: { context: () => ({ user: { since: new Date() } }) } });
    const response = await server.fastify.inject(post("/who"));
    assert.deepEqual([response.statusCode, response.json().id], [500, "invalid_context"]);
    assert.match(response.json().error, /context\.user\.since is a value of class Date/);
  });

  it("may answer at once, with any JSON value", async () => {
    for (const value of ["ann", 7, null, ["a"], {}]) {
      await using server = await createTestServer(Entry, { deps: { context: () => value } });
      assert.deepEqual((await server.fastify.inject(post("/who"))).json(), [value, value]);
    }
  });

  it("sees the request, frozen: what came and what hooks made of it", async () => {
    const seen: ContextRequest[] = [];
    const look = (request: ContextRequest) => void seen.push(request);
    const configure = (fastify: FastifyInstance) => {
      fastify.addHook("onRequest", async ({ headers }) => void (headers["x-hook"] = "1"));
    };
    await using server = await createTestServer(Entry, { deps: { context: look, configure } });
    await server.fastify.inject(post("/who?a=1", { "X-Custom": "c", "x-request-id": "r-1" }));
    const [{ method, url, api: name, route, requestId, ip, headers, signal }] = seen as [ContextRequest];
    assert.deepEqual([method, url, name, route, requestId], ["POST", "/who?a=1", "who", "/who", "r-1"]);
    assert.deepEqual([headers["x-custom"], headers["x-hook"], ip], ["c", "1", "127.0.0.1"]);
    assert.equal(signal.aborted, false);
    assert.ok(Object.isFrozen(seen[0]) && Object.isFrozen(headers));
  });

  it("runs for apis only, not for documents, probes and routes of the author's", async () => {
    const never: ReadContext = () => assert.fail("nobody asked");
    const configure = (fastify: FastifyInstance) => void fastify.get("/own", async () => "own");
    await using server = await createTestServer(Entry, { deps: { context: never, configure } });
    for (const url of ["/livez", "/readyz", "/metrics", "/openapi.json", "/schema.json", "/docs", "/own"]) {
      assert.equal((await server.fastify.inject(url)).statusCode, 200, url);
    }
    assert.equal((await server.fastify.inject({ method: "OPTIONS", url: "/who" })).statusCode, 204);
    assert.equal((await server.fastify.inject(post("/nowhere"))).statusCode, 404);
  });

  it("has a time limit, which ends its signal", async () => {
    const clock = new FakeClock();
    let signal: AbortSignal | undefined;
    const begun = createDeferred<void>();
    const hang = async (request: ContextRequest) => {
      signal = request.signal;
      begun.resolve();
      await new Promise((resolve) => signal?.addEventListener("abort", resolve));
      return { user: "late" };
    };
    const deps = { context: hang, time: createCallTime(clock) };
    await using server = await createTestServer(Entry, { deps, settings: { contextTimeoutMs: 100 } });
    const before = runs;
    const answer = server.fastify.inject(post("/runs"));
    void answer.then(() => {});
    await begun.promise;
    clock.advance(99);
    assert.equal(signal?.aborted, false);
    clock.advance(20);
    const response = await answer;
    assert.deepEqual([response.statusCode, response.json().id], [503, "context_timeout"]);
    assert.deepEqual([signal?.aborted, signal?.reason.id, runs], [true, "context_timeout", before]);
  });

  it("ends when the client leaves, and its call is not made", async () => {
    const left = createDeferred<string>();
    const began = createDeferred<void>();
    const hang = async ({ signal }: ContextRequest) => {
      began.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      left.resolve(signal.reason.id);
      return {};
    };
    await using server = await createTestServer(Entry, { deps: { context: hang } });
    const { port } = await server.listen();
    const before = runs;
    const connection = new RawConnection(port);
    connection.write("POST /runs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    await began.promise;
    connection.socket.destroy();
    assert.equal(await left.promise, "cancelled");
    await new Promise(setImmediate);
    assert.equal(runs, before);
  });

  it("is a fault when it is no function", () => {
    const appFile = { path: "ekiben.config.ts", value: { context: { user: "ann" } } };
    assert.throws(
      () => planApp(Entry, { flags: {}, env: {}, appFile }),
      /option context is .* \(ekiben\.config\.ts context\); expected a function/,
    );
  });

  it("is in no log line and no answer of its own", async () => {
    const log = new LogBook();
    const secret = () => ({ user: "secret-of-ann" });
    class Failing extends Service() {
      fail = api({ output: z.any() }, () => {
        currentCall().log.info({ call: currentCall() }, "called");
        throw new Error("broken");
      });
    }
    const deps = { context: secret, log: log.logger };
    await using server = await createTestServer(Failing, { deps, settings: { accessLog: true } });
    const response = await server.fastify.inject(post("/fail"));
    assert.equal(response.statusCode, 500);
    await log.take("request");
    assert.doesNotMatch(`${response.body} ${JSON.stringify(response.headers)}`, /secret-of-ann/);
    assert.doesNotMatch(JSON.stringify(log.all()), /secret-of-ann/);
  });
});

describe("requireContext()", () => {
  const known = () => currentCall().requireContext();

  class Known extends Service() {
    who = api({ output: z.any() }, known);
    kept = api({ output: z.any(), idempotent: true, cache: { ttlMs: 1000 } }, known);
    rows = api({ input: z.array(z.any()), output: z.array(z.any()), batch: { maxRows: 4 } }, (rows) => rows.map(known));
  }

  it("returns the context of the request, and answers 401 in apis that have none", async () => {
    await using server = await createTestServer(Known, { deps: { context } });
    const { fastify } = server;
    assert.deepEqual((await fastify.inject(post("/who", ann))).json(), { user: "ann" });
    const json = { ...ann, "content-type": "application/json" };
    const refused = [await fastify.inject(post("/kept", ann)), await fastify.inject(post("/rows", json, "[1]"))];
    for (const answer of refused) {
      const { statusCode, headers } = answer;
      assert.deepEqual([statusCode, answer.json().id, headers["www-authenticate"]], [401, "context_missing", "Bearer"]);
    }
  });

  it("answers 401 where nobody asks who it is, and where the answer is null", async () => {
    for (const deps of [{}, { context: () => null }]) {
      await using server = await createTestServer(Known, { deps });
      const { statusCode, ...answer } = await server.fastify.inject(post("/who", ann));
      assert.deepEqual([statusCode, JSON.parse(answer.body).id], [401, "context_missing"]);
    }
  });
});

describe("context and durable tasks", () => {
  const folder = mkdtempSync(join(tmpdir(), "ekiben-context-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  class Chores extends Service() {
    below = depends(Below);
    work = task({ output: z.any() }, async () => [whoami(), await this.below.who()]);
    fails = task({ input: z.string(), output: z.any() }, () => {
      throw new ServingError({ code: "not_found", message: `no ${(whoami() as { user: string }).user}` });
    });
  }

  it("is kept with the task, for its attempts and its retries", async () => {
    const data = join(folder, "kept");
    await using server = await createTestServer(Chores, { data, deps: { context } });
    const { fastify } = server;
    assert.deepEqual((await fastify.inject(post("/work", ann))).json(), [{ user: "ann" }, { user: "ann" }]);
    const json = { ...ann, "content-type": "application/json" };
    const submitted = await fastify.inject(post("/fails/submit", json, '"x"'));
    const get = (id: string) => fastify.inject({ method: "GET", url: `/fails/get?task_id=${id}&wait=1`, headers: ann });
    assert.equal((await get(submitted.json().task_id)).json().error, "no ann");
    const url = `/fails/retry?task_id=${submitted.json().task_id}`;
    const again = await fastify.inject(post(url, ann));
    assert.equal((await get(again.json().task_id)).json().error, "no ann");
  });

  it("is asked for by every question about a task", async () => {
    const data = join(folder, "asked");
    const routes: string[] = [];
    const noting: ReadContext = (request) => {
      routes.push(`${request.api} ${request.route}`);
      return context(request);
    };
    await using server = await createTestServer(Chores, { data, deps: { context: noting } });
    const { fastify } = server;
    const { task_id: id } = (await fastify.inject(post("/work/submit", ann))).json();
    const questions = [
      ["POST", "/work"],
      ["POST", "/work/submit"],
      ["GET", `/work/status?task_id=${id}`],
      ["GET", `/work/get?task_id=${id}`],
      ["PUT", `/work/cancel?task_id=${id}`],
      ["POST", `/work/retry?task_id=${id}`],
    ] as const;
    for (const [method, url] of questions) {
      assert.equal((await fastify.inject({ method, url })).statusCode, 401, url);
    }
    // A guard by route sees the api's own route, whatever is asked about its tasks.
    assert.deepEqual(new Set(routes), new Set(["work /work"]));
    const events = { ...ann, accept: "text/event-stream" };
    const status = await fastify.inject({ method: "GET", url: `/work/status?task_id=${id}`, headers: events });
    assert.deepEqual([status.statusCode, /"completed"/.test(status.body)], [200, true]);
  });

  it("keeps the keys of users apart: each has a task of its own, and hears of no other", async () => {
    class Reports extends Service() {
      report = task({ input: z.string(), output: z.any() }, (day) => [day, whoami()]);
    }
    let made = 0;
    // Each request has a new token, as after a new sign-in.
    const identify: ReadContext = ({ headers: { authorization: user = "" } }) =>
      user === "" ? undefined : { claims: { sub: user, exp: ++made, jti: String(made) } };
    const data = join(folder, "keys");
    await using server = await createTestServer(Reports, { data, deps: { context: identify } });
    const submit = async (user: string, day: string, path = "/report/submit") => {
      const headers = { authorization: user, "idempotency-key": "today", "content-type": "application/json" };
      return (await server.fastify.inject(post(path, headers, JSON.stringify(day)))).json();
    };
    const [first, again, other] = [await submit("ann", "1"), await submit("ann", "1"), await submit("bob", "1")];
    assert.equal(again.task_id, first.task_id);
    assert.notEqual(other.task_id, first.task_id);
    const [day, who] = await submit("bob", "1", "/report");
    assert.deepEqual([day, who.claims.sub], ["1", "bob"]);
    const nobody = await submit("", "2");
    assert.notEqual(nobody.task_id, undefined, "a key that others have used is free for nobody too");
    const reused = await submit("bob", "2");
    assert.deepEqual([reused.id, reused.details], ["task_key_reused", { key: "today", taskId: other.task_id }]);
  });

  it("is asked for by questions about tasks whose api is gone", async () => {
    class Other extends Service() {
      plain = api({ output: z.number() }, () => 1);
    }
    const findFormerTask = async () => assert.fail("it was let in");
    await using server = await createTestServer(Other, { deps: { context, findFormerTask } });
    const url = "/work/status?task_id=abc";
    assert.equal((await server.fastify.inject({ method: "GET", url })).statusCode, 401);
  });
});

describe("serve() with a context", () => {
  it("asks for each request", async () => {
    const options = { logLevel: "silent", placement: "inline", context } as const;
    const server = await serve(Entry, { port: 0, host: "127.0.0.1", env: {}, options });
    try {
      const ask = (headers: Record<string, string>) => fetch(`${server.url}/who`, { method: "POST", headers });
      assert.deepEqual(await (await ask(ann)).json(), [{ user: "ann" }, { user: "ann" }]);
      assert.equal((await ask({})).status, 401);
    } finally {
      await server.close();
    }
  });
});
