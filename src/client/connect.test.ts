import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { failureOf } from "../../test/client/failure-of.js";
import { answerJson, type StubRequest, startRawStub, startStub } from "../../test/client/stub-server.js";
import { ServingError } from "../failure/serving-error.js";
import { connect } from "./connect.js";
import type { ConnectOptions } from "./endpoint.js";

type Untyped = Record<string, (input?: unknown, options?: object) => Promise<unknown>>;

/** Connects a client of apis without types. */
const connectTo = async (url: string | URL, options?: ConnectOptions) =>
  (await connect<object>(url, options)) as unknown as Untyped & {
    [name: string]: (...args: any[]) => Promise<unknown>;
  };

describe("connect", () => {
  it("has a method for each api of the server, and no other", async () => {
    await using stub = await startStub({
      predict: { route: "/v1/predict", answer: (request) => answerJson(request, { label: "cat" }) },
      tokens: { kind: "stream", answer: () => {} },
      job: { kind: "duplex", answer: () => {} },
    });
    const client = await connectTo(stub.url);
    assert.deepEqual(Object.keys(client), ["predict", "tokens"]);
    assert.deepEqual(await client["predict"]?.({ rawInput: "x" }), { label: "cat" });
    const [schema, call] = stub.requests;
    assert.deepEqual([schema?.method, schema?.path], ["GET", "/schema.json"]);
    assert.deepEqual([call?.method, call?.path, `${call?.body}`], ["POST", "/v1/predict", '{"rawInput":"x"}']);
    assert.equal(call?.headers["content-type"], "application/json");
    assert.match(call?.headers.accept ?? "", /application\/json; tensors=base64/);
    assert.equal(call?.headers["ekiben-timeout-ms"], undefined);
  });

  it("keeps a path in front of the routes", async () => {
    await using stub = await startRawStub((request) => {
      const routes = [{ name: "run", route: "/run", kind: "unary", input: {}, output: {} }];
      answerJson(request, request.path === "/models/a/schema.json" ? { name: "A", routes } : { path: request.path });
    });
    const client = await connectTo(new URL(`${stub.url}/models/a/`));
    assert.deepEqual(await client["run"]?.(), { path: "/models/a/run" });
  });

  it("follows no redirect, and says where it leads", async () => {
    await using other = await startRawStub((request) => answerJson(request, {}));
    await using stub = await startStub({
      run: {
        answer: ({ response }) => void response.writeHead(307, { location: `${other.url}/run` }).end(),
      },
    });
    const client = await connectTo(stub.url, { headers: { "x-key": "secret" } });
    const failure = await failureOf(client["run"]?.({}) as Promise<unknown>);
    assert.equal(failure.id, "connect_failed");
    assert.ok(failure.message.includes(`it redirects to ${other.url}/run`), failure.message);
    assert.deepEqual(other.requests, []);
    await using moved = await startRawStub(({ response }) => void response.writeHead(301, { location: "/new/" }).end());
    assert.equal((await failureOf(connectTo(moved.url))).id, "connect_failed");
  });

  it("says unknown_api and what there is when a name is misspelt", async () => {
    await using stub = await startStub({ predict: { answer: () => {} }, tokens: { kind: "stream", answer: () => {} } });
    const client = await connectTo(stub.url);
    assert.throws(
      () => client["predct"]?.({}),
      (error) => {
        assert.ok(error instanceof ServingError);
        assert.equal(error.id, "unknown_api");
        assert.match(error.message, /no api predct; there are predict, tokens/);
        return true;
      },
    );
  });

  it("is an object that can be awaited, printed and compared", async () => {
    const apis = Object.fromEntries(["predict", "then"].map((name) => [name, { answer: () => {} }]));
    await using stub = await startStub(apis);
    const client = await connectTo(stub.url);
    assert.equal(await client, client);
    assert.match(inspect(client), /predict/);
    assert.equal(JSON.stringify(client), "{}");
    assert.equal(`${client}`, "[object Object]");
    assert.ok(!("predct" in client));
  });

  it("sends the headers it was given, those of a call last, its own on top", async () => {
    await using stub = await startStub({ run: { answer: (request) => answerJson(request, 1) } });
    const client = await connectTo(stub.url, { headers: { authorization: "a", "x-team": "b", accept: "text/html" } });
    await client["run"]?.(1, { headers: { Authorization: "c" } });
    const [schema, call] = stub.requests;
    assert.equal(schema?.headers.authorization, "a");
    assert.deepEqual([call?.headers.authorization, call?.headers["x-team"]], ["c", "b"]);
    assert.match(call?.headers.accept ?? "", /^\*\/\*, application\/json/);
  });

  it("uses the fetch it was given", async () => {
    const asked: string[] = [];
    const routes = [{ name: "run", route: "/run", kind: "unary", input: {}, output: {} }];
    const fetch = async (url: unknown) => {
      asked.push(String(url));
      return Response.json(String(url).endsWith("schema.json") ? { name: "A", routes } : { ok: true });
    };
    const client = await connectTo("https://models.example/a", { fetch: fetch as typeof globalThis.fetch });
    assert.deepEqual(await client["run"]?.(), { ok: true });
    assert.deepEqual(asked, ["https://models.example/a/schema.json", "https://models.example/a/run"]);
  });
});

describe("a server that is not there, or is not ekiben's", () => {
  it("is connect_failed when nothing listens", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const failure = await failureOf(connect(`http://127.0.0.1:${port}`));
    assert.deepEqual([failure.id, failure.code, failure.retryable], ["connect_failed", "unavailable", true]);
    assert.match(failure.message, /could not be reached: .*ECONNREFUSED/);
  });

  it("is connect_failed for what is no http URL", async () => {
    for (const url of ["localhost:3000", "ftp://host", "nowhere", ""]) {
      assert.equal((await failureOf(connect(url))).id, "connect_failed", url);
    }
  });

  it("is invalid_response when the schema is not one", async () => {
    const bodies: readonly (readonly [string, RegExp])[] = [
      ["<html>", /its schema is not JSON/],
      ["null", /names no service and routes/],
      ['{"name":"A"}', /names no service and routes/],
      ['{"name":"A","routes":[{"name":"x"}]}', /a route without name and path/],
      ['{"name":"A","routes":[{"name":"x","route":"http://other"}]}', /a route without name and path/],
    ];
    for (const [body, message] of bodies) {
      await using stub = await startRawStub(({ response }) => response.end(body));
      const failure = await failureOf(connect(stub.url));
      assert.deepEqual([failure.id, failure.code], ["invalid_response", "data_loss"]);
      assert.match(failure.message, message);
    }
  });

  it("tells a server's own refusal from a page of something else", async () => {
    const statuses = [
      [404, "invalid_response"],
      [502, "connect_failed"],
      [503, "connect_failed"],
    ] as const;
    for (const [status, id] of statuses) {
      await using stub = await startRawStub(({ response }) => response.writeHead(status).end("<h1>sorry</h1>"));
      const failure = await failureOf(connect(stub.url));
      assert.equal(failure.id, id);
      assert.match(failure.message, new RegExp(`HTTP ${status}`));
    }
    await using draining = await startRawStub((request) =>
      answerJson(request, { error: "closing", code: "unavailable", id: "draining" }, 503),
    );
    assert.equal((await failureOf(connect(draining.url))).id, "draining");
  });
});

describe("a failure of a call", () => {
  it("is the ServingError it was on the server, with every field", async () => {
    const body = {
      error: "there is no page 7",
      code: "not_found",
      id: "no_such_page",
      service: "Reader",
      api: "read",
      details: { page: 7 },
      incident: "abc",
      requestId: "r1",
    };
    await using stub = await startStub({ run: { answer: (request) => answerJson(request, body, 410) } });
    const failure = await failureOf((await connectTo(stub.url))["run"]?.() as Promise<unknown>);
    const { requestId, error, ...fields } = body;
    assert.equal(failure.message, error);
    for (const [name, value] of Object.entries(fields)) assert.deepEqual(failure[name as "code"], value, name);
    assert.deepEqual([failure.httpStatus, failure.retryable], [410, false]);
    assert.deepEqual(failure.cause, { url: `${stub.url}/run`, status: 410, requestId });
  });

  it("has what the server sent and no more: the client knows no texts of other failures", async () => {
    const body = { error: "full", code: "resource_exhausted", id: "lane_full", details: null, retryable: false };
    await using stub = await startStub({ run: { answer: (request) => answerJson(request, body, 429) } });
    const failure = await failureOf((await connectTo(stub.url))["run"]?.() as Promise<unknown>);
    assert.deepEqual(
      [failure.id, failure.details, failure.retryable, failure.incident, failure.fix],
      ["lane_full", {}, false, undefined, undefined],
    );
  });

  it("is connection_lost when the answer is cut off, and invalid_response when it is not JSON", async () => {
    await using stub = await startStub({
      cut: {
        answer: ({ response }) => {
          response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
          response.write('{"a":', () => response.destroy());
        },
      },
      garbled: {
        answer: ({ response }) => response.writeHead(200, { "content-type": "application/json" }).end('{"a":'),
      },
    });
    const client = await connectTo(stub.url);
    const cut = await failureOf(client["cut"]?.() as Promise<unknown>);
    assert.deepEqual([cut.id, cut.code, cut.retryable], ["connection_lost", "unavailable", true]);
    assert.match(cut.message, /the answer was cut off/);
    const garbled = await failureOf(client["garbled"]?.() as Promise<unknown>);
    assert.deepEqual([garbled.id, garbled.service, garbled.api], ["invalid_response", "Stub", "garbled"]);
  });
});

/** Sets limits for all requests of the program, as short versions of Node's own 300 s. */
function limitGlobally(limits: { headersTimeout?: number; bodyTimeout?: number }): Disposable {
  const all = globalThis as { [key: symbol]: { constructor: new (limits: object) => { dispatch(): boolean } } };
  const isNew = Number.parseInt(process.versions["undici"] as string, 10) >= 8;
  const key = Symbol.for(`undici.globalDispatcher.${isNew ? 2 : 1}`);
  assert.ok(all[key] !== undefined, "a fetch came before");
  const before = all[key] as (typeof all)[symbol];
  all[key] = new before.constructor(limits) as never;
  return { [Symbol.dispose]: () => void (all[key] = before) };
}

describe("the limits of fetch itself", () => {
  /** Answers late: undici checks its limits once a second. */
  const answerLate = ({ response }: StubRequest, inTheMiddle: boolean) => {
    if (inTheMiddle) response.writeHead(200, { "content-type": "application/json" }).write("[1,");
    setTimeout(() => (inTheMiddle ? response.end("2]") : answerText(response)), 2_500);
  };
  const answerText = (response: ServerResponse) =>
    response.writeHead(200, { "content-type": "application/json" }).end("[1,2]");
  const apis = {
    late: { answer: (request: StubRequest) => answerLate(request, false) },
    slow: { answer: (request: StubRequest) => answerLate(request, true) },
  };

  it("do not hold for calls: neither until an answer begins, nor within it", async () => {
    await using stub = await startStub(apis);
    const client = await connectTo(stub.url);
    using _ = limitGlobally({ headersTimeout: 1_000, bodyTimeout: 1_000 });
    await assert.rejects(fetch(`${stub.url}/late`), "the limit holds for others");
    assert.deepEqual(await Promise.all([client["late"]?.(), client["slow"]?.()]), [
      [1, 2],
      [1, 2],
    ]);
  });

  it("are named where the fetch that was given has them", async () => {
    await using stub = await startStub(apis);
    const client = await connectTo(stub.url, { fetch: (url, init) => fetch(url, init) });
    using _ = limitGlobally({ headersTimeout: 1_000, bodyTimeout: 1_000 });
    const found = await Promise.all(["late", "slow"].map((api) => failureOf(client[api]?.() as Promise<unknown>)));
    assert.deepEqual(
      found.map(({ id, retryable }) => [id, retryable]),
      [
        ["fetch_timeout", false],
        ["fetch_timeout", false],
      ],
    );
  });
});

describe("a server that ends", () => {
  it("before it answers is connection_lost: the call may have been carried out", async () => {
    await using stub = await startStub({ run: { answer: ({ response }) => response.destroy() } });
    const failure = await failureOf((await connectTo(stub.url))["run"]?.() as Promise<unknown>);
    assert.deepEqual([failure.id, failure.code, failure.retryable], ["connection_lost", "unavailable", true]);
  });
});

describe("the end of a call", () => {
  it("is deadline_exceeded when nothing comes in time", async () => {
    await using stub = await startStub({ slow: { answer: () => {} } });
    const client = await connectTo(stub.url);
    const failure = await failureOf(client["slow"]?.({}, { timeoutMs: 30 }) as Promise<unknown>);
    assert.deepEqual([failure.id, failure.code], ["deadline_exceeded", "deadline_exceeded"]);
    assert.deepEqual(failure.details, {
      timeoutMs: 30,
      setBy: "timeoutMs of this call",
      waitingFor: ["Stub.slow"],
    });
  });

  it("is deadline_exceeded also while the body, or a promised input, is waited for", async () => {
    const answer = ({ response }: StubRequest) =>
      response.writeHead(200, { "content-type": "application/json" }).write("[1,");
    await using stub = await startStub({ half: { answer } });
    const client = await connectTo(stub.url);
    const inputs = [1, new Promise(() => {})];
    for (const input of inputs) {
      const failure = await failureOf(client["half"]?.(input, { timeoutMs: 30 }) as Promise<unknown>);
      assert.equal(failure.id, "deadline_exceeded");
    }
    const hurried = await connectTo(stub.url, { timeoutMs: 500 });
    const failure = await failureOf(hurried["half"]?.(1) as Promise<unknown>);
    assert.equal(failure.details["setBy"], "timeoutMs of connect()");
  });

  it("is told to the server, as what is left of the time", async () => {
    await using stub = await startStub({ run: { answer: (request) => answerJson(request, 1) } });
    const client = await connectTo(stub.url, { timeoutMs: 600_000 });
    await client["run"]?.(1);
    await client["run"]?.(1, { timeoutMs: 300_000 });
    const told = stub.requests.map(({ headers }) => Number(headers["ekiben-timeout-ms"]));
    assert.ok(told.every((ms) => Number.isInteger(ms) && ms > 0));
    assert.ok((told[1] as number) > 300_000 && (told[1] as number) <= 600_000 && (told[2] as number) <= 300_000);
  });

  it("has the priority that is asked for, and tells the server only then", async () => {
    await using stub = await startStub({ run: { answer: (request) => answerJson(request, 1) } });
    const client = await connectTo(stub.url);
    await client["run"]?.(1);
    await client["run"]?.(1, { priority: "background" });
    const told = stub.requests.slice(1).map(({ headers }) => headers["ekiben-priority"]);
    assert.deepEqual(told, [undefined, "background"]);
  });

  it("takes a timeout too long for a timer, and none at all, as no limit of its own", async () => {
    await using stub = await startStub({ run: { answer: (request) => answerJson(request, 1) } });
    const client = await connectTo(stub.url);
    assert.equal(await client["run"]?.(1, { timeoutMs: 1e12 }), 1);
    assert.equal(await client["run"]?.(1, { timeoutMs: Number.POSITIVE_INFINITY }), 1);
    const told = stub.requests.slice(1).map(({ headers }) => headers["ekiben-timeout-ms"]);
    assert.equal(told[1], undefined);
    assert.ok(Number(told[0]) > 9e11);
  });

  it("is cancelled by the call's signal, and the server's connection is closed", async () => {
    let arrived!: () => void;
    const isThere = new Promise<void>((resolve) => (arrived = resolve));
    await using stub = await startStub({ slow: { answer: () => arrived() } });
    const client = await connectTo(stub.url);
    const controller = new AbortController();
    const call = failureOf(client["slow"]?.({}, { signal: controller.signal }) as Promise<unknown>);
    await isThere;
    controller.abort(new Error("the user left"));
    const failure = await call;
    assert.deepEqual([failure.id, failure.code], ["cancelled", "cancelled"]);
    assert.match(failure.message, /the user left/);
    await stub.requests[1]?.closed;
  });

  it("never begins when the signal is aborted already", async () => {
    await using stub = await startStub({ run: { answer: (request) => answerJson(request, 1) } });
    const client = await connectTo(stub.url);
    const failure = await failureOf(client["run"]?.({}, { signal: AbortSignal.abort() }) as Promise<unknown>);
    assert.equal(failure.id, "cancelled");
    assert.equal(stub.requests.length, 1);
    assert.equal((await failureOf(connect(stub.url, { signal: AbortSignal.abort() }))).id, "cancelled");
  });

  it("passes on the failure a signal was aborted with, as that of a call inside a service is", async () => {
    await using stub = await startStub({ run: { answer: () => {} } });
    const client = await connectTo(stub.url);
    const reason = new ServingError({ code: "deadline_exceeded", message: "too late" });
    const failure = await failureOf(client["run"]?.({}, { signal: AbortSignal.abort(reason) }) as Promise<unknown>);
    assert.equal(failure, reason);
  });

  it("comes for every call with the signal of connect()", async () => {
    await using stub = await startStub({ run: { answer: (request) => answerJson(request, 1) } });
    const controller = new AbortController();
    const client = await connectTo(stub.url, { signal: controller.signal });
    assert.equal(await client["run"]?.(1), 1);
    controller.abort();
    assert.equal((await failureOf(client["run"]?.(1) as Promise<unknown>)).id, "cancelled");
  });

  it("never comes for an input that could not be made: its own error does", async () => {
    await using stub = await startStub({ run: { answer: (request) => answerJson(request, 1) } });
    const client = await connectTo(stub.url);
    await assert.rejects(client["run"]?.(Promise.reject(new RangeError("no input"))) as Promise<unknown>, RangeError);
    assert.equal(await client["run"]?.(Promise.resolve({ a: 1 })), 1);
    assert.equal(`${stub.requests[1]?.body}`, '{"a":1}');
  });
});
