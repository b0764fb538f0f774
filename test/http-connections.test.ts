import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FastifyInstance, FastifyReply } from "fastify";
import { z } from "zod";
import { createDeferred } from "../src/base/clock.js";
import { createCallTime } from "../src/call/call-scope.js";
import { api, currentCall, Service, ServingError } from "../src/index.js";
import { FakeClock } from "./fake-clock.js";
import { parseResponse, RawConnection } from "./http/raw-connection.js";
import { createTestServer, type TestServerOptions } from "./http/test-server.js";

/** Calls that wait until a test releases them. */
const gate = { began: createDeferred<void>(), release: createDeferred<void>(), ended: createDeferred<void>() };

class Echo extends Service() {
  echo = api({ input: z.any(), output: z.any() }, (value) => value);
  none = api({ output: z.string() }, () => "ok");
  wait = api({ output: z.string() }, async () => {
    const { signal } = currentCall();
    signal.addEventListener("abort", () => gate.ended.resolve());
    gate.began.resolve();
    await gate.release.promise;
    return "done";
  });
  drip = api({ yields: z.string() }, async function* () {
    yield "first";
    gate.began.resolve();
    await gate.release.promise;
    yield "last";
  });
}

function resetGate(): void {
  gate.began = createDeferred();
  gate.release = createDeferred();
  gate.ended = createDeferred();
}

async function listen(options: TestServerOptions = {}) {
  resetGate();
  const server = await createTestServer(Echo, options);
  const { port } = await server.listen();
  const connections: RawConnection[] = [];
  return {
    ...server,
    port,
    connect: () => {
      const connection = new RawConnection(port);
      connections.push(connection);
      return connection;
    },
    [Symbol.asyncDispose]: async () => {
      for (const connection of connections) connection.end();
      await server.close();
    },
  };
}

const request = (path: string, body = "", headers = "") =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;
const idOf = ({ body }: { readonly body: string }) => JSON.parse(body).id as string;

describe("malformed HTTP", () => {
  it("is answered with a failure body, and the connection closed", async () => {
    await using server = await listen();
    const broken: [string, number, string][] = [
      ["nonsense\r\n\r\n", 400, "malformed_request"],
      ["POST /echo HTTP/9.9\r\n\r\n", 400, "malformed_request"],
      ["BREW /echo HTTP/1.1\r\nhost: localhost\r\n\r\n", 400, "malformed_request"],
      [
        "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        400,
        "malformed_request",
      ],
      ["POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n", 400, "malformed_request"],
      ["POST /echo HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n", 400, "malformed_request"],
      [`GET /${"a".repeat(20_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`, 431, "header_too_large"],
      [`GET / HTTP/1.1\r\nhost: localhost\r\na: ${"b".repeat(20_000)}\r\n\r\n`, 431, "header_too_large"],
    ];
    for (const [text, status, id] of broken) {
      const connection = server.connect();
      connection.write(text);
      const response = parseResponse(await connection.closed());
      assert.deepEqual([response.status, idOf(response)], [status, id], text.slice(0, 80));
      assert.equal(response.headers["connection"], "close");
    }
    assert.equal((await server.fastify.inject({ method: "POST", url: "/none" })).body, '"ok"');
  });

  it("without a host is refused, as RFC 9112 asks", async () => {
    await using server = await listen();
    const connection = server.connect();
    connection.write("GET /livez HTTP/1.1\r\n\r\n");
    const response = await connection.response();
    assert.deepEqual([response.status, idOf(response)], [400, "malformed_request"]);
    connection.write("GET /livez HTTP/1.0\r\n\r\n");
    assert.equal(parseResponse(await connection.closed()).status, 200);
  });

  it("with two hosts is refused, and the connection closed", async () => {
    await using server = await listen();
    for (const hosts of ["host: a\r\nhost: b", "Host: a\r\nx: 1\r\nHOST: a"]) {
      const connection = server.connect();
      connection.write(`GET /livez HTTP/1.1\r\n${hosts}\r\n\r\nGET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n`);
      const text = await connection.closed();
      const response = parseResponse(text);
      assert.deepEqual([response.status, idOf(response)], [400, "malformed_request"]);
      assert.equal(text.split("HTTP/1.1 ").length, 2, "nothing more is answered");
    }
  });

  it("with an unknown transfer coding is refused with 501", async () => {
    await using server = await listen();
    for (const coding of ["gzip, chunked", "x, chunked"]) {
      const connection = server.connect();
      const head = request("/echo").replace("content-length: 0", `transfer-encoding: ${coding}`);
      connection.write(`${head}1\r\n1\r\n0\r\n\r\n`);
      const response = parseResponse(await connection.closed());
      assert.deepEqual([response.status, idOf(response)], [501, "unsupported_transfer_encoding"]);
    }
    const plain = server.connect();
    plain.write(`${request("/echo").replace("content-length: 0", "transfer-encoding: Chunked")}1\r\n1\r\n0\r\n\r\n`);
    assert.equal((await plain.response()).body, "1");
  });

  it("behind good requests is answered after them, each with its own answer", async () => {
    await using server = await listen();
    const connection = server.connect();
    connection.write(`${request("/wait")}${request("/echo", "1")}`);
    await gate.began.promise;
    const broken = new Promise<void>((resolve) => server.fastify.server.once("clientError", () => resolve()));
    connection.write("garbage\r\n\r\n");
    await broken;
    connection.write("more garbage\r\n\r\n");
    gate.release.resolve();
    const answers = (await connection.closed()).split(/(?=HTTP\/1\.1 )/).map(parseResponse);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 400],
    );
    assert.deepEqual([answers[0]?.body, answers[1]?.body], ['"done"', "1"]);
    assert.equal(answers[2]?.headers["connection"], "close");
  });

  it("in the middle of a body ends the request", async () => {
    await using server = await listen();
    const connection = server.connect();
    const head =
      "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    connection.write(`${head}4\r\n"abc\r\nnot a chunk size\r\n`);
    assert.equal(parseResponse(await connection.closed()).status, 400);
  });
});

describe("a body", () => {
  it("that is declared too large is refused before it is sent, and the connection stays open", async () => {
    await using server = await listen({ settings: { maxBodyBytes: 1000 } });
    const connection = server.connect();
    const body = JSON.stringify("a".repeat(2000));
    connection.write(request("/echo", body));
    const response = await connection.response();
    assert.deepEqual([response.status, idOf(response)], [413, "body_too_large"]);
    connection.write(request("/echo", '"b"'));
    assert.equal((await connection.response()).body, '"b"');
  });

  it("that is not wanted is not asked for", async () => {
    await using server = await listen({ settings: { maxBodyBytes: 1000 } });
    const connection = server.connect();
    connection.write(
      request("/echo", "", "expect: 100-continue\r\n").replace("content-length: 0", "content-length: 5000"),
    );
    const refused = await connection.closed();
    assert.deepEqual([parseResponse(refused).status, refused.includes("100 Continue")], [413, false]);
    const second = server.connect();
    second.write(request("/echo", "", "expect: 100-continue\r\n").replace("content-length: 0", "content-length: 3"));
    await second.until((text) => text.includes("100 Continue\r\n\r\n"));
    second.write('"c"');
    assert.match(await second.until((text) => text.endsWith('"c"')), /HTTP\/1\.1 200 OK/);
    const odd = server.connect();
    odd.write(request("/echo", "1", "expect: miracles\r\n"));
    assert.equal((await odd.response()).status, 200);
  });

  it("without end is answered, then cut off", async () => {
    const clock = new FakeClock();
    await using server = await listen({ settings: { maxBodyBytes: 1000 }, deps: { time: createCallTime(clock) } });
    const connection = server.connect();
    connection.write(
      "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    connection.write(`7d0\r\n${"a".repeat(2000)}\r\n`);
    const response = await connection.response();
    assert.deepEqual([response.status, idOf(response)], [413, "body_too_large"]);
    connection.write(`7d0\r\n${"a".repeat(2000)}\r\n`);
    clock.advance(3000);
    await connection.closed();
  });

  it("that does not begin, or does not end, in time is answered with 408", async () => {
    for (const sent of ["", '{"a":']) {
      const clock = new FakeClock();
      const began = createDeferred<void>();
      const configure = (fastify: FastifyInstance) => {
        fastify.addHook("preHandler", async ({ raw }) => {
          // The handler reads from the next tick on; the first bytes, if any, have been read by then.
          raw.once(sent === "" ? "resume" : "data", () => setImmediate(began.resolve));
        });
      };
      await using server = await listen({
        settings: { bodyTimeoutMs: 1000 },
        deps: { time: createCallTime(clock), configure },
      });
      const connection = server.connect();
      connection.write(request("/echo", "x".repeat(100)).replace(/x+$/, sent));
      await began.promise;
      clock.advance(900);
      clock.advance(600);
      const response = await connection.response();
      assert.deepEqual([response.status, idOf(response)], [408, "body_timeout"]);
      assert.match(response.body, /within 1000 ms \(http\.bodyTimeoutMs, its default\)/);
      clock.advance(3000);
      await connection.closed();
    }
  });

  it("cut off by its client makes no call and no noise", async () => {
    const lines: unknown[] = [];
    const write = (fields: unknown) => void lines.push(fields);
    const log = { debug: () => {}, info: write, warn: write, error: write, child: () => log };
    const ended = createDeferred<void>();
    await using server = await listen({
      settings: { accessLog: true },
      deps: {
        log: {
          ...log,
          info: (fields) => {
            write(fields);
            ended.resolve();
          },
        },
      },
    });
    const connection = server.connect();
    connection.write(request("/echo", '"abc"').slice(0, -2));
    await new Promise<void>((resolve) => server.fastify.server.once("request", () => resolve()));
    connection.end();
    await ended.promise;
    assert.deepEqual(
      lines.map((line) => (line as { status: number }).status),
      [499],
    );
  });
});

describe("connections", () => {
  it("that say nothing, or not enough, are closed", async () => {
    const limitsFrom = { bodyTimeoutMs: "EKIBEN_HTTP_BODY_TIMEOUT_MS", streamIdleMs: "default" };
    await using server = await listen({ settings: { bodyTimeoutMs: 100, limitsFrom } });
    const [silent, slow] = [server.connect(), server.connect()];
    slow.write("POST /echo HTTP/1.1\r\nhost: localhost\r\n");
    const response = parseResponse(await slow.closed());
    assert.deepEqual([response.status, idOf(response)], [408, "header_timeout"]);
    assert.match(response.body, /within 100 ms \(http\.bodyTimeoutMs, from EKIBEN_HTTP_BODY_TIMEOUT_MS\)/);
    assert.equal(await silent.closed(), "");
  });

  it("beyond maxConnections take the place of the one that is idle for the longest time (HC1)", async () => {
    await using server = await listen({ settings: { maxConnections: 3 } });
    const [silent, first, second] = [server.connect(), server.connect(), server.connect()];
    for (const connection of [second, first]) {
      connection.write(request("/none"));
      assert.equal((await connection.response()).status, 200);
    }
    for (const closed of [silent, second]) {
      const next = server.connect();
      next.write(request("/none"));
      assert.equal((await next.response()).status, 200);
      assert.equal(await closed.closed(), "");
    }
    first.write(request("/none"));
    assert.equal((await first.response()).status, 200);
  });

  it("beyond maxConnections are answered probes alone where none is idle, and close with their answer (HC2)", async () => {
    await using server = await listen({ settings: { maxConnections: 2 } });
    const busy = [server.connect(), server.connect()];
    for (const connection of busy) {
      gate.began = createDeferred();
      connection.write(request("/wait"));
      await gate.began.promise;
    }
    const silent = Array.from({ length: 40 }, () => server.connect());
    for (const path of ["/livez", "/readyz?verbose", "/metrics"]) {
      const probe = server.connect();
      probe.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
      const answer = parseResponse(await probe.closed());
      assert.deepEqual([answer.status, answer.headers["connection"]], [200, "close"], path);
    }
    const other = server.connect();
    other.write(request("/none"));
    const refused = parseResponse(await other.closed());
    assert.deepEqual(
      [refused.status, idOf(refused), refused.headers["retry-after"]],
      [503, "too_many_connections", "1"],
    );
    gate.release.resolve();
    for (const connection of busy) assert.equal((await connection.response()).body, '"done"');
    for (const connection of silent) connection.end();
    const late = server.connect();
    late.write(request("/none"));
    assert.equal((await late.response()).status, 200);
  });

  it("that are idle are kept for the time of the option, which clients learn by a header", async () => {
    await using server = await listen({ settings: { keepAliveMs: 1000 } });
    const connection = server.connect();
    connection.write(request("/none"));
    assert.equal((await connection.response()).headers["keep-alive"], "timeout=1");
    assert.equal(await connection.closed(), "");
  });

  it("may carry requests one behind the other", async () => {
    await using server = await listen();
    const connection = server.connect();
    connection.write([1, 2, 3].map((n) => request("/echo", String(n))).join(""));
    for (const n of [1, 2, 3]) assert.equal((await connection.response()).body, String(n));
  });

  it("that go away cancel their call", async () => {
    await using server = await listen();
    const connection = server.connect();
    connection.write(request("/wait"));
    await gate.began.promise;
    connection.end();
    await gate.ended.promise;
    gate.release.resolve();
  });
});

describe("a server that closes", () => {
  // Node 26 closes connections that had no request when a server closes. A drain keeps them open before that, so that
  // their requests are answered (`yieldSocket`).
  const cutsFresh = Number(process.versions.node.split(".")[0]) >= 26;

  it("answers accepted requests, refuses later ones, and leaves nothing behind", async () => {
    await using server = await listen();
    const [busy, stream, idle] = [server.connect(), server.connect(), server.connect()];
    const fresh = [server.connect(), server.connect(), server.connect(), server.connect()] as const;
    idle.write(request("/none"));
    await idle.response();
    stream.write(request("/drip"));
    await gate.began.promise;
    gate.began = createDeferred();
    busy.write(request("/wait"));
    await gate.began.promise;
    const closed = server.close();
    assert.equal(await idle.closed(), "");
    if (cutsFresh) {
      for (const connection of fresh) assert.equal(await connection.closed(), "");
    } else {
      fresh[0].write("GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n");
      fresh[1].write("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n");
      fresh[2].write(request("/none"));
      const ready = parseResponse(await fresh[0].closed());
      assert.deepEqual([ready.status, JSON.parse(ready.body).status], [503, "draining"]);
      assert.equal(parseResponse(await fresh[1].closed()).status, 200);
      const refused = parseResponse(await fresh[2].closed());
      assert.deepEqual([refused.status, idOf(refused)], [503, "draining"]);
      assert.deepEqual([refused.headers["retry-after"], refused.headers["connection"]], ["1", "close"]);
    }
    gate.release.resolve();
    const answered = parseResponse(await busy.closed());
    assert.deepEqual([answered.status, answered.headers["connection"], answered.body], [200, "close", '"done"']);
    assert.match(await stream.closed(), /first\r\n4\r\nlast\r\n0\r\n\r\n$/);
    await fresh[3].closed();
    await closed;
    assert.equal(server.fastify.server.listening, false);
  });

  it("closes at once without requests in flight, however often it is called", async () => {
    const server = await listen();
    const silent = server.connect();
    silent.write(request("/none"));
    await silent.response();
    await Promise.all([server.close(), server.close()]);
    await silent.closed();
  });

  it("disconnects clients that neither read nor leave, when asked to", async () => {
    const server = await listen();
    const connection = server.connect();
    connection.write(request("/wait"));
    await gate.began.promise;
    const cut = new AbortController();
    const closed = server.close(cut.signal);
    cut.abort();
    await connection.closed();
    gate.release.resolve();
    await closed;
  });
});

describe("pages of other origins", () => {
  const ask = (server: { fastify: FastifyInstance }, method: "OPTIONS" | "POST", origin: string) =>
    server.fastify.inject({ method, url: "/none", headers: { origin, "access-control-request-method": "POST" } });

  it("get no CORS headers by default", async () => {
    await using server = await listen();
    const response = await ask(server, "POST", "https://a.example");
    assert.equal(response.headers["access-control-allow-origin"], undefined);
  });

  it("are allowed by name", async () => {
    await using server = await listen({ settings: { cors: ["https://a.example", "https://b.example"] } });
    const allowed = await ask(server, "OPTIONS", "https://b.example");
    assert.equal(allowed.statusCode, 204);
    assert.equal(allowed.headers["access-control-allow-origin"], "https://b.example");
    assert.match(String(allowed.headers["access-control-allow-methods"]), /POST/);
    const answer = await ask(server, "POST", "https://a.example");
    assert.match(String(answer.headers["access-control-expose-headers"]), /x-request-id/);
    const stranger = await ask(server, "POST", "https://c.example");
    assert.equal(stranger.headers["access-control-allow-origin"], undefined);
  });

  it("are all allowed by the option, failures and streams included", async () => {
    await using server = await listen({ settings: { cors: true } });
    for (const url of ["/none", "/nowhere", "/drip"]) {
      gate.release.resolve();
      const response = await server.fastify.inject({ method: "POST", url, headers: { origin: "https://x.example" } });
      assert.equal(response.headers["access-control-allow-origin"], "*", url);
    }
  });
});

describe("an author's own routes and hooks", () => {
  it("stand beside the apis, and fail in the same form", async () => {
    const configure = (fastify: FastifyInstance) => {
      fastify.addHook("preHandler", async (request) => {
        if (request.headers["x-key"] === "wrong") throw new ServingError({ code: "unauthenticated", message: "who?" });
      });
      fastify.addHook("onSend", async (_, reply) => void reply.header("x-mine", "1"));
      fastify.get("/version", async () => ({ version: "1.4.0" }));
      fastify.post("/own", async ({ body }) => body);
      fastify.get("/boom", async () => {
        throw new Error("secret");
      });
      fastify.get("/limited", async () => {
        throw Object.assign(new Error("slower"), { statusCode: 429 });
      });
      fastify.get("/teapot", async () => {
        throw Object.assign(new Error("short and stout"), { statusCode: 418 });
      });
    };
    await using server = await listen({ deps: { configure } });
    const { fastify } = server;
    assert.deepEqual((await fastify.inject("/version")).json(), { version: "1.4.0" });
    const own = await fastify.inject({ method: "POST", url: "/own", payload: { a: 1 } });
    assert.deepEqual(own.json(), { a: 1 });
    const api = await fastify.inject({ method: "POST", url: "/echo", payload: { a: 1 } });
    assert.deepEqual([api.json(), api.headers["x-mine"]], [{ a: 1 }, "1"]);
    const refused = await fastify.inject({ method: "POST", url: "/echo", payload: {}, headers: { "x-key": "wrong" } });
    assert.deepEqual([refused.statusCode, refused.json().error], [401, "who?"]);
    const boom = await fastify.inject("/boom");
    assert.deepEqual([boom.statusCode, boom.json().id, boom.body.includes("secret")], [500, "unhandled_error", false]);
    const teapot = await fastify.inject("/teapot");
    assert.deepEqual([teapot.statusCode, teapot.json().error], [418, "short and stout"]);
    const large = { method: "POST", url: "/own", payload: JSON.stringify("a".repeat(20_000_000)) } as const;
    const tooLarge = await fastify.inject({ ...large, headers: { "content-type": "application/json" } });
    assert.deepEqual([tooLarge.statusCode, tooLarge.json().id], [413, "body_too_large"]);
    const notJson = await fastify.inject({ ...large, payload: "{", headers: { "content-type": "application/json" } });
    assert.deepEqual([notJson.statusCode, notJson.json().id], [400, "invalid_json"]);
    const limited = await fastify.inject("/limited");
    assert.deepEqual(
      [limited.statusCode, limited.json().code, limited.headers["retry-after"]],
      [429, "resource_exhausted", "1"],
    );
  });
});

describe("probes", () => {
  it("name what is not ready, and answer HEAD", async () => {
    const services = [{ name: "Echo", isReady: false, readyReplicas: 0, replicas: 1, detail: "still starting" }];
    await using server = await listen({ deps: { readiness: async () => ({ isReady: false, services }) } });
    const ready = await server.fastify.inject("/readyz");
    assert.deepEqual([ready.statusCode, ready.json()], [503, { status: "not ready", services }]);
    const head = await server.fastify.inject({ method: "HEAD", url: "/livez" });
    assert.deepEqual([head.statusCode, head.body], [200, ""]);
  });

  it("are not ready when that can't be found out", async () => {
    const readiness = () => Promise.reject(new Error("lost"));
    await using server = await listen({ deps: { readiness } });
    assert.equal((await server.fastify.inject("/readyz")).statusCode, 503);
    assert.equal((await server.fastify.inject("/livez")).statusCode, 200);
  });
});

describe("an author's plugins", () => {
  const inject = async (
    configure: (fastify: FastifyInstance) => void | Promise<void>,
    ...requests: [string, string][]
  ) => {
    await using server = await listen({ deps: { configure } });
    const answers: [number, unknown][] = [];
    for (const [method, url] of requests) {
      const response = await server.fastify.inject({ method: method as "GET", url });
      answers.push([response.statusCode, response.headers["x-mine"] ?? response.json().id]);
    }
    return answers;
  };

  it("may answer paths without a route, except those of ekiben", async () => {
    const own = (reply: FastifyReply) => void reply.header("x-mine", "page").type("text/html").send("<p>");
    const ways: ((fastify: FastifyInstance) => void | Promise<void>)[] = [
      (fastify) => void fastify.setNotFoundHandler((_, reply) => own(reply)),
      (fastify) => void fastify.setNotFoundHandler(async (_, reply) => reply.header("x-mine", "page").send("<p>")),
      (fastify) => void fastify.setNotFoundHandler({ preHandler: (_, __, done) => done() }, (_, reply) => own(reply)),
      (fastify) => void fastify.register(async (scope) => void scope.setNotFoundHandler((_, reply) => own(reply))),
    ];
    for (const way of ways) {
      const asked = await inject(way, ["GET", "/nowhere"], ["POST", "/nowhere"], ["GET", "/echo"], ["POST", "/livez"]);
      assert.deepEqual(asked, [
        [200, "page"],
        [200, "page"],
        [405, "method_not_allowed"],
        [405, "method_not_allowed"],
      ]);
    }
    const below = (fastify: FastifyInstance) => {
      fastify.register(async (scope) => void scope.setNotFoundHandler((_, reply) => own(reply)), { prefix: "/app" });
    };
    assert.deepEqual(await inject(below, ["GET", "/app/x"], ["GET", "/x"]), [
      [200, "page"],
      [404, "unknown_route"],
    ]);
  });

  it("that add a route of ekiben fail with the owner of the route", async () => {
    const taken: [string, string, string][] = [
      ["POST", "/echo", "api Echo.echo"],
      ["GET", "/docs", "ekiben itself"],
      ["GET", "/livez", "ekiben itself"],
    ];
    for (const [method, url, owner] of taken) {
      const configure = (fastify: FastifyInstance) => {
        fastify.route({ method, url, handler: async () => "mine" });
      };
      await assert.rejects(listen({ deps: { configure } }), {
        id: "route_taken",
        message: `\`fastify\`, of the app file or of serve(), has a route ${method} ${url}, and so has ${owner}`,
      });
    }
  });

  it("that throw are blamed themselves", async () => {
    const broken: ((fastify: FastifyInstance) => void | Promise<void>)[] = [
      () => {
        throw new Error("no key");
      },
      async () => {
        throw new Error("no key");
      },
      (fastify) => {
        fastify.register(async () => {
          throw new Error("no key");
        });
      },
      (fastify) => {
        fastify.addHook("onReady", async () => {
          throw new Error("no key");
        });
      },
    ];
    for (const configure of broken) {
      await assert.rejects(listen({ deps: { configure } }), { id: "plugins_failed", message: /`fastify`.*no key/ });
    }
    const twice = (fastify: FastifyInstance) => {
      fastify.get("/mine", async () => 1);
      fastify.get("/mine", async () => 2);
    };
    await assert.rejects(listen({ deps: { configure: twice } }), { id: "plugins_failed", message: /\/mine/ });
  });

  it("may have routes that take no such body, and say so", async () => {
    const configure = (fastify: FastifyInstance) => {
      fastify.post("/own", async ({ body }) => body);
    };
    await using server = await listen({ deps: { configure } });
    const headers = { "content-type": "text/csv" };
    const response = await server.fastify.inject({ method: "POST", url: "/own", headers, payload: "a,b" });
    assert.deepEqual([response.statusCode, response.json().id], [415, "unsupported_media_type"]);
    assert.equal(response.json().error, "content-type text/csv; no parser of this route takes it");
  });

  it("add headers to streams too, before their first item", async () => {
    const configure = (fastify: FastifyInstance) => {
      fastify.addHook("onSend", async (_, reply, payload) => {
        reply.header("x-mine", typeof payload);
        return payload;
      });
    };
    await using server = await listen({ deps: { configure } });
    for (const accept of ["text/event-stream", "application/x-ndjson", "*/*"]) {
      gate.release.resolve();
      const response = await server.fastify.inject({ method: "POST", url: "/drip", headers: { accept } });
      assert.deepEqual([response.statusCode, response.headers["x-mine"]], [200, "undefined"], accept);
      assert.match(response.body, /first[\s\S]*last/);
    }
  });

  it("whose onSend fails end a stream that had not begun with a failure", async () => {
    const configure = (fastify: FastifyInstance) => {
      fastify.addHook("onSend", async (_, __, payload) => {
        if (payload === undefined) throw new ServingError({ code: "unavailable", message: "no headers today" });
        return payload;
      });
    };
    await using server = await listen({ deps: { configure } });
    const response = await server.fastify.inject({ method: "POST", url: "/drip" });
    assert.deepEqual([response.statusCode, response.json().error], [503, "no headers today"]);
    gate.release.resolve();
  });
});

describe("listening", () => {
  it("on a port that is taken says so", async () => {
    await using server = await listen();
    const second = await createTestServer(Echo, { deps: { server: { host: "127.0.0.1", port: server.port } } });
    await assert.rejects(second.listen(), { id: "port_in_use" });
    await second.close();
  });

  it("at an impossible address names host, port and the fix", async () => {
    const cases: [string, number, string][] = [
      ["192.0.2.1", 0, "address_unavailable"],
      ["nosuch.invalid", 0, "host_unknown"],
    ];
    for (const [host, port, id] of cases) {
      const server = await createTestServer(Echo, { deps: { server: { host, port } } });
      await assert.rejects(server.listen(), (error: ServingError) => {
        assert.deepEqual([error.id, error.details["host"], error.details["port"]], [id, host, port]);
        assert.match(error.message, new RegExp(`${host.replaceAll(".", "\\.")} port ${port}`));
        assert.match(error.fix ?? "", /--host/);
        return true;
      });
      await server.close();
    }
  });
});
