import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { createTestServer } from "../../test/http/test-server.js";
import { api } from "../define/api.js";
import { Service } from "../define/service.js";

class Echo extends Service() {
  shout = api({ input: z.object({ text: z.string() }), output: z.object({ text: z.string() }) }, ({ text }) => ({
    text: text.toUpperCase(),
  }));
  now = api({ output: z.number() }, () => 7);
  broken = api({ output: z.number() }, () => {
    throw new Error("the password is hunter2");
  });
}

describe("createHttpServer", () => {
  it("answers JSON with JSON, and echoes the request id", async () => {
    const { fastify } = await createTestServer(Echo);
    const response = await fastify.inject({
      method: "POST",
      url: "/shout",
      payload: { text: "hi" },
      headers: { "x-request-id": "abc" },
    });
    assert.equal(response.statusCode, 200);
    assert.deepEqual(response.json(), { text: "HI" });
    assert.equal(response.headers["content-type"], "application/json; charset=utf-8");
    assert.equal(response.headers["x-request-id"], "abc");
  });

  it("takes an empty body for an api without input", async () => {
    const { fastify } = await createTestServer(Echo);
    for (const payload of [undefined, {}, "null"]) {
      const headers = payload === undefined ? {} : { "content-type": "application/json" };
      const response = await fastify.inject({
        method: "POST",
        url: "/now",
        headers,
        ...(payload === undefined ? {} : { payload }),
      });
      assert.equal(response.body, "7");
    }
  });

  it("masks what an author did not throw on purpose", async () => {
    const { fastify } = await createTestServer(Echo);
    const response = await fastify.inject({ method: "POST", url: "/broken" });
    assert.equal(response.statusCode, 500);
    assert.doesNotMatch(response.body, /hunter2/);
    assert.match(response.json().error, /^internal error; incident [0-9a-f]{12}$/);
  });

  it("answers a path nobody serves with a failure body, whatever its body is", async () => {
    const { fastify } = await createTestServer(Echo);
    const response = await fastify.inject({
      method: "POST",
      url: "/nothing?x=1",
      payload: "{",
      headers: { "content-type": "application/json" },
    });
    assert.equal(response.statusCode, 404);
    assert.equal(response.json().id, "unknown_route");
  });

  it("answers probes", async () => {
    const { fastify } = await createTestServer(Echo);
    for (const url of ["/livez", "/healthz", "/readyz", "/metrics"]) {
      assert.equal((await fastify.inject(url)).statusCode, 200, url);
    }
  });
});
