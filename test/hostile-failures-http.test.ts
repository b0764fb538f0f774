import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Server, serve } from "ekiben";
import { silentLogger } from "../src/base/logger.js";
import { Front, wayNames } from "./hostile-failures/services.js";
import { thrownNames } from "./hostile-failures/thrown.js";

// Over HTTP too, any value that an author throws is the answer of one request: JSON with a status, a code and a text.

const longestBody = 128 * 1024;

describe("over HTTP, whatever is thrown", () => {
  let server: Server;
  let instance: string;

  const post = (path: string, body: unknown) =>
    fetch(`${server.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(body),
    });
  const readInstance = async () => (await post("/instance", {})).text();

  before(async () => {
    server = await serve(Front, { port: 0, host: "127.0.0.1", options: { placement: "inline" }, log: silentLogger });
    instance = await readInstance();
  });
  after(() => server?.close());

  const assertOneFailed = async (path: string, body: unknown, what: string) => {
    const response = await post(path, body);
    const text = await response.text();
    assert.ok(response.status >= 400 && response.status < 600, `${what}: ${response.status} ${text.slice(0, 200)}`);
    assert.ok(text.length <= longestBody, `${what}: ${text.length} characters`);
    const { error, code, id } = JSON.parse(text) as Record<string, unknown>;
    for (const field of [error, code, id]) assert.equal(typeof field, "string", `${what}: ${text.slice(0, 200)}`);
  };

  it("fails one request when the entry throws it", async () => {
    for (const thrown of thrownNames) await assertOneFailed("/throwHere", thrown, thrown);
    assert.equal(await readInstance(), instance);
  });

  for (const way of wayNames) {
    it(`fails one request when it is thrown ${way}, a hop below`, async () => {
      for (const thrown of thrownNames) await assertOneFailed("/call", { way, name: thrown }, `${way}: ${thrown}`);
      assert.equal(await readInstance(), instance);
    });
  }
});
