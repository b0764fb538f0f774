import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { createDeferred } from "../src/base/clock.js";
import { type AppFile, api, currentCall, file, type Server, Service, serve } from "../src/index.js";
import { RunningApp } from "./faults/running-app.js";

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/tls/${name}`, import.meta.url));
const ca = readFileSync(fixture("first.crt"));
const pair = { tlsCert: fixture("first.crt"), tlsKey: fixture("first.key") };

let left: () => void;
const hasLeft = new Promise<void>((resolve) => (left = resolve));
const held = createDeferred<void>();
const holding = createDeferred<void>();

class Desk extends Service() {
  echo = api({ input: z.any(), output: z.any() }, (input) => input);
  who = api({ output: z.any() }, () => currentCall().context);
  size = api({ input: { photo: file() }, output: z.number() }, ({ photo }) => photo.size);
  count = api({ input: z.number(), yields: z.number() }, async function* (count) {
    for (let i = 0; i < count; i++) yield i;
  });
  wait = api({ output: z.null() }, async () => {
    const { signal } = currentCall();
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    left();
    return null;
  });
  breaks = api({ yields: z.string() }, async function* () {
    yield "first";
    throw new Error("broken");
  });
  hold = api({ output: z.string() }, async () => {
    holding.resolve();
    await held.promise;
    return "done";
  });
}

const start = (http: AppFile["http"] & object, more: Partial<AppFile> = {}) =>
  serve(Desk, {
    port: 0,
    host: "127.0.0.1",
    options: { placement: "inline", logLevel: "silent", http: { ...pair, ...http }, ...more },
  });

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** Sends a request of HTTP/1.1 over TLS. */
async function post(url: string, input?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const json = input === undefined ? {} : { "content-type": "application/json" };
  const request = https.request(url, { method: "POST", ca, headers: { ...json, ...headers }, agent: false });
  request.end(input === undefined ? undefined : JSON.stringify(input));
  const [response] = await once(request, "response");
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

/** Client of HTTP/2 with one session. */
class Session implements AsyncDisposable {
  readonly session: http2.ClientHttp2Session;

  constructor(url: string) {
    this.session = http2.connect(url, { ca });
  }

  open(path: string, headers: http2.OutgoingHttpHeaders = {}): http2.ClientHttp2Stream {
    return this.session.request({ ":method": "POST", ":path": path, ...headers });
  }

  async post(path: string, body?: string | Buffer, headers: http2.OutgoingHttpHeaders = {}): Promise<Answer> {
    const json = body === undefined ? {} : { "content-type": "application/json" };
    const stream = this.open(path, { ...json, ...headers });
    stream.end(body);
    const [got] = await once(stream, "response");
    return { status: got[":status"], headers: got, body: await text(stream) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.session.destroy();
  }
}

describe("an app with a certificate", () => {
  let server: Server;
  before(async () => {
    server = await start({});
  });
  after(() => server.close());

  it("is served over HTTPS, keep-alive and streams included", async () => {
    assert.match(server.url, /^https:\/\/127\.0\.0\.1:\d+$/);
    assert.deepEqual(JSON.parse((await post(`${server.url}/echo`, { a: 1 })).body), { a: 1 });
    assert.equal((await post(`${server.url}/count`, 3)).body, "0\n1\n2\n");
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca });
    const ports = new Set<number>();
    for (let i = 0; i < 3; i++) {
      const request = https.get(`${server.url}/livez`, { agent });
      const [response] = await once(request, "response");
      ports.add(response.socket.localPort);
      await text(response);
    }
    assert.equal(ports.size, 1);
    agent.destroy();
  });

  it("closes connections that speak something else, and serves the others", async () => {
    const port = Number(new URL(server.url).port);
    const plain = net.connect(port, "127.0.0.1");
    plain.on("error", () => {});
    plain.write("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n");
    plain.resume();
    await once(plain, "close");
    const garbage = net.connect(port, "127.0.0.1");
    garbage.on("error", () => {});
    garbage.write(Buffer.alloc(1000, 0xff));
    garbage.resume();
    await once(garbage, "close");
    assert.equal((await post(`${server.url}/echo`, 1)).status, 200);
  });

  it("closes with connections open, one of them in its handshake", async () => {
    const other = await start({});
    const port = Number(new URL(other.url).port);
    const silent = net.connect(port, "127.0.0.1");
    const idle = tls.connect({ port, host: "127.0.0.1", ca });
    await Promise.all([once(silent, "connect"), once(idle, "secureConnect")]);
    const closed = [silent, idle].map((socket) => once(socket.on("error", () => {}).resume(), "close"));
    await other.close();
    await Promise.all(closed);
  });

  it("is served by processes too, and by what stands in for them", async () => {
    const flags = ["--http-tls-cert", pair.tlsCert, "--http-tls-key", pair.tlsKey];
    using app = new RunningApp("entry.mjs:Entry", [...flags, "--wait-for-replica-ms", "60000"]);
    const url = await app.command.url();
    assert.match(url, /^https:/);
    for (;;) {
      await post(`${url}/end`, "").catch(() => {});
      const { status, body } = await post(`${url}/where`).catch(() => ({ status: 0, body: "{}" }));
      if (status !== 503) continue;
      assert.equal(JSON.parse(body).id, "service_failed");
      break;
    }
    assert.equal(await app.end(), 0);
  });
});

describe("HTTP/2", () => {
  let server: Server;
  before(async () => {
    server = await start({ http2: true });
  });
  after(() => server.close());

  it("answers calls, streams and uploads, many at once on one connection", async () => {
    await using client = new Session(server.url);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => client.post("/echo", JSON.stringify(i))));
    assert.deepEqual(
      answers.map(({ status, body }) => [status, JSON.parse(body)]),
      answers.map((_, i) => [200, i]),
    );
    assert.equal((await client.post("/count", "3")).body, "0\n1\n2\n");
    const photo = Buffer.alloc(300_000, 1);
    const form = new FormData();
    form.append("photo", new Blob([photo]), "photo.bin");
    const body = new Response(form);
    const headers = { "content-type": body.headers.get("content-type") ?? "" };
    assert.equal((await client.post("/size", Buffer.from(await body.arrayBuffer()), headers)).body, "300000");
  });

  it("fails as over HTTP/1.1: wrong input, unknown route, a body that is too large", async () => {
    await using client = new Session(server.url);
    assert.equal((await client.post("/count", '"three"')).status, 400);
    assert.equal(JSON.parse((await client.post("/nothing", "1")).body).id, "unknown_route");
    const large = client.open("/echo", { "content-type": "application/json", "content-length": String(2 ** 40) });
    large.on("error", () => {});
    const [{ ":status": status }] = await once(large, "response");
    assert.equal(status, 413);
    large.close();
    assert.equal((await client.post("/echo", "1")).status, 200, "the connection goes on");
  });

  it("still speaks HTTP/1.1 with those who ask for it", async () => {
    assert.deepEqual(JSON.parse((await post(`${server.url}/echo`, [1])).body), [1]);
  });

  it("cancels the call of a stream that its client resets, and no other", async () => {
    await using client = new Session(server.url);
    const stream = client.open("/wait");
    stream.on("error", () => {});
    stream.end();
    await client.post("/echo", "1");
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await hasLeft;
    assert.equal((await client.post("/echo", "1")).status, 200);
  });

  it("resets a stream that fails where its form has no room for a failure", async () => {
    await using client = new Session(server.url);
    const stream = client.open("/breaks", { accept: "text/plain" });
    stream.end();
    stream.resume();
    const [error] = await once(stream, "error").catch((thrown: Error) => [thrown]);
    assert.match(String(error.message), /NGHTTP2_INTERNAL_ERROR/);
    assert.equal((await client.post("/echo", "1")).status, 200);
  });

  it("checks the host in :authority", async () => {
    await using client = new Session(server.url);
    const refused = await client.post("/echo", "1", { ":authority": "evil.example" });
    assert.deepEqual([refused.status, JSON.parse(refused.body).id], [421, "host_not_allowed"]);
    const two = await client.post("/echo", "1", { ":authority": "localhost", host: "evil.example" });
    assert.equal(two.status, 400);
  });

  it("drains: the open request is answered, the session ends", async () => {
    const other = await start({ http2: true });
    const client = new Session(other.url);
    const answer = client.post("/hold");
    await holding.promise;
    const [goaway, ended] = [once(client.session, "goaway"), once(client.session, "close")];
    const closed = other.close();
    await goaway;
    held.resolve();
    assert.equal(JSON.parse((await answer).body), "done");
    await Promise.all([closed, ended]);
  });
});

describe("trustProxy", () => {
  it("takes the address of the client from a proxy that is trusted, and from no other", async () => {
    const context = ({ ip }: { readonly ip: string }) => ip;
    const forwarded = { "x-forwarded-for": "203.0.113.9" };
    for (const [trustProxy, expected] of [
      [false, "127.0.0.1"],
      [["10.0.0.0/8"], "127.0.0.1"],
      [["loopback"], "203.0.113.9"],
      [true, "203.0.113.9"],
    ] as const) {
      const server = await start({ trustProxy }, { context });
      try {
        assert.equal(JSON.parse((await post(`${server.url}/who`, undefined, forwarded)).body), expected);
      } finally {
        await server.close();
      }
    }
  });
});

describe("a certificate that can't be used", () => {
  it("ends the start before anything listens", async () => {
    await assert.rejects(start({ tlsKey: fixture("second.key") }), { id: "certificate_unusable" });
    await assert.rejects(start({ tlsCert: "", tlsKey: "", http2: true }), { id: "certificate_unusable" });
  });
});
