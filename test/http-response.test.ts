import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { createDeferred } from "../src/base/clock.js";
import { createCallTime } from "../src/call/call-scope.js";
import { connect } from "../src/client.js";
import { api, currentCall, depends, Service, ServingError, task } from "../src/index.js";
import { LogBook } from "./conformance/suite.js";
import { FakeClock } from "./fake-clock.js";
import { createTestServer } from "./http/test-server.js";

/** Sets every part of a response. */
function respond(): void {
  const { response } = currentCall();
  response.status(202);
  response.header("x-count", 3);
  response.header("vary", "accept-language");
  response.cookie("session", "a b", { maxAge: 60 });
  response.cookie("theme", "dark", { httpOnly: false });
}

/** Returns the failure of a step, as text. */
function problemOf(step: () => void): string {
  try {
    step();
    return "none";
  } catch (error) {
    return error instanceof ServingError ? `${error.id}: ${error.message}` : String(error);
  }
}

let slowBegan = createDeferred<void>();
let waitForBeat = createDeferred<void>();
let late = createDeferred<string>();

class Below extends Service() {
  tries = api({ output: z.string() }, () => problemOf(respond));
}

class Entry extends Service() {
  below = depends(Below);
  all = api({ output: z.string() }, () => {
    respond();
    return "done";
  });
  later = api({ output: z.string() }, async () => {
    await new Promise(setImmediate);
    respond();
    return "done";
  });
  created = api({ status: 201, output: z.object({ id: z.number() }) }, () => ({ id: 7 }));
  removed = api({ status: 204, output: z.void() }, () => {});
  changed = api({ status: 201, output: z.number() }, () => {
    currentCall().response.status(200);
    return 1;
  });
  away = api({ output: z.null() }, () => {
    currentCall().response.redirect("/home");
    return null;
  });
  own = api({ output: z.string() }, () => {
    currentCall().response.status(418);
    return "short and stout";
  });
  fails = api({ status: 201, output: z.string() }, () => {
    respond();
    throw new ServingError({ code: "not_found", message: "no" });
  });
  injects = api({ output: z.string() }, () => {
    currentCall().response.header("x-a", "1\r\nset-cookie: evil=1");
    return "";
  });
  belowTries = api({ output: z.string() }, () => this.below.tries());
  items = api({ status: 201, yields: z.string() }, async function* () {
    currentCall().response.header("x-count", 3);
    yield "one";
    yield problemOf(() => currentCall().response.header("x-late", "1"));
  });
  nothing = api({ yields: z.string() }, async function* () {
    currentCall().response.cookie("empty", "1");
    yield* [];
  });
  breaks = api({ yields: z.string() }, async function* () {
    respond();
    yield* [];
    throw new ServingError({ code: "not_found", message: "no" });
  });
  slow = api({ yields: z.number() }, async function* () {
    slowBegan.resolve();
    await waitForBeat.promise;
    currentCall().response.header("x-late", "1");
    yield 1;
  });
  rows = api({ input: z.array(z.any()), output: z.array(z.string()), batch: { maxRows: 4 } }, (rows) =>
    rows.map(() => problemOf(respond)),
  );
  tries = api({ output: z.string() }, () => problemOf(respond));
  itemsOfOwn = api({ yields: z.string() }, () => this.#itemsOfOwn());
  kept = api({ output: z.string() }, async () => {
    const { response } = currentCall();
    setImmediate(() => late.resolve(problemOf(() => response.status(201))));
    return "";
  });

  /** Calls an api of its own, before and after the first item. */
  async *#itemsOfOwn() {
    yield await this.tries();
    yield await this.tries();
  }
}

const post = (url: string, headers: Record<string, string> = {}, payload?: string) =>
  ({ method: "POST", url, headers, ...(payload !== undefined && { payload }) }) as const;

describe("the response that an api sets", () => {
  it("is sent with its output: status, headers, cookies", async () => {
    await using server = await createTestServer(Entry, { settings: { cors: ["https://a.org", "https://b.org"] } });
    for (const url of ["/all", "/later"]) {
      const { statusCode, headers, body } = await server.fastify.inject(post(url, { origin: "https://a.org" }));
      assert.deepEqual([statusCode, body], [202, '"done"']);
      assert.deepEqual([headers["x-count"], headers["vary"]], ["3", "Origin, accept-language"]);
      assert.deepEqual(headers["set-cookie"], [
        "session=a%20b; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=Lax",
        "theme=dark; Path=/; Secure; SameSite=Lax",
      ]);
      assert.match(String(headers["content-type"]), /^application\/json/);
    }
  });

  it("has the status of the contract, unless the api sets another", async () => {
    await using server = await createTestServer(Entry);
    const statuses = [["/created", 201], ["/removed", 204], ["/changed", 200], ["/own", 418], ["/all", 202]] as const; // biome-ignore format: one case a line
    for (const [url, status] of statuses) {
      assert.equal((await server.fastify.inject(post(url))).statusCode, status, url);
    }
    const { url } = await server.listen();
    const removed = await fetch(`${url}/removed`, { method: "POST" });
    assert.deepEqual([removed.status, await removed.text(), removed.headers.get("content-type")], [204, "", null]);
    const client = await connect<Entry>(url);
    assert.deepEqual(await client.created(), { id: 7 });
    assert.equal(await client.removed(), undefined);
  });

  it("redirects with 303, so that a browser reads the page", async () => {
    await using server = await createTestServer(Entry);
    const { statusCode, headers } = await server.fastify.inject(post("/away"));
    assert.deepEqual([statusCode, headers["location"]], [303, "/home"]);
  });

  it("keeps what hooks have set", async () => {
    const configure = (fastify: FastifyInstance) => {
      fastify.addHook("onRequest", async (_, reply) => void reply.header("set-cookie", "hook=1").header("vary", "a"));
    };
    await using server = await createTestServer(Entry, { deps: { configure } });
    const { headers } = await server.fastify.inject(post("/all"));
    assert.equal((headers["set-cookie"] as string[])[0], "hook=1");
    assert.equal((headers["set-cookie"] as string[]).length, 3);
    assert.equal(headers["vary"], "a, accept-language");
  });

  it("is not that of a failure", async () => {
    await using server = await createTestServer(Entry);
    for (const url of ["/fails", "/breaks"]) {
      const { statusCode, headers } = await server.fastify.inject(post(url));
      assert.deepEqual([statusCode, headers["x-count"], headers["set-cookie"]], [404, undefined, undefined], url);
    }
  });

  it("can't carry a header that is none", async () => {
    await using server = await createTestServer(Entry);
    const { statusCode, headers, body } = await server.fastify.inject(post("/injects"));
    assert.deepEqual([statusCode, headers["set-cookie"]], [500, undefined]);
    assert.match(body, /response_refused/);
    assert.doesNotMatch(body, /evil/);
  });

  it("is refused in a service below, in a batch and after the end", async () => {
    await using server = await createTestServer(Entry);
    const { fastify } = server;
    const refusal = /^response_refused: .*came from Entry\.belowTries, not over HTTP/;
    assert.match((await fastify.inject(post("/belowTries"))).json(), refusal);
    const json = { "content-type": "application/json" };
    assert.match((await fastify.inject(post("/rows", json, "[1]"))).json()[0], /joins calls into batches/);
    late = createDeferred();
    await fastify.inject(post("/kept"));
    assert.match(await late.promise, /the call has ended/);
  });
});

describe("the response of a stream", () => {
  it("is sent before the first item, and refused after it", async () => {
    await using server = await createTestServer(Entry);
    const { statusCode, headers, body } = await server.fastify.inject(post("/items", { accept: "text/event-stream" }));
    assert.deepEqual([statusCode, headers["x-count"], headers["x-late"]], [201, "3", undefined]);
    assert.match(body, /^data: "one"\n\ndata: "response_refused: .*the first item of the stream was sent/);
    const own = await server.fastify.inject(post("/itemsOfOwn", { accept: "text/event-stream" }));
    assert.deepEqual([own.statusCode, own.headers["x-count"]], [202, "3"]);
    assert.match(own.body, /^data: "none"\n\ndata: "response_refused: .*the first item/);
    const empty = await server.fastify.inject(post("/nothing"));
    assert.match(String(empty.headers["set-cookie"]), /^empty=1;/);
  });

  it("is dropped, with a warning, when a heartbeat came before the first item", async () => {
    const clock = new FakeClock();
    const log = new LogBook();
    slowBegan = createDeferred();
    waitForBeat = createDeferred();
    const deps = { time: createCallTime(clock), log: log.logger };
    await using server = await createTestServer(Entry, { deps, settings: { heartbeatMs: 1000 } });
    const { url } = await server.listen();
    const asked = fetch(`${url}/slow`, { method: "POST", headers: { accept: "text/event-stream" } });
    await slowBegan.promise;
    clock.advance(2000);
    // The head leaves with the heartbeat.
    const response = await asked;
    waitForBeat.resolve();
    assert.equal(response.headers.get("x-late"), null);
    assert.match(await response.text(), /data: 1\n\n/);
    const { fields } = await log.take(/^what the api has set of its response was dropped/);
    assert.deepEqual([fields["service"], fields["api"]], ["Entry", "slow"]);
  });
});

describe("the response and tasks", () => {
  const data = mkdtempSync(join(tmpdir(), "ekiben-response-"));
  after(() => rmSync(data, { recursive: true, force: true }));

  class Chores extends Service() {
    work = task({ status: 201, output: z.string() }, () => problemOf(respond));
  }

  it("is refused in a task, whose status applies to the call that waits", async () => {
    await using server = await createTestServer(Chores, { data });
    const waited = await server.fastify.inject(post("/work"));
    assert.deepEqual([waited.statusCode, waited.headers["x-count"]], [201, undefined]);
    assert.match(waited.json(), /a task runs apart from the request/);
    assert.equal((await server.fastify.inject(post("/work/submit"))).statusCode, 200);
  });
});

describe("the status of a contract", () => {
  it("is in the OpenAPI document", async () => {
    await using server = await createTestServer(Entry);
    const { paths } = (await server.fastify.inject("/openapi.json")).json();
    const answers = (path: string) => Object.keys(paths[path].post.responses).filter((status) => status < "300");
    assert.deepEqual([answers("/created"), answers("/removed"), answers("/all")], [["201"], ["204"], ["200"]]);
    assert.equal(paths["/removed"].post.responses["204"].content, undefined);
    assert.equal(paths["/created"].post.responses["401"], undefined);
  });

  it("goes with 401 there when the app asks who is asking", async () => {
    await using server = await createTestServer(Entry, { deps: { context: () => ({}) } });
    const { paths, components } = (await server.fastify.inject("/openapi.json")).json();
    assert.equal(paths["/created"].post.responses["401"].$ref, "#/components/responses/Failure401");
    assert.deepEqual(Object.keys(components.responses["Failure401"].headers), ["www-authenticate"]);
  });

  it("is a fault when no answer can have it", async () => {
    const wrong = (contract: object) => {
      class Wrong extends Service() {
        run = api(contract as never, () => "" as never);
      }
      return createTestServer(Wrong);
    };
    await Promise.all([
      assert.rejects(wrong({ status: 404, output: z.string() }), /Wrong\.run: status is 404/),
      assert.rejects(wrong({ status: 204, output: z.string() }), /Wrong\.run: status 204 sends no body/),
      assert.rejects(wrong({ status: 204, yields: z.string() }), /Wrong\.run: status 204 sends no body/),
    ]);
  });
});
