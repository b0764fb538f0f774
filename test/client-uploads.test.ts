import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { type Client, connect } from "../src/client.js";
import { api, currentCall, type Server, Service, ServingError, serve, stream, Tensor, tensor } from "../src/index.js";
import { Journal } from "./journal.js";

const journal = new Journal();

class Uploads extends Service() {
  sum = api({ input: stream(z.number()), output: z.number() }, async (numbers) => {
    let sum = 0;
    for await (const number of numbers) sum += number;
    return sum;
  });
  double = api({ input: stream(z.number()), yields: z.number() }, async function* (numbers) {
    const { signal } = currentCall();
    try {
      for await (const number of numbers) yield number * 2;
    } finally {
      journal.tell(`double ended, ${signal.aborted ? "aborted" : "whole"}`);
    }
  });
  rows = api(
    { input: stream({ row: tensor("float32", [2]), at: z.iso.datetime() }), output: z.any() },
    async (rows) => {
      const read: unknown[] = [];
      for await (const { row, at } of rows) read.push({ values: [...row.data], at });
      return read;
    },
  );
  size = api({ input: stream(z.instanceof(Uint8Array)), output: z.number() }, async (chunks) => {
    let size = 0;
    for await (const chunk of chunks) size += chunk.length;
    return size;
  });
  kinds = api({ input: stream(z.any()), output: z.array(z.string()) }, async (items) => {
    const kinds = new Set<string>();
    for await (const item of items) kinds.add(item instanceof Uint8Array ? "bytes" : typeof item);
    return [...kinds];
  });
  /** Sends a greeting before it reads anything. */
  greet = api({ input: stream(z.string()), yields: z.string() }, async function* (names) {
    yield "who is there?";
    for await (const name of names) yield `hello ${name}`;
  });
  some = api({ input: stream(z.number()), output: z.string() }, async (numbers) => {
    for await (const number of numbers) if (number === 3) break;
    return "enough";
  });
  refuse = api({ input: stream(z.number()), output: z.string() }, async (numbers) => {
    for await (const number of numbers) {
      if (number === 3) throw new ServingError({ code: "aborted", id: "had_enough", message: "three" });
    }
    return "all";
  });
}

let server: Server;
let uploads: Client<Uploads>;

before(async () => {
  server = await serve(Uploads, { port: 0, host: "127.0.0.1", options: { placement: "inline", logLevel: "silent" } });
  uploads = await connect<Uploads>(server.url);
});
after(() => server.close());

/** A producer, and its progress. */
function createProducer<T>(make: (i: number) => T, most = Number.POSITIVE_INFINITY) {
  const counts = { made: 0, ended: 0 };
  async function* produce() {
    try {
      while (counts.made < most) {
        yield make(counts.made++);
        await new Promise(setImmediate);
      }
    } finally {
      counts.ended++;
    }
  }
  return Object.assign(counts, { items: produce() });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

describe("a client that sends a stream", () => {
  it("sends its items as lines", async () => {
    assert.equal(await uploads.sum(createProducer((i) => i, 100).items), 4950);
    assert.equal(await uploads.sum(createProducer((i) => i, 0).items), 0);
    const row = () => new Tensor("float32", [2], new Float32Array([1, 2]));
    const at = "2025-01-31T12:00:00Z";
    assert.deepEqual(await uploads.rows(createProducer(() => ({ row: row(), at }), 2).items), [
      { values: [1, 2], at },
      { values: [1, 2], at },
    ]);
  });

  it("sends lists, sets, generators and promises of streams too", async () => {
    function* generate() {
      yield* [1, 2, 3];
    }
    assert.equal(await uploads.sum([1, 2, 3]), 6);
    assert.equal(await uploads.sum(new Set([1, 2])), 3);
    assert.equal(await uploads.sum(generate()), 6);
    assert.equal(await uploads.sum(Promise.resolve(generate())), 6);
    assert.equal(await uploads.sum(uploads.double([1, 2])), 6);
  });

  it("sends bytes as they are", async () => {
    assert.equal(await uploads.size(createProducer(() => new Uint8Array(10_000), 20).items), 200_000);
    assert.deepEqual(await uploads.kinds(createProducer(() => new Uint8Array(100), 3).items), ["bytes"]);
    assert.deepEqual(await uploads.kinds(createProducer((i) => `${i}`, 3).items), ["string"]);
    assert.deepEqual(await uploads.kinds(createProducer((i) => i, 0).items), []);
  });

  it("reads the answer while its own stream goes up", async () => {
    const sent: number[] = [];
    let answered: () => void = () => {};
    async function* oneByOne() {
      for (let i = 1; i <= 10; i++) {
        const answer = new Promise<void>((resolve) => {
          answered = resolve;
        });
        sent.push(i);
        yield i;
        await answer;
      }
    }
    const received: number[] = [];
    for await (const item of uploads.double(oneByOne())) {
      received.push(item);
      assert.equal(sent.length, received.length);
      answered();
    }
    assert.deepEqual(received, [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
  });

  it("may be answered before it has sent anything", async () => {
    let greeted: () => void = () => {};
    const greeting = new Promise<void>((resolve) => {
      greeted = resolve;
    });
    async function* names() {
      await greeting;
      yield "Ada";
    }
    const heard: string[] = [];
    for await (const words of uploads.greet(names())) {
      heard.push(words);
      greeted();
    }
    assert.deepEqual(heard, ["who is there?", "hello Ada"]);
  });

  it("ends its producer when the answer arrives before the end of the input", async () => {
    const some = createProducer((i) => i);
    assert.equal(await uploads.some(some.items), "enough");
    const refused = createProducer((i) => i);
    await assert.rejects(uploads.refuse(refused.items), { id: "had_enough", code: "aborted" });
    await until(() => some.ended === 1 && refused.ended === 1);
    assert.equal(await uploads.sum([1]), 1);
  });

  it("ends both when its reader leaves or its signal is aborted", async () => {
    const left = createProducer((i) => i);
    for await (const item of uploads.double(left.items)) if (item === 6) break;
    await until(() => left.ended === 1);
    await journal.until("double ended, aborted");
    const controller = new AbortController();
    const aborted = createProducer((i) => i);
    const sum = uploads.sum(aborted.items, { signal: controller.signal });
    await until(() => aborted.made > 3);
    controller.abort();
    await assert.rejects(sum, { code: "cancelled" });
    await until(() => aborted.ended === 1);
  });

  it("fails as its producer does", async () => {
    const torn = new ServingError({ code: "data_loss", id: "torn_page", message: "torn" });
    const fails = (error: Error) =>
      createProducer((i) => {
        if (i === 3) throw error;
        return i;
      });
    await assert.rejects(uploads.sum(fails(torn).items), { id: "torn_page", code: "data_loss" });
    const bug = new RangeError("the source is dry");
    await assert.rejects(uploads.sum(fails(bug).items), { id: "unhandled_error", message: bug.message, cause: bug });
    const read = async () => {
      for await (const _ of uploads.double(fails(torn).items));
    };
    await assert.rejects(read, { id: "torn_page" });
  });

  it("refuses an item that can't be sent, and hears which one the server refuses", async () => {
    const odd = createProducer((i) => (i === 2 ? (() => i as never)() && Number.NaN : i));
    await assert.rejects(uploads.sum(odd.items), { id: "not_transferable", message: /input\[2\] is NaN/ });
    const wrong = createProducer((i) => (i === 2 ? "two" : i)) as ReturnType<typeof createProducer<never>>;
    await assert.rejects(uploads.sum(wrong.items), { id: "invalid_input", message: /^\[2\]: / });
    await until(() => odd.ended === 1 && wrong.ended === 1);
    const mixed = createProducer((i) => (i === 1 ? "text" : new Uint8Array(1)));
    await assert.rejects(uploads.kinds(mixed.items), {
      id: "not_transferable",
      message: /input\[1\] is not a Uint8Array/,
    });
  });

  it("is slowed down by a server that reads slowly", async () => {
    const producer = createProducer(() => 1);
    const items = uploads.double(producer.items)[Symbol.asyncIterator]();
    await items.next();
    for (let i = 0; i < 50; i++) await new Promise(setImmediate);
    await items.return?.();
    await until(() => producer.ended === 1);
  });

  it("says so where the runtime can't", async () => {
    const { Request: real } = globalThis;
    class OldRequest extends real {
      constructor(url: string, init: RequestInit) {
        const { method = "GET" } = init;
        super(url, { method, body: "[object ReadableStream]" });
      }
    }
    globalThis.Request = OldRequest as never;
    try {
      const { createUpload } = (await import(
        `../src/client/upload.js?${Date.now()}`
      )) as typeof import("../src/client/upload.js");
      const parts = { mediaTypes: [], limit: undefined as never, place: { service: "Uploads", api: "sum" } };
      await assert.rejects(createUpload([1], parts), { id: "upload_unsupported", code: "unimplemented" });
    } finally {
      globalThis.Request = real;
    }
  });
});
