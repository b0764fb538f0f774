import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { z } from "zod";
import { createCallTime } from "../src/call/call-scope.js";
import { api, currentCall, Service, ServingError, stream } from "../src/index.js";
import { FakeClock } from "./fake-clock.js";
import { parseResponse, RawConnection } from "./http/raw-connection.js";
import { createTestServer, type TestServer } from "./http/test-server.js";
import { Journal } from "./journal.js";

const journal = new Journal();

const bytes = z.instanceof(Uint8Array);

class Inputs extends Service() {
  sum = api({ input: stream(z.number()), output: z.number() }, async (numbers) => {
    let sum = 0;
    for await (const number of numbers) {
      journal.tell(`took ${number}`);
      sum += number;
    }
    return sum;
  });
  rows = api({ input: stream({ text: z.string() }), output: z.array(z.string()) }, async (rows) => {
    const texts: string[] = [];
    for await (const { text } of rows) texts.push(text);
    return texts;
  });
  size = api({ input: stream(bytes), output: z.object({ bytes: z.number(), sum: z.number() }) }, async (chunks) => {
    let [count, sum] = [0, 0];
    for await (const chunk of chunks) {
      count += chunk.length;
      for (const byte of chunk) sum += byte;
    }
    return { bytes: count, sum };
  });
  double = api({ input: stream(z.number()), yields: z.number() }, async function* (numbers) {
    try {
      for await (const number of numbers) yield number * 2;
    } finally {
      journal.tell(`double ended, ${currentCall().signal.aborted ? "aborted" : "not aborted"}`);
    }
  });
  /** Answers after as many items as the first one says. */
  some = api({ input: stream(z.number()), output: z.number() }, async (numbers) => {
    let left: number | undefined;
    for await (const number of numbers) {
      left ??= number;
      if (left-- === 0) break;
    }
    return 1;
  });
  /** Reads one item, and leaves the others while it goes on answering. */
  first = api({ input: stream(z.number()), yields: z.string() }, async function* (numbers) {
    for await (const number of numbers) {
      yield `first ${number}`;
      break;
    }
    journal.tell("first has enough");
    yield "more";
  });
  refuses = api({ input: stream(z.any()), output: z.any() }, async (items) => {
    for await (const _ of items) throw new ServingError({ code: "permission_denied", id: "not_you", message: "no" });
  });
  /** Reads no item until the test says so. */
  waits = api({ input: stream(z.any()), output: z.number() }, async (items) => {
    journal.tell("waits");
    await journal.until("go on");
    let count = 0;
    for await (const _ of items) count++;
    return count;
  });
}

let server: TestServer;
let port: number;
let url: string;

before(async () => {
  server = await createTestServer(Inputs, { settings: { maxBodyBytes: 1000 } });
  ({ port, url } = await server.listen());
});
after(() => server.close());
beforeEach(() => {
  journal.told = [];
});

const lines = "application/x-ndjson";
const post = async (path: string, body: string | Uint8Array<ArrayBuffer> | undefined, type: string | null = lines) => {
  const response = await fetch(url + path, {
    method: "POST",
    headers: type === null ? {} : { "content-type": type },
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  return { status: response.status, text, json: () => JSON.parse(text) };
};
const failure = async (answer: Promise<{ status: number; json: () => any }>) => {
  const { status, json } = await answer;
  const { id, error } = json();
  return { status, id, error };
};

const head = (path: string, type = lines, extra = "") =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\n${extra}transfer-encoding: chunked\r\n\r\n`;
const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const end = "0\r\n\r\n";

describe("a body that is a stream", () => {
  it("is one item a line, whatever the line endings, with blank lines between", async () => {
    assert.deepEqual(await post("/sum", "1\n2\n3\n").then(({ status, json }) => [status, json()]), [200, 6]);
    assert.equal((await post("/sum", "\n1\r\n\n 2 \n\r\n3")).text, "6");
    assert.equal((await post("/sum", "7", "application/jsonl; charset=utf-8")).text, "7");
    assert.deepEqual((await post("/rows", '{"text":"a\\nb"}\n{"text":"é €","more":1}\n')).json(), ["a\nb", "é €"]);
  });

  it("may be empty", async () => {
    const connection = new RawConnection(port);
    connection.write(head("/sum") + end);
    assert.equal((await connection.response()).body, "0");
    connection.end();
    assert.equal((await post("/sum", "")).text, "0");
    assert.equal((await post("/sum", "\n\n")).text, "0");
  });

  it("may be a list in JSON", async () => {
    assert.equal((await post("/sum", "[1,2,3]", "application/json")).text, "6");
    assert.equal((await post("/sum", "[]", "application/json")).text, "0");
    const wrong = await failure(post("/sum", '{"a":1}', "application/json"));
    assert.deepEqual([wrong.status, wrong.id], [400, "invalid_input"]);
    assert.match(wrong.error, /expected a stream of items/);
  });

  it("is cut into items wherever the network cuts it", async () => {
    const connection = new RawConnection(port);
    connection.write(head("/rows"));
    const text = '{"text":"é"}\n{"text":"€ 𝄞"}\n{"text":"z"}';
    for (const byte of Buffer.from(text)) {
      connection.write(Buffer.concat([Buffer.from("1\r\n"), Buffer.from([byte]), Buffer.from("\r\n")]));
      await new Promise(setImmediate);
    }
    connection.write(end);
    const { body } = await connection.response();
    assert.deepEqual(JSON.parse(Buffer.from(body, "latin1").toString()), ["é", "€ 𝄞", "z"]);
    connection.end();
  });

  it("is bytes as they arrive, under any content type, when items may be bytes", async () => {
    const body = new Uint8Array(200_000).fill(3);
    for (const type of ["application/octet-stream", "audio/wav"]) {
      assert.deepEqual((await post("/size", body, type)).json(), { bytes: 200_000, sum: 600_000 });
    }
  });

  it("is limited only by the size of each item", async () => {
    const many = Array.from({ length: 5000 }, () => "1").join("\n");
    assert.equal((await post("/sum", many)).text, "5000");
    const long = await failure(post("/rows", `{"text":"a"}\n{"text":"${"x".repeat(2000)}"}\n`));
    assert.deepEqual([long.status, long.id], [413, "line_too_large"]);
    assert.match(long.error, /line 2 of the body is longer than 1000 bytes/);
    const endless = new RawConnection(port);
    endless.write(head("/rows") + chunk(`"${"x".repeat(1500)}`));
    assert.equal((await endless.response()).status, 413);
    endless.end();
  });

  it("is refused at a line that is not JSON, with its number", async () => {
    const cases: readonly [body: string, line: number][] = [
      ["1\n2\n{\n", 3],
      ["\n\nx", 3],
      ["1 2\n", 1],
      ['1\n{"__proto__":1}\n', 2],
      [`1\n${"[".repeat(100)}\n`, 2],
      ["1\n1e999\n", 2],
    ];
    for (const [body, line] of cases) {
      const refused = await failure(post("/sum", body));
      assert.deepEqual([refused.status, refused.id], [400, "invalid_line"], body);
      assert.match(refused.error, new RegExp(`^line ${line} of the body: `));
    }
    const latin = await failure(post("/sum", new Uint8Array([0x22, 0xff, 0x22])));
    assert.deepEqual([latin.status, latin.id], [400, "invalid_line"]);
  });

  it("is refused at an item that does not fit, with its index", async () => {
    const refused = await failure(post("/rows", '{"text":"a"}\n\n{"text":7}\n'));
    assert.deepEqual([refused.status, refused.id], [400, "invalid_input"]);
    assert.match(refused.error, /^\[1\]\.text: /);
  });

  it("is refused when the api does not accept its type", async () => {
    for (const type of ["text/plain", "application/octet-stream", "multipart/form-data; boundary=x", null]) {
      const refused = await failure(post("/sum", new TextEncoder().encode("1"), type));
      assert.deepEqual([refused.status, refused.id], [415, "unsupported_media_type"], String(type));
    }
    const none = await failure(post("/sum", undefined, null));
    assert.deepEqual([none.status, none.id], [400, "missing_body"]);
    const packed = new RawConnection(port);
    packed.write(head("/sum", lines, "content-encoding: gzip\r\n"));
    assert.equal((await packed.response()).status, 415);
    packed.end();
  });
});

describe("the documents of a server", () => {
  const read = async (path: string) => (await fetch(url + path)).json() as Promise<any>;

  it("describe the items of a body and its possible forms", async () => {
    const { paths } = await read("/openapi.json");
    const content = (path: string) => paths[path].post.requestBody.content;
    const item = { type: "object", properties: { text: { type: "string" } }, required: ["text"] };
    assert.deepEqual(Object.keys(content("/rows")), ["application/json", lines]);
    assert.deepEqual(content("/rows")["application/json"].schema, { type: "array", items: item });
    assert.deepEqual(content("/rows")[lines]["x-ekiben-item"], item);
    assert.deepEqual(Object.keys(content("/size")), ["application/octet-stream"]);
    assert.deepEqual(Object.keys(content("/refuses")), ["application/json", lines, "application/octet-stream"]);
    assert.doesNotMatch(JSON.stringify(paths["/rows"].post.parameters), /Infinity/);
  });

  it("tell clients so", async () => {
    const { routes } = await read("/schema.json");
    const rows = routes.find(({ name }: { name: string }) => name === "rows");
    assert.deepEqual([rows.kind, rows.input.is_stream, rows.input.root_input], ["unary", true, true]);
    assert.deepEqual(rows.input.media_types, ["application/json", lines]);
  });
});

describe("a body that goes up while the answer comes down", () => {
  it("gives each item its answer before the next is sent", async () => {
    const connection = new RawConnection(port);
    connection.write(head("/double", lines, "accept: application/x-ndjson\r\n"));
    for (let i = 1; i <= 20; i++) {
      connection.write(chunk(`${i}\n`));
      await connection.until((text) => text.includes(`\n${i * 2}\n`));
    }
    connection.write(end);
    const text = await connection.until((received) => received.endsWith("0\r\n\r\n"));
    assert.match(text, /^HTTP\/1.1 200 OK\r\n/);
    assert.deepEqual(journal.told, ["double ended, not aborted"]);
    // The connection can be used again.
    connection.write(head("/sum") + chunk("1\n2\n") + end);
    await connection.until((received) => received.endsWith("\r\n\r\n3"));
    connection.end();
  });

  it("reads on only as the api does (HI1)", async () => {
    const connection = new RawConnection(port);
    connection.write(head("/waits"));
    await journal.until("waits");
    const line = chunk(`${"1".padEnd(900)}\n`).repeat(100);
    // Socket buffers on both sides hold a few megabytes. Without backpressure all of it would leave.
    const total = 400;
    for (let i = 0; i < total; i++) connection.write(line);
    for (let quiet = 0, last = -1; quiet < 20; quiet++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (connection.socket.writableLength !== last) quiet = 0;
      last = connection.socket.writableLength;
    }
    assert.ok(connection.socket.writableLength > 10_000_000, `${connection.socket.writableLength} bytes wait`);
    journal.tell("go on");
    connection.write(end);
    assert.equal((await connection.response()).body, String(total * 100));
    connection.end();
  });

  it("is cancelled with its client", async () => {
    const connection = new RawConnection(port);
    connection.write(head("/double", lines, "accept: application/x-ndjson\r\n") + chunk("1\n"));
    await connection.until((text) => text.includes("\n2\n"));
    connection.end();
    await journal.until("double ended, aborted");
  });

  it("is cancelled when the client leaves half of it out", async () => {
    const connection = new RawConnection(port);
    connection.write(head("/double", lines, "accept: application/x-ndjson\r\n") + chunk("1\n"));
    await connection.until((text) => text.includes("\n2\n"));
    connection.socket.end();
    await journal.until("double ended, aborted");
  });

  it("may be closed for writing by a client that still reads", async () => {
    const connection = new RawConnection(port);
    connection.write(
      head("/double", lines, "accept: application/x-ndjson\r\nconnection: close\r\n") + chunk("1\n") + end,
    );
    connection.socket.end();
    assert.match(await connection.closed(), /\n2\n/);
  });

  it("fails in an event or in a last line once the answer has begun", async () => {
    const events = new RawConnection(port);
    events.write(head("/double", lines, "accept: text/event-stream\r\n") + chunk("1\n2\n"));
    await events.until((text) => text.includes("data: 4"));
    events.write(chunk("x\n"));
    assert.match(
      await events.until((text) => text.includes("event: error") && text.endsWith("0\r\n\r\n")),
      /event: error\ndata: {"error":"line 3 of the body: .*"id":"invalid_line"/,
    );
    events.end();
    const cut = new RawConnection(port);
    cut.write(head("/double", lines, "accept: application/x-ndjson\r\n") + chunk("1\n"));
    await cut.until((text) => text.includes("\n2\n"));
    cut.write(chunk('"one"\n'));
    cut.socket.on("end", () => cut.end());
    const text = await cut.closed();
    assert.match(text, /\{"error":"\[1\]: .*"id":"invalid_input"/);
    assert.doesNotMatch(text, /\r\n0\r\n\r\n$/);
  });
});

describe("an answer that does not wait for the body's end", () => {
  it("reaches a client that still sends, whose connection is then closed", async () => {
    const clock = new FakeClock();
    await using timed = await createTestServer(Inputs, { deps: { time: createCallTime(clock) } });
    const address = await timed.listen();
    for (const path of ["/some", "/refuses"]) {
      const connection = new RawConnection(address.port);
      connection.write(head(path) + chunk("3\n"));
      // More than sockets hold: the client is stuck until its body is read.
      const more = chunk("1\n".repeat(400)).repeat(100);
      for (let i = 0; i < 100; i++) connection.write(more);
      const { status, body } = await connection.response();
      assert.deepEqual([status, body.includes("not_you")], path === "/some" ? [200, false] : [403, true]);
      let isClosed = false;
      const closed = connection.closed().then(() => (isClosed = true));
      while (!isClosed) {
        connection.write(chunk("1\n"));
        clock.advance(100);
        await new Promise(setImmediate);
      }
      await closed;
    }
  });

  it("goes on while what the api does not want is thrown away (HI3)", async () => {
    const connection = new RawConnection(port);
    connection.write(head("/first", lines, "accept: application/x-ndjson\r\n") + chunk("1\n"));
    await journal.until("first has enough");
    const more = chunk("1\n".repeat(400)).repeat(100);
    for (let i = 0; i < 100; i++) connection.write(more);
    connection.write(end);
    const text = await connection.until((received) => received.endsWith("0\r\n\r\n"));
    assert.match(text, /"first 1"\n[\s\S]*"more"\n/);
    connection.end();
  });

  it("is sent at once when the input is refused", async () => {
    const connection = new RawConnection(port);
    connection.write(head("/sum") + chunk('1\n"two"\n'));
    const { status, body } = await connection.response();
    assert.deepEqual([status, JSON.parse(body).id], [400, "invalid_input"]);
    connection.end();
  });
});

describe("a stream on which nothing moves", () => {
  const open = async () => {
    const clock = new FakeClock();
    const settings = { streamIdleMs: 8000, heartbeatMs: 2000 };
    const timed = await createTestServer(Inputs, { settings, deps: { time: createCallTime(clock) } });
    const connection = new RawConnection((await timed.listen()).port);
    const close = async () => {
      connection.end();
      await timed.close();
    };
    return { clock, connection, [Symbol.asyncDispose]: close };
  };

  it("ends with stream_idle, before the answer has begun and after", async () => {
    await using one = await open();
    one.connection.write(head("/sum") + chunk("1\n"));
    await journal.until("took 1");
    one.clock.advance(7000);
    one.connection.write(chunk("2\n"));
    await journal.until("took 2");
    one.clock.advance(7000);
    one.connection.write(chunk("3\n"));
    await journal.until("took 3");
    one.clock.advance(11_000);
    const { status, body } = await one.connection.response();
    assert.deepEqual([status, JSON.parse(body).id], [504, "stream_idle"]);
    assert.match(
      JSON.parse(body).error,
      /^no data moved on the stream for 8000 ms .* \(http\.streamIdleMs, its default\); still waiting for Inputs\.sum$/,
    );
    await using two = await open();
    two.connection.write(head("/double", lines, "accept: text/event-stream\r\n") + chunk("1\n"));
    await two.connection.until((text) => text.includes("data: 2"));
    two.clock.advance(11_000);
    assert.match(await two.connection.until((text) => text.includes("event: error")), /"id":"stream_idle"/);
    await journal.until("double ended, aborted");
  });

  it("shows that it is alive, in forms that have room for it", async () => {
    const signs: readonly [accept: string, item: string, sign: string][] = [
      ["text/event-stream", "data: 2\n\n", ": \n\n"],
      ["application/x-ndjson", "2\n", "\n"],
    ];
    for (const [accept, item, sign] of signs) {
      await using silent = await open();
      silent.connection.write(head("/double", lines, `accept: ${accept}\r\n`) + chunk("1\n"));
      await silent.connection.until((text) => text.includes(`\r\n${item}\r\n`));
      for (let beats = 1; beats <= 2; beats++) {
        silent.clock.advance(2500);
        await silent.connection.until((text) => text.split(`\r\n${sign}\r\n`).length > beats);
      }
      silent.connection.write(chunk("2\n") + end);
      const text = await silent.connection.until((received) => received.endsWith("0\r\n\r\n"));
      assert.equal(parseResponse(text).status, 200);
    }
  });

  it("begins its answer with a keep-alive when the first item takes long", async () => {
    await using silent = await open();
    silent.connection.write(head("/double", lines, "accept: text/event-stream\r\n"));
    silent.connection.write(chunk("\n"));
    while (silent.clock.pendingTimers === 0) await new Promise(setImmediate);
    silent.clock.advance(2500);
    assert.match(await silent.connection.until((text) => text.includes(": \n\n")), /^HTTP\/1.1 200 OK/);
    silent.connection.write(chunk("x\n"));
    assert.match(await silent.connection.until((text) => text.includes("event: error")), /"id":"invalid_line"/);
  });
});
