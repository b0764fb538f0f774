import assert from "node:assert/strict";
import { request as sendRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import { createGunzip, gzipSync } from "node:zlib";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { silentLogger } from "../src/base/logger.js";
import { api, currentCall, depends, type Server, Service, serve, stream } from "../src/index.js";
import { createTestServer } from "./http/test-server.js";

const readCall = () => {
  const { headers, requestId, trace } = currentCall();
  return { headers: { ...headers }, requestId, traceId: trace.traceId, isFrozen: Object.isFrozen(headers) };
};
type Seen = ReturnType<typeof readCall>;

class Below extends Service() {
  seen = api({ output: z.any() }, readCall);
}

class Entry extends Service() {
  below = depends(Below);
  seen = api({ output: z.any() }, async () => [readCall(), await this.below.seen()]);
  streams = api({ yields: z.any() }, async function* () {
    yield readCall();
  });
  takes = api({ input: stream(z.any()), output: z.any() }, readCall);
  body = api({ input: z.any(), output: z.any() }, (value) => value);
}

/** Returns the headers that the entry and a service below it see, with an author's hooks before them. */
async function seenWith(configure: (fastify: FastifyInstance) => void, headers: Record<string, string> = {}) {
  await using server = await createTestServer(Entry, { deps: { configure } });
  const response = await server.fastify.inject({ method: "POST", url: "/seen", headers });
  assert.equal(response.statusCode, 200, response.body);
  const [entry, below] = response.json() as [Seen, Seen];
  assert.deepEqual(below, entry);
  return entry;
}

describe("a hook", () => {
  const ways: Record<string, (request: FastifyRequest) => void> = {
    "sets a header": ({ headers }) => {
      headers["x-user"] = "ann";
      delete headers["x-gone"];
    },
    "sets a header of the message": ({ raw }) => {
      raw.headers["x-user"] = "ann";
      delete raw.headers["x-gone"];
    },
    "replaces the headers of the message": ({ raw }) => {
      const { "x-gone": _, ...rest } = raw.headers;
      raw.headers = { ...rest, "x-user": "ann" };
    },
    "replaces the headers": (request) => {
      request.headers = { ...request.headers, "x-user": "ann", "x-gone": undefined };
    },
    "sets it under a name in upper case": ({ headers }) => {
      headers["X-User"] = "ann";
      delete headers["x-gone"];
    },
  };
  const hooks = ["onRequest", "preParsing", "preValidation", "preHandler"] as const;

  for (const [way, change] of Object.entries(ways)) {
    it(`${way}, and the entry and the services below see it`, async () => {
      for (const hook of hooks) {
        const configure = (fastify: FastifyInstance) => {
          fastify.addHook(hook as "onRequest", async (request) => change(request));
        };
        const given = { "x-user": "somebody else", "x-gone": "1", "x-kept": "1" };
        const { headers, isFrozen } = await seenWith(configure, given);
        assert.deepEqual([headers["x-user"], headers["x-gone"], headers["x-kept"]], ["ann", undefined, "1"], hook);
        assert.equal(isFrozen, true);
      }
    });
  }

  it("adds headers for streams and for probes alike", async () => {
    const configure = (fastify: FastifyInstance) => {
      fastify.addHook("onRequest", async ({ headers }) => void (headers["x-user"] = "ann"));
    };
    await using server = await createTestServer(Entry, { deps: { configure } });
    const { fastify } = server;
    const streamed = await fastify.inject({ method: "POST", url: "/streams" });
    assert.equal(JSON.parse(streamed.body).headers["x-user"], "ann");
    const lines = { "content-type": "application/x-ndjson" };
    const taken = await fastify.inject({ method: "POST", url: "/takes", headers: lines, payload: "1\n" });
    assert.equal(taken.json().headers["x-user"], "ann");
    for (const url of ["/readyz", "/livez", "/openapi.json"]) assert.equal((await fastify.inject(url)).statusCode, 200);
  });

  it("gets an error when it sets an invalid header", async () => {
    const configure = (fastify: FastifyInstance) => {
      fastify.addHook("onRequest", async ({ headers }) => void (headers["x-user"] = { id: 1 } as unknown as string));
    };
    await using server = await createTestServer(Entry, { deps: { configure } });
    const response = await server.fastify.inject({ method: "POST", url: "/seen" });
    assert.deepEqual([response.statusCode, response.json().id], [500, "header_not_text"]);
    assert.match(response.json().error, /x-user/);
  });

  it("decides the request: its type, its limit, its priority", async () => {
    const configure = (fastify: FastifyInstance) => {
      fastify.addHook("onRequest", async ({ headers }) => {
        headers["content-type"] = "application/json";
        headers["ekiben-timeout-ms"] = "60000";
      });
    };
    await using server = await createTestServer(Entry, { deps: { configure } });
    const headers = { "content-type": "text/csv", "ekiben-timeout-ms": "no number" };
    const response = await server.fastify.inject({ method: "POST", url: "/body", headers, payload: "[1]" });
    assert.deepEqual(response.json(), [1]);
  });
});

describe("odd request headers", () => {
  let server: Server;
  before(async () => {
    const options = { placement: "inline" } as const;
    server = await serve(Entry, { port: 0, host: "127.0.0.1", log: silentLogger, env: {}, options });
  });
  after(() => server.close());

  /** Sends headers as Node's client does: byte by byte, and as often as they are given. */
  function ask(headers: [string, string][]): Promise<[Seen, Seen]> {
    return new Promise((resolve, reject) => {
      const flat = [["host", "localhost"], ...headers].flat();
      const { port } = server;
      const sent = sendRequest(
        { port, host: "127.0.0.1", path: "/seen", method: "POST", headers: flat as never },
        (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (chunk) => {
            text += chunk;
          });
          response.on("end", () => resolve(JSON.parse(text)));
        },
      );
      sent.on("error", reject).end();
    });
  }

  it("cost the others nothing", async () => {
    const kept: [string, string][] = [
      ["authorization", "Bearer t"],
      ["x-request-id", "r-1"],
      ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    ];
    const odd: [string, [string, string][], Record<string, string>][] = [
      ["set-cookie once", [["set-cookie", "a=1"]], { "set-cookie": "a=1" }],
      ["set-cookie twice", [["set-cookie", "a=1"], ["Set-Cookie", "b=2"]], { "set-cookie": "a=1, b=2" }], // biome-ignore format: one case a line
      ["names of an object's own", [["__proto__", "x"], ["constructor", "c"], ["toString", "t"]], { constructor: "c", tostring: "t" }], // biome-ignore format: one case a line
      ["doubled", [["x-a", "1"], ["x-a", "2"], ["cookie", "a=1"], ["cookie", "b=2"]], { "x-a": "1, 2", cookie: "a=1; b=2" }], // biome-ignore format: one case a line
      ["bytes beyond ASCII", [["x-a", "é\xff"]], { "x-a": "é\xff" }],
      ["empty", [["x-a", ""]], { "x-a": "" }],
    ];
    for (const [what, headers, expected] of odd) {
      const [entry, below] = await ask([...kept, ...headers]);
      assert.deepEqual(below, entry, what);
      for (const [name, value] of [...kept, ...Object.entries(expected)]) {
        assert.equal(Object.hasOwn(entry.headers, name) ? entry.headers[name] : undefined, value, `${what}: ${name}`);
      }
      assert.deepEqual([entry.requestId, entry.traceId], ["r-1", "0af7651916cd43dd8448eb211c80319c"], what);
      assert.equal(Object.hasOwn(entry.headers, "__proto__"), false);
    }
  });
});

describe("a hook that unpacks bodies", () => {
  /** Decompresses a body, with or without removing the header that names the encoding. */
  const unpack = (keepsHeader: boolean) => (fastify: FastifyInstance) => {
    fastify.addHook("preParsing", async (request, _reply, payload) => {
      if (request.headers["content-encoding"] !== "gzip") return payload;
      if (!keepsHeader) delete request.headers["content-encoding"];
      return payload.pipe(createGunzip());
    });
  };
  const headers = { "content-type": "application/json", "content-encoding": "gzip" };

  it("is believed, for whole bodies, forms and streams", async () => {
    for (const keepsHeader of [true, false]) {
      await using server = await createTestServer(Entry, { deps: { configure: unpack(keepsHeader) } });
      const post = (url: string, text: string, type: string) =>
        server.fastify.inject({
          method: "POST",
          url,
          headers: { ...headers, "content-type": type },
          payload: gzipSync(text),
        });
      assert.deepEqual((await post("/body", '{"a":1}', "application/json")).json(), { a: 1 });
      const form = '--B\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--B--';
      assert.deepEqual((await post("/body", form, "multipart/form-data; boundary=B")).json(), { a: "1" });
      assert.equal((await post("/takes", "1\n2\n", "application/x-ndjson")).statusCode, 200);
    }
  });

  it("may not exceed the limit of a body, and a broken body is the client's fault", async () => {
    const settings = { maxBodyBytes: 10_000 };
    await using server = await createTestServer(Entry, { settings, deps: { configure: unpack(false) } });
    const post = (payload: Buffer) => server.fastify.inject({ method: "POST", url: "/body", headers, payload });
    const bomb = await post(gzipSync(JSON.stringify("a".repeat(5_000_000))));
    assert.deepEqual([bomb.statusCode, bomb.json().id], [413, "body_too_large"]);
    const broken = await post(Buffer.from("no gzip"));
    assert.deepEqual([broken.statusCode, broken.json().id], [400, "unreadable_body"]);
  });
});
