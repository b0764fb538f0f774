import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { z } from "zod";
import { connect } from "../src/client.js";
import { type AppFile, api, Service, ServingError, serve } from "../src/index.js";
import { RunningApp } from "./faults/running-app.js";
import { parseResponse, RawConnection } from "./http/raw-connection.js";

class Echo extends Service() {
  echo = api({ input: z.string(), output: z.string() }, (text) => text);
}

const quiet = { placement: "inline", logLevel: "silent" } as const;
const start = (options: AppFile) => serve(Echo, { port: 0, host: "127.0.0.1", options: { ...quiet, ...options } });

/** Statuses of these paths. */
async function statusesOf(url: string, ...paths: string[]): Promise<Record<string, number>> {
  const statuses = paths.map(async (path) => {
    const response = await fetch(url + path);
    await response.arrayBuffer();
    return [path, response.status] as const;
  });
  return Object.fromEntries(await Promise.all(statuses));
}

const pages = ["/docs", "/openapi.json", "/schema.json", "/metrics"];
const probes = ["/livez", "/healthz", "/readyz"];

describe("the pages of an app", () => {
  it("are all there unless they are turned off, each by itself", async () => {
    const wishes: readonly [AppFile["http"] & object, absent: readonly string[]][] = [
      [{}, []],
      [{ docs: false }, ["/docs", "/docs/docs-page.js"]],
      [{ openapi: false }, ["/openapi.json", "/docs"]],
      [{ schema: false }, ["/schema.json"]],
      [{ metrics: false }, ["/metrics"]],
      [{ docs: false, openapi: false, schema: false, metrics: false }, pages],
    ];
    for (const [http, absent] of wishes) {
      const server = await start({ http });
      try {
        const expected = [...pages, ...probes, ...absent].map((path) => [path, absent.includes(path) ? 404 : 200]);
        assert.deepEqual(await statusesOf(server.url, ...pages, ...probes, ...absent), Object.fromEntries(expected));
        if (http.docs !== false && http.metrics === false) {
          assert.doesNotMatch(await (await fetch(`${server.url}/docs`)).text(), /href="metrics"/);
        }
      } finally {
        await server.close();
      }
    }
  });
});

describe("adminPort", { concurrency: 2 }, () => {
  const allMoved = {
    "/docs": 404,
    "/openapi.json": 404,
    "/metrics": 404,
    "/livez": 404,
    "/healthz": 404,
    "/readyz": 404,
  };

  for (const placement of ["inline", "thread", "process"]) {
    it(`has the probes and pages, and the port of the apis has them no more, placed ${placement}`, async () => {
      using app = new RunningApp("services.mjs:Front", ["--admin-port", "0", "--placement", placement]);
      const url = await app.command.url();
      const [, admin = ""] = await app.command.until(/ {2}(http:\S+) +probes, metrics, \/docs \(adminPort\)/);
      assert.notEqual(admin, url);
      assert.deepEqual(await statusesOf(url, ...pages, ...probes), { ...allMoved, "/schema.json": 200 });
      const here = Object.fromEntries([...pages, ...probes].map((path) => [path, 200]));
      assert.deepEqual(await statusesOf(admin, ...pages, ...probes), here);
      const [api = ""] = Object.keys(
        ((await (await fetch(`${admin}/openapi.json`)).json()) as { paths: object }).paths,
      );
      const calls = await Promise.all([url, admin].map((base) => fetch(`${base}${api}`, { method: "POST" })));
      assert.ok(calls[0]?.status !== 404 && calls[1]?.status === 404, "the apis are on their own port alone");
      assert.equal(await app.end(), 0);
    });
  }

  it("names the port of the apis in its documents, where clients connect", async () => {
    const server = await start({ adminPort: 0 });
    try {
      const document = (await (await fetch(`${server.adminUrl}/openapi.json`)).json()) as { servers: object };
      assert.deepEqual(document.servers, [{ url: server.url }]);
      const policy = (await fetch(`${server.adminUrl}/docs`)).headers.get("content-security-policy");
      assert.match(policy ?? "", new RegExp(`connect-src 'self' ${server.url};`));
      assert.equal(await (await connect<Echo>(server.url)).echo("x"), "x");
    } finally {
      await server.close();
    }
  });

  it("answers while the app starts", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    taken.close();
    await once(taken, "close");
    const seen: unknown[] = [];
    class Slow extends Service() {
      ask = api({ output: z.string() }, () => "");
      override async start() {
        const response = await fetch(`http://127.0.0.1:${port}/readyz`);
        const { status, services } = (await response.json()) as { status: string; services: { detail: string }[] };
        seen.push(response.status, status, services[0]?.detail);
        seen.push(...Object.values(await statusesOf(`http://127.0.0.1:${port}`, "/livez", "/metrics")));
      }
    }
    const options = { ...quiet, adminPort: port };
    const server = await serve(Slow, { port: 0, host: "127.0.0.1", options });
    await server.close();
    assert.deepEqual(seen, [503, "not ready", "0 of 1 replicas are ready; Slow#0 is starting", 200, 200]);
  });

  it("answers while every entry replica is stuck, and its metrics tell what became of them", async () => {
    using app = new RunningApp("entry.mjs:Busy", ["--admin-port", "0"]);
    await app.command.url();
    const [, admin = ""] = await app.command.until(/ {2}(http:\S+) +probes/);
    const busy = app.call("compute", "").catch(() => {});
    const readMetrics = async () => (await fetch(`${admin}/metrics`)).text();
    let wasUnready = false;
    for (let metrics = ""; !/ekiben_replica_ends_total\{service="Busy",reason="stuck"\} 1/.test(metrics); ) {
      assert.deepEqual(await statusesOf(admin, "/livez"), { "/livez": 200 });
      wasUnready ||= (await statusesOf(admin, "/readyz"))["/readyz"] === 503;
      metrics = await readMetrics();
    }
    assert.ok(wasUnready);
    await busy;
    assert.match(await readMetrics(), /ekiben_replicas\{service="Busy",state="(starting|ready)"\} 1/);
    assert.equal(await app.end(), 0);
  });

  it("answers while the app drains, when the port of the apis is closed", async () => {
    const args = ["--admin-port", "0", "--drain-timeout-ms", "2000", "--placement", "process"];
    using app = new RunningApp("entry.mjs:Endless", args);
    const url = await app.command.url();
    const [, admin = ""] = await app.command.until(/ {2}(http:\S+) +probes/);
    const waiting = app.call("wait", "x").catch(() => {});
    await app.command.until(/waiting/);
    app.command.child.kill("SIGTERM");
    await app.command.until(/draining: 1 request/);
    const response = await fetch(`${admin}/readyz`);
    assert.deepEqual([response.status, ((await response.json()) as { status: string }).status], [503, "draining"]);
    assert.deepEqual(await statusesOf(admin, "/livez", "/metrics"), { "/livez": 200, "/metrics": 200 });
    await waiting;
    assert.equal((await app.command.ended).status, 0);
    await assert.rejects(fetch(url));
    await assert.rejects(fetch(admin));
  });

  it("that is in use fails the start with its own fix, and leaves nothing open", async () => {
    const other = await start({ adminPort: 0 });
    try {
      const adminPort = Number(new URL(other.adminUrl ?? "").port);
      const error = await start({ adminPort }).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof ServingError);
      assert.deepEqual([error.id, error.message], ["port_in_use", `port ${adminPort} on 127.0.0.1 is already in use`]);
      assert.match(error.fix ?? "", /--admin-port/);
    } finally {
      await other.close();
    }
  });

  it("listens on the address of the apis unless adminHost says otherwise", async () => {
    const own = await start({ adminPort: 0, adminHost: "127.0.0.2" });
    assert.equal(new URL(own.adminUrl ?? "").hostname, "127.0.0.2");
    await own.close();
    const same = await start({ adminPort: 0 });
    assert.equal(new URL(same.adminUrl ?? "").hostname, "127.0.0.1");
    await same.close();
  });
});

describe("the host of a request", { concurrency: 2 }, () => {
  async function answerFor(url: string, host: string, path = "/livez") {
    const connection = new RawConnection(Number(new URL(url).port));
    connection.write(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    return parseResponse(await connection.closed());
  }

  it("is one of this machine on a server of this machine alone: a page's own name is refused", async () => {
    const server = await start({ adminPort: 0 });
    try {
      for (const url of [server.url, server.adminUrl ?? ""]) {
        const { port } = new URL(url);
        for (const host of [`127.0.0.1:${port}`, "localhost", `[::1]:${port}`]) {
          assert.equal((await answerFor(url, host, "/schema.json")).status, 200, host);
        }
        const refused = await answerFor(url, `evil.example:${port}`, "/schema.json");
        const { id, error } = JSON.parse(refused.body) as { id: string; error: string };
        assert.deepEqual([refused.status, id], [421, "host_not_allowed"]);
        assert.match(error, /host "evil\.example:\d+"/);
      }
    } finally {
      await server.close();
    }
  });

  it("may be a name that http.allowedHosts lists, or any", async () => {
    const named = await start({ http: { allowedHosts: [".app.example"] } });
    assert.equal((await answerFor(named.url, "models.app.example")).status, 200);
    assert.equal((await answerFor(named.url, "evil.example")).status, 421);
    await named.close();
    const any = await start({ http: { allowedHosts: true } });
    assert.equal((await answerFor(any.url, "evil.example")).status, 200);
    await any.close();
  });

  it("is any on a server that other machines reach, unless names are listed", async () => {
    const server = await serve(Echo, { port: 0, host: "0.0.0.0", options: quiet });
    assert.equal((await answerFor(server.url, "models.example")).status, 200);
    await server.close();
    const options = { ...quiet, http: { allowedHosts: ["models.example"] } };
    const named = await serve(Echo, { port: 0, host: "0.0.0.0", options });
    const hosts = ["models.example", "localhost", "10.0.0.7:3000", "evil.example"];
    const answers = await Promise.all(hosts.map((host) => answerFor(named.url, host)));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 421],
    );
    await named.close();
  });

  it("is the one at which the documents on adminPort name the apis of a server on every interface", async () => {
    const server = await serve(Echo, { port: 0, host: "0.0.0.0", options: { ...quiet, adminPort: 0 } });
    const { adminUrl = "" } = server;
    const { port } = new URL(server.url);
    try {
      for (const name of ["prod-7", "10.0.0.7", "prod-7"]) {
        const document = await answerFor(adminUrl, `${name}:9000`, "/openapi.json");
        assert.deepEqual(JSON.parse(document.body).servers, [{ url: `http://${name}:${port}` }]);
        const page = await answerFor(adminUrl, `${name}:9000`, "/docs");
        assert.match(
          page.headers["content-security-policy"] ?? "",
          new RegExp(`connect-src 'self' http://${name}:${port};`),
        );
      }
    } finally {
      await server.close();
    }
  });

  it("is checked by entry replicas on a shared socket, and while a stand-in answers for them", async () => {
    using app = new RunningApp("entry.mjs:Entry", ["--wait-for-replica-ms", "60000"]);
    const url = await app.command.url();
    assert.equal((await answerFor(url, "evil.example")).status, 421);
    assert.equal((await answerFor(url, "localhost")).status, 200);
    for (let isDown = false; !isDown; ) {
      await app.call("end", "").catch(() => {});
      isDown = (await app.request("where").catch(() => undefined))?.body.id === "service_failed";
    }
    assert.equal((await answerFor(url, "evil.example", "/metrics")).status, 421);
    assert.equal((await answerFor(url, "localhost")).status, 200);
    assert.equal(await app.end(), 0);
  });
});

describe("requests that are refused before they reach an api", () => {
  it("are counted by status and failure, and no others are", async () => {
    const server = await start({});
    try {
      const json = { "content-type": "application/json" };
      const send = (path: string, init: RequestInit) => fetch(server.url + path, init);
      await send("/echo", { method: "POST", headers: json, body: "{" });
      await send("/nothing", {});
      await send("/nothing", {});
      await send("/echo", {});
      await send("/echo", { method: "POST", headers: { "content-type": "image/png" }, body: "x" });
      await send("/echo", { method: "POST", headers: json, body: "1" });
      await send("/echo", { method: "POST", headers: json, body: '"x"' });
      await answerBroken(server.url);
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      const counted = [...metrics.matchAll(/^ekiben_http_refusals_total\{(.*)\} (\d+)$/gm)].map(
        ([, labels = "", count]) => `${/status="(\d+)"/.exec(labels)?.[1]} ${/id="(\w+)"/.exec(labels)?.[1]} ${count}`,
      );
      assert.deepEqual(counted.sort(), [
        "400 invalid_json 1",
        "400 malformed_request 1",
        "404 unknown_route 2",
        "405 method_not_allowed 1",
        "415 unsupported_media_type 1",
      ]);
      assert.match(metrics, /ekiben_calls_total\{[^}]*api="echo",code="invalid_argument"[^}]*\} 1/);
    } finally {
      await server.close();
    }
  });

  /** Sends bytes that are no request. */
  async function answerBroken(url: string): Promise<void> {
    const connection = new RawConnection(Number(new URL(url).port));
    connection.write("BREW /echo HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await connection.closed();
  }
});

describe("the time to the first item of a stream", () => {
  it("is a histogram by edge", async () => {
    class Words extends Service() {
      split = api({ input: z.string(), yields: z.string() }, async function* (text) {
        yield* text.split(" ");
      });
      none = api({ yields: z.string() }, async function* () {});
    }
    const server = await serve(Words, { port: 0, host: "127.0.0.1", options: quiet });
    try {
      const client = await connect<Words>(server.url);
      for await (const _ of client.split("a b c"));
      for await (const _ of client.none());
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      assert.match(metrics, /ekiben_first_item_seconds_count\{caller="http",service="Words",api="split"\} 1/);
      assert.doesNotMatch(metrics, /ekiben_first_item_seconds_count\{[^}]*api="none"/);
    } finally {
      await server.close();
    }
  });
});
