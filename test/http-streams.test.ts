import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { z } from "zod";
import { createCallTime } from "../src/call/call-scope.js";
import { api, currentCall, Service, ServingError, Tensor, tensor } from "../src/index.js";
import { FakeClock } from "./fake-clock.js";
import { RawConnection } from "./http/raw-connection.js";
import { createTestServer, type TestServer } from "./http/test-server.js";
import { Journal } from "./journal.js";

const journal = new Journal();

class Streams extends Service() {
  count = api({ input: z.number().int(), yields: z.number() }, async function* (to) {
    for (let i = 1; i <= to; i++) yield i;
  });
  words = api({ yields: z.string() }, async function* () {
    yield* ["one ", "", "two\nlines ", "drei €"];
  });
  rows = api({ yields: z.object({ t: z.string() }) }, async function* () {
    yield { t: "a\n\nb" };
    yield { t: "c" };
  });
  tensors = api({ yields: tensor("float32", [2]) }, async function* () {
    yield new Tensor("float32", [2], new Float32Array([1, 2]));
  });
  anything = api({ input: z.any(), yields: z.any() }, async function* (items: unknown[]) {
    for (const item of items) yield item === "bytes" ? new Uint8Array([104, 105]) : item;
  });
  fails = api({ input: z.number(), yields: z.any() }, async function* (after) {
    for (let i = 0; i < after; i++) yield { i };
    throw new ServingError({ code: "not_found", id: "ran_out", message: "no more", details: { after } });
  });
  breaks = api({ yields: z.string() }, async function* () {
    yield "some";
    throw new Error("secret");
  });
  nan = api({ input: z.number(), yields: z.any() }, async function* (after) {
    for (let i = 0; i < after; i++) yield i;
    yield { score: Number.NaN };
  });
  /** Yields without end, and reports its begin and end. */
  endless = api({ input: z.number(), yields: z.string() }, async function* (size) {
    let made = 0;
    journal.tell("endless began");
    try {
      for (;;) {
        journal.tell(`made ${++made}`);
        yield "x".repeat(size);
        await new Promise(setImmediate);
      }
    } finally {
      journal.tell("endless ended");
    }
  });
  /** Yields once, then waits until it is cancelled. */
  silent = api({ yields: z.string() }, async function* () {
    yield "first";
    const { signal } = currentCall();
    journal.tell("silent waits");
    try {
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    } finally {
      journal.tell("silent ended");
    }
  });
}

let server: TestServer;
let port: number;
let url: string;

before(async () => {
  server = await createTestServer(Streams);
  ({ port, url } = await server.listen());
});
after(() => server.close());
beforeEach(() => {
  journal.told = [];
});

const json = { "content-type": "application/json" };
const post = (path: string, body?: string, accept?: string) =>
  fetch(url + path, {
    method: "POST",
    headers: { ...(body !== undefined && json), ...(accept !== undefined && { accept }) },
    ...(body !== undefined && { body }),
  });
const head = (path: string, body = "", extra = "", version = "1.1") =>
  `POST ${path} HTTP/${version}\r\nhost: localhost\r\ncontent-type: application/json\r\n${extra}content-length: ${body.length}\r\n\r\n${body}`;

describe("streams", () => {
  it("are events, lines or plain chunks, as the client asks", async () => {
    const events = await post("/count", "3", "text/event-stream");
    assert.equal(events.headers.get("content-type"), "text/event-stream; charset=utf-8");
    assert.equal(events.headers.get("cache-control"), "no-store");
    assert.equal(await events.text(), "data: 1\n\ndata: 2\n\ndata: 3\n\n");
    const lines = await post("/rows", undefined, "application/x-ndjson");
    assert.equal(lines.headers.get("content-type"), "application/x-ndjson; charset=utf-8");
    assert.equal(await lines.text(), '{"t":"a\\n\\nb"}\n{"t":"c"}\n');
    const texts = await post("/words");
    assert.equal(texts.headers.get("content-type"), "text/plain; charset=utf-8");
    assert.equal(await texts.text(), "one two\nlines drei €");
    assert.equal(await (await post("/words", undefined, "text/event-stream")).text(), [
      ...['data: "one "', 'data: ""', 'data: "two\\nlines "', 'data: "drei €"', ""],
    ].join("\n\n")); // biome-ignore format: one event a text
    assert.equal((await post("/count", "1")).headers.get("content-type"), "application/x-ndjson; charset=utf-8");
  });

  it("write tensors as the client asks", async () => {
    assert.equal(await (await post("/tensors", undefined, "*/*")).text(), "[1,2]\n");
    const accept = "text/event-stream, application/json; tensors=base64; q=0.5";
    const event = await (await post("/tensors", undefined, accept)).text();
    assert.deepEqual(JSON.parse(event.slice(6)), { dtype: "float32", shape: [2], data: "AACAPwAAAEA=" });
  });

  it("depend on their first item when the schema does not decide", async () => {
    const type = async (items: string) => (await post("/anything", items)).headers.get("content-type");
    assert.equal(await type('["a"]'), "text/plain; charset=utf-8");
    assert.equal(await type('["bytes"]'), "application/octet-stream");
    assert.equal(await type("[1]"), "application/x-ndjson; charset=utf-8");
    assert.equal(await (await post("/anything", '["bytes"]')).text(), "hi");
    assert.equal(await (await post("/anything", '["", {"a":1}, "b"]')).text(), '{"a":1}b');
  });

  it("may be empty", async () => {
    for (const accept of ["text/event-stream", "application/x-ndjson"]) {
      const response = await post("/count", "0", accept);
      assert.deepEqual([response.status, await response.text()], [200, ""]);
    }
  });

  it("are refused before they begin when no type fits or the input is wrong", async () => {
    const refused = await post("/count", "3", "application/json");
    assert.deepEqual([refused.status, ((await refused.json()) as { id: string }).id], [406, "not_acceptable"]);
    const wrong = await post("/count", '"a"', "text/event-stream");
    assert.deepEqual([wrong.status, ((await wrong.json()) as { id: string }).id], [400, "invalid_input"]);
  });

  it("send each item when it is there, in a chunk of its own", async () => {
    const connection = new RawConnection(port);
    connection.write(head("/silent", "", "accept: text/event-stream\r\n"));
    const text = await connection.until((received) => received.includes("first"));
    assert.match(text, /\r\n\r\nf\r\ndata: "first"\n\n\r\n$/);
    connection.end();
    await journal.until("silent ended");
  });
});

describe("a stream that fails", () => {
  const failure = { error: "no more", code: "not_found", id: "ran_out", service: "Streams", api: "fails" };

  it("before its first item is an ordinary failure", async () => {
    for (const accept of ["text/event-stream", "application/x-ndjson", "*/*"]) {
      const response = await post("/fails", "0", accept);
      assert.equal(response.status, 404);
      const { requestId, ...body } = (await response.json()) as Record<string, unknown>;
      assert.equal(requestId, response.headers.get("x-request-id"));
      assert.deepEqual(body, { ...failure, details: { after: 0 } });
    }
    const nan = await post("/nan", "0", "text/event-stream");
    assert.deepEqual([nan.status, ((await nan.json()) as { id: string }).id], [500, "not_json"]);
  });

  it("later says so in an event", async () => {
    const events = (await (await post("/fails", "2", "text/event-stream")).text()).split("\n\n");
    assert.deepEqual(events.slice(0, 2), ['data: {"i":0}', 'data: {"i":1}']);
    assert.match(String(events[2]), /^event: error\ndata: /);
    const { requestId: _, ...body } = JSON.parse(String(events[2]).split("\ndata: ")[1] as string);
    assert.deepEqual(body, { ...failure, details: { after: 2 } });
  });

  it("later says so in a last line, and the body has no end", async () => {
    const connection = new RawConnection(port);
    connection.write(head("/fails", "1", "accept: application/x-ndjson\r\n"));
    const text = await connection.closed();
    assert.match(text, /\{"i":0\}\n/);
    assert.match(text, /\{"error":"no more","code":"not_found","id":"ran_out",.*\}\n/);
    assert.doesNotMatch(text, /\r\n0\r\n\r\n$/);
    await assert.rejects((await post("/fails", "1", "application/x-ndjson")).text());
  });

  it("after the first item breaks off a plain stream, behind all its items", async () => {
    const connection = new RawConnection(port);
    connection.write(head("/breaks"));
    const text = await connection.closed();
    assert.match(text, /\r\n4\r\nsome\r\n$/);
    assert.doesNotMatch(text, /secret/);
    await assert.rejects((await post("/breaks")).text());
  });

  it("later resets the connection of a client that knows no chunks", async () => {
    const connection = new RawConnection(port);
    const errors: string[] = [];
    connection.socket.on("error", (error: NodeJS.ErrnoException) => errors.push(String(error.code)));
    connection.write(head("/breaks", "", "", "1.0"));
    await connection.closed();
    assert.deepEqual(errors, ["ECONNRESET"]);
  });

  it("hides the message of an unexpected error", async () => {
    const text = await (await post("/breaks", undefined, "text/event-stream")).text();
    assert.match(text, /event: error\ndata: \{"error":"internal error; incident \w+"/);
    assert.doesNotMatch(text, /secret/);
  });

  it("by its deadline says so", async () => {
    const clock = new FakeClock();
    await using timed = await createTestServer(Streams, { deps: { time: createCallTime(clock) } });
    const address = await timed.listen();
    const connection = new RawConnection(address.port);
    connection.write(
      head("/silent", "", "accept: text/event-stream\r\nekiben-timeout-ms: 50\r\nconnection: close\r\n"),
    );
    await connection.until((text) => text.includes("first"));
    await journal.until("silent waits");
    clock.advance(60);
    assert.match(await connection.closed(), /event: error\ndata: \{"error":"no answer within 50 ms/);
    await journal.until("silent ended");
  });
});

describe("the reader of a stream", () => {
  it("that goes away ends it", async () => {
    for (const api of ["/silent", "/endless"]) {
      journal.told = [];
      const controller = new AbortController();
      const response = await fetch(url + api, {
        method: "POST",
        headers: json,
        body: "10",
        signal: controller.signal,
        ...(api === "/silent" && { headers: {}, body: null }),
      });
      const reader = response.body?.getReader();
      await reader?.read();
      controller.abort();
      await journal.until(`${api.slice(1)} ended`);
    }
  });

  it("that reads slowly slows the stream down, and one that never reads is disconnected", async () => {
    await using impatient = await createTestServer(Streams, { settings: { bodyTimeoutMs: 200 } });
    const connection = new RawConnection((await impatient.listen()).port);
    connection.socket.pause();
    connection.write(head("/endless", "1000000"));
    await journal.until("endless ended");
    // Socket buffers on both sides hold a few megabytes. Without backpressure the stream would not end.
    assert.ok(journal.told.length < 100, `${journal.told.length} items were made`);
    connection.end();
  });
});
