import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { z } from "zod";
import { api, Service, Tensor, tensor } from "../src/index.js";
import { createTestServer, type TestServer } from "./http/test-server.js";

const size = 8;
/** More than the buffers of a socket hold. */
const largeBytes = 8_000_000;

/** Answers from its own memory, and overwrites it as soon as other code may run. */
class Reuser extends Service() {
  readonly #data = new Float32Array(64);
  readonly #rows: { id: number; tags: number[] }[] = [];
  readonly #bytes = new Uint8Array(largeBytes);
  #answers = 0;

  rows = api({ input: z.number(), output: z.any() }, (id) => this.#write(id).rows);
  tensor = api({ input: z.number(), output: tensor("float32", [size]) }, (id) => this.#write(id).values);
  both = api({ input: z.number(), output: { values: tensor("float32", ["n"]), rows: z.any() } }, (id) =>
    this.#write(id),
  );
  later = api({ input: z.number(), output: z.any(), maxConcurrent: 1 }, async (id) => {
    await new Promise(setImmediate);
    return this.#write(id, 1).rows;
  });
  withBlob = api({ input: z.number(), output: z.any() }, (id) => ({
    before: this.#write(id).rows,
    blob: new Blob(["x"]),
    after: this.#rows,
  }));
  bytes = api({ input: z.number(), output: z.any() }, (id) => this.#fill(id));
  items = api({ input: z.number(), yields: z.any() }, (to) => this.#items(to));
  chunks = api({ input: z.number(), yields: z.instanceof(Uint8Array) }, (to) => this.#chunks(to));

  /**
   * @param turns Turns before the memory is overwritten: a returned value is read at once, a yielded one after two
   *   turns.
   */
  #write(id: number, turns = 0) {
    this.#data.fill(id);
    this.#rows.length = 0;
    this.#rows.push({ id, tags: [id, id] }, { id, tags: [] });
    this.#scribbleAfter(turns);
    return { values: new Tensor("float32", [size], this.#data.subarray(16, 16 + size)), rows: this.#rows };
  }

  /** Does nothing when the memory holds another answer by then. */
  #scribbleAfter(turns: number, answer = ++this.#answers): void {
    queueMicrotask(() => {
      if (answer !== this.#answers) return;
      if (turns === 0) this.#scribble();
      else this.#scribbleAfter(turns - 1, answer);
    });
  }

  #fill(id: number) {
    setImmediate(() => this.#bytes.fill(0xee));
    return this.#bytes.fill(id);
  }

  #scribble(): void {
    this.#data.fill(-1);
    for (const row of this.#rows) {
      row.id = -1;
      row.tags.push(-1);
    }
  }

  async *#items(to: number) {
    for (let id = 1; id <= to; id++) yield this.#write(id, 2).rows;
  }

  async *#chunks(to: number) {
    for (let id = 1; id <= to; id++) yield this.#fill(id) as Uint8Array<ArrayBuffer>;
  }
}

const rowsOf = (id: number) => [
  { id, tags: [id, id] },
  { id, tags: [] },
];

describe("an answer over HTTP from memory that its function uses again", () => {
  let server: TestServer;
  let port: number;
  before(async () => {
    server = await createTestServer(Reuser);
    ({ port } = await server.listen());
  });
  after(() => server.close());

  const post = async (path: string, input: number, accept = "application/json") =>
    server.fastify.inject({
      method: "POST",
      url: path,
      headers: { "content-type": "application/json", accept },
      payload: JSON.stringify(input),
    });

  const forms: readonly [path: string, expected: (id: number) => unknown][] = [
    ["/rows", rowsOf],
    ["/later", rowsOf],
    ["/tensor", (id) => Array(size).fill(id)],
    ["/both", (id) => ({ values: Array(size).fill(id), rows: rowsOf(id) })],
  ];
  for (const [path, expected] of forms) {
    it(`is what was returned: ${path}`, async () => {
      const ids = [1, 2, 3, 4, 5, 6];
      const answers = await Promise.all(ids.map((id) => post(path, id)));
      assert.deepEqual(
        answers.map((answer) => answer.json()),
        ids.map(expected),
      );
    });
  }

  it("is what was returned beside a blob whose bytes come later", async () => {
    const blob = { contentType: "application/octet-stream", data: "eA==" };
    assert.deepEqual((await post("/withBlob", 7)).json(), { before: rowsOf(7), blob, after: rowsOf(7) });
  });

  it("is what was yielded, item by item", async () => {
    const { body } = await post("/items", 4, "application/x-ndjson");
    assert.deepEqual(
      body
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line)),
      [1, 2, 3, 4].map(rowsOf),
    );
  });

  for (const [path, chunks] of [
    ["/bytes", 1],
    ["/chunks", 3],
  ] as const) {
    it(`is what was returned, however slowly the client reads: ${path}`, async () => {
      const socket = connect(port, "127.0.0.1");
      const text = String(chunks);
      socket.write(
        `POST ${path} HTTP/1.0\r\ncontent-type: application/json\r\naccept: application/octet-stream\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
      );
      await once(socket, "readable");
      // Nothing is read until the function has overwritten its memory.
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
      const received: Buffer[] = [];
      for await (const piece of socket) received.push(piece as Buffer);
      const whole = Buffer.concat(received);
      const body = whole.subarray(whole.indexOf("\r\n\r\n") + 4);
      assert.equal(body.length, largeBytes * chunks);
      for (let i = 0; i < chunks; i++) {
        const bytes = body.subarray(i * largeBytes, (i + 1) * largeBytes);
        const id = path === "/bytes" ? 1 : i + 1;
        assert.ok(bytes.equals(Buffer.alloc(largeBytes, id)), `chunk ${i} is not all ${id}`);
      }
    });
  }
});
