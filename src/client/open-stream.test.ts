import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { answerJson, type StubRequest, startStub } from "../../test/client/stub-server.js";
import { ServingError } from "../failure/serving-error.js";
import { connect } from "./connect.js";

type Items = (input?: unknown, options?: object) => AsyncIterableIterator<unknown>;

const begin = ({ response }: StubRequest) =>
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });

/** Starts a stub with one stream; returns the method that opens it. */
async function startStream(answer: (request: StubRequest) => unknown, output: object = {}) {
  const stub = await startStub({ tokens: { kind: "stream", output, answer } });
  const client = (await connect<object>(stub.url)) as { tokens: Items };
  return { stub, tokens: client.tokens, [Symbol.asyncDispose]: () => stub[Symbol.asyncDispose]() };
}

/** Reads all items and the error that ended them. */
async function readAll(items: AsyncIterable<unknown>) {
  const read: unknown[] = [];
  try {
    for await (const item of items) read.push(item);
    return { items: read, failure: undefined };
  } catch (error) {
    assert.ok(error instanceof ServingError, String(error));
    return { items: read, failure: error };
  }
}

describe("a stream", () => {
  it("gives its items, and makes its request when the first is asked for", async () => {
    await using streaming = await startStream((request) => {
      begin(request).end('data: {"token":"a"}\n\n: ping\n\ndata: {"token":"b"}\n\n');
    });
    const items = streaming.tokens({ text: "x" });
    await setImmediate();
    assert.equal(streaming.stub.requests.length, 1);
    assert.deepEqual(await readAll(items), { items: [{ token: "a" }, { token: "b" }], failure: undefined });
    const [, request] = streaming.stub.requests;
    assert.equal(`${request?.body}`, '{"text":"x"}');
    assert.match(request?.headers.accept ?? "", /^text\/event-stream, application\/json; tensors=base64/);
  });

  it("may be empty, and may be read once", async () => {
    await using streaming = await startStream((request) => begin(request).end());
    const items = streaming.tokens();
    assert.deepEqual(await readAll(items), { items: [], failure: undefined });
    assert.equal((await readAll(items)).failure?.id, "stream_used_twice");
    assert.equal(streaming.stub.requests.length, 2);
  });

  it("puts characters together that arrive in pieces", async () => {
    const bytes = Buffer.from('data: "駅弁 🍱"\n\n');
    await using streaming = await startStream(async (request) => {
      const response = begin(request);
      for (const byte of bytes) await new Promise((resolve) => response.write(Uint8Array.of(byte), resolve));
      response.end();
    });
    assert.deepEqual((await readAll(streaming.tokens())).items, ["駅弁 🍱"]);
  });

  it("makes tensors again", async () => {
    const output = { title: "float32[n]" };
    await using streaming = await startStream((request) => {
      begin(request).end('data: {"dtype":"float32","shape":[1],"data":"AACAPw=="}\n\n');
    }, output);
    const [item] = (await readAll(streaming.tokens())).items as { data: Float32Array }[];
    assert.deepEqual(item?.data, new Float32Array([1]));
  });

  it("throws the failure it began or ended with", async () => {
    const body = { error: "no model", code: "not_found", id: "no_model", service: "S", api: "tokens", requestId: "r" };
    await using refused = await startStream((request) => answerJson(request, body, 404));
    const first = await readAll(refused.tokens());
    assert.deepEqual([first.items.length, first.failure?.id, first.failure?.httpStatus], [0, "no_model", 404]);
    await using failing = await startStream((request) => {
      begin(request).end(`data: 1\n\nevent: error\ndata: ${JSON.stringify(body)}\n\n`);
    });
    const later = await readAll(failing.tokens());
    assert.deepEqual(later.items, [1]);
    assert.deepEqual([later.failure?.id, later.failure?.code, later.failure?.service], ["no_model", "not_found", "S"]);
  });

  it("is never taken for complete when it was cut off", async () => {
    const cuts: readonly ((request: StubRequest) => unknown)[] = [
      (request) => begin(request).write("data: 1\n\n", () => request.response.destroy()),
      (request) => begin(request).end("data: 1\n\ndata: 2"),
      (request) => begin(request).end("data: 1\n\ndata: 2\n"),
      (request) => begin(request).end("data: 1\n\nevent: error\n"),
      (request) => begin(request).end(Buffer.concat([Buffer.from("data: 1\n\n"), Uint8Array.of(0xe9)])),
    ];
    for (const [i, cut] of cuts.entries()) {
      await using streaming = await startStream(cut);
      const { items, failure } = await readAll(streaming.tokens());
      assert.deepEqual([items, failure?.id, failure?.code], [[1], "connection_lost", "unavailable"], `cut ${i}`);
      assert.match(failure?.message ?? "", /the answer was cut off/);
    }
  });

  it("is invalid_response when it is no stream of events, or an item is not JSON", async () => {
    await using other = await startStream((request) => answerJson(request, [1]));
    assert.match((await readAll(other.tokens())).failure?.message ?? "", /a stream came as application\/json/);
    await using garbled = await startStream((request) => begin(request).end("data: {\n\n"));
    assert.equal((await readAll(garbled.tokens())).failure?.id, "invalid_response");
    await using odd = await startStream((request) => begin(request).end("event: error\ndata: hm\n\n"));
    assert.match((await readAll(odd.tokens())).failure?.message ?? "", /an error event says hm/);
  });

  it("closes its connection when its reader leaves the loop", async () => {
    await using streaming = await startStream((request) => begin(request).write("data: 1\n\ndata: 2\n\n"));
    for await (const item of streaming.tokens()) {
      assert.equal(item, 1);
      break;
    }
    await streaming.stub.requests[1]?.closed;
  });

  it("can be ended while an item is waited for", async () => {
    await using streaming = await startStream((request) => begin(request).write("data: 1\n\n"));
    const items = streaming.tokens();
    await items.next();
    const pending = items.next();
    const ended = items.return?.();
    await assert.rejects(pending, { id: "cancelled" });
    assert.deepEqual(await ended, { done: true, value: undefined });
    await streaming.stub.requests[1]?.closed;
    const unread = streaming.tokens();
    await unread.return?.();
    assert.equal(streaming.stub.requests.length, 2, "a stream nobody reads makes no request");
  });

  it("ends with its time and with its signal", async () => {
    await using streaming = await startStream((request) => begin(request).write("data: 1\n\n"));
    const late = await readAll(streaming.tokens({}, { timeoutMs: 50 }));
    assert.equal(late.failure?.id, "deadline_exceeded");
    const controller = new AbortController();
    const items = streaming.tokens({}, { signal: controller.signal });
    await items.next();
    const rest = readAll(items);
    controller.abort();
    assert.equal((await rest).failure?.id, "cancelled");
  });
});
