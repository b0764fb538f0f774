import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type AppFile, ServingError, serve } from "ekiben";
import { createDeferred } from "../src/base/clock.js";
import { collect, failureOf } from "./conformance/suite.js";
import { certificatesOf, EdgeFolder, firstKey } from "./edge/edge-files.js";
import { Gateway } from "./edge/services.js";
import { TestCaller } from "./edge/test-caller.js";

const from = new URL("./edge/services.ts", import.meta.url);

/** Runs the service Ranker alone. */
async function serveRanker(options: AppFile = {}) {
  const data = mkdtempSync(join(tmpdir(), "ekiben-edge-data-"));
  const server = await serve(Gateway, {
    service: "Ranker",
    listen: "127.0.0.1:0",
    from,
    options: { logLevel: "silent", adminPort: 0, data, ...options },
  });
  const close = async () => {
    await server.close();
    rmSync(data, { recursive: true, force: true });
  };
  return { ...server, close, [Symbol.asyncDispose]: close };
}

const forRanker = (options: AppFile): AppFile => ({ services: { Ranker: options } });

describe("a service that other apps call", () => {
  for (const placement of ["inline", "thread", "process"] as const) {
    it(`answers calls of every kind, placed ${placement}`, async () => {
      await using server = await serveRanker(forRanker({ placement }));
      await using caller = await TestCaller.open(server.url, "Ranker");
      assert.equal(await caller.call("score", "seven"), 5, "its inline callee lives beside it");
      assert.equal(await caller.call("calls"), 1, "a callee with replicas of its own runs in the same app");
      assert.deepEqual(await caller.call("rows", [1, 2]), [2, 4]);
      assert.equal(await caller.call("kept", 1), await caller.call("kept", 1));
      assert.deepEqual(
        await collect(caller.read("items", 600)),
        Array.from({ length: 600 }, (_, i) => i),
      );
      assert.equal(await caller.call("sum", undefined, { items: [1, 2, 3] }), 6);
      assert.equal((await failureOf(caller.call("refuse"))).id, "no_such_page");
      const large = new Uint8Array(6_000_000).fill(7);
      assert.deepEqual(await caller.call("echo", large), large);
      const { pid, thread } = (await caller.call("place")) as { pid: number; thread: number };
      assert.equal(pid === process.pid, placement !== "process");
      assert.equal(thread !== 0, placement === "thread");
    });
  }

  it("is reached over TLS: by certificates, and by an edge key, in a process and in a thread", async () => {
    using folder = new EdgeFolder();
    const edgeKey = folder.write("edge.key", firstKey);
    for (const placement of ["process", "thread", "inline"] as const) {
      const by = {
        certificates: [{ tls: certificatesOf("callee") }, certificatesOf("caller")],
        key: [{ edgeKeyFile: edgeKey }, { edgeKey }],
      } as const;
      for (const [options, files] of Object.values(by)) {
        await using server = await serveRanker({ ...options, ...forRanker({ placement }) });
        assert.match(server.url, /^tls:/);
        await using caller = await TestCaller.open(server.url.replace("127.0.0.1", "localhost"), "Ranker", files);
        assert.equal(await caller.call("score", "four"), 4);
        const large = new Uint8Array(3_000_000).fill(3);
        assert.deepEqual(await caller.call("echo", large), large);
      }
    }
  });

  it("tells a caller why it is refused, also over the pipe to a thread", async () => {
    for (const placement of ["process", "thread"] as const) {
      await using server = await serveRanker({ tls: certificatesOf("callee"), ...forRanker({ placement }) });
      const url = server.url.replace("127.0.0.1", "localhost");
      const error = await TestCaller.open(url, "Ranker", certificatesOf("stranger", "ca")).then(
        () => assert.fail("it was let in"),
        (thrown: unknown) => thrown as ServingError,
      );
      assert.equal(error.id, "caller_refused");
      assert.match(error.message, /no authority in tls\.ca has signed the certificate/);
      await using caller = await TestCaller.open(url, "Ranker", certificatesOf("caller"));
      assert.equal(await caller.call("score", "abc"), 3);
    }
  });

  it("spreads connections over its replicas, and says how many they are", async () => {
    for (const placement of ["process", "thread", "inline"] as const) {
      await using server = await serveRanker(forRanker({ placement, replicas: 2 }));
      const callers = [];
      for (let i = 0; i < 4; i++) callers.push(await TestCaller.open(server.url, "Ranker"));
      const names = callers.map(({ hello }) => hello.replica.replace(/^.*\//, ""));
      assert.deepEqual(names.sort(), ["Ranker#0", "Ranker#0", "Ranker#1", "Ranker#1"]);
      assert.deepEqual(new Set(callers.map(({ hello }) => hello.replicas)), new Set([2]));
      for (const caller of callers) await caller[Symbol.asyncDispose]();
    }
  });

  it("has no HTTP apis, and answers probes and metrics on a port of its own", async () => {
    await using server = await serveRanker();
    const statusOf = async (path: string, method = "GET") => {
      const response = await fetch(`${server.adminUrl}${path}`, { method });
      await response.arrayBuffer();
      return response.status;
    };
    const paths = ["/livez", "/readyz", "/healthz", "/metrics", "/docs", "/openapi.json", "/schema.json"];
    assert.deepEqual(await Promise.all(paths.map((path) => statusOf(path))), [200, 200, 200, 200, 404, 404, 200]);
    assert.equal(await statusOf("/score", "POST"), 404);
    const { services } = (await (await fetch(`${server.adminUrl}/readyz`)).json()) as { services: { name: string }[] };
    assert.deepEqual(services.map(({ name }) => name).sort(), ["Counter", "Ranker"], "the entry service does not run");
  });

  it("announces a drain, answers what is in flight, takes no new caller, then ends (EC1, EC2)", async () => {
    for (const placement of ["process", "thread", "inline"] as const) {
      const server = await serveRanker(forRanker({ placement }));
      const caller = await TestCaller.open(server.url, "Ranker");
      const begun = createDeferred<void>();
      const released = createDeferred<void>();
      async function* items() {
        yield 20;
        begun.resolve();
        await released.promise;
        yield 22;
      }
      const answer = caller.call("sum", undefined, { items: items() });
      await begun.promise;
      const closed = server.close();
      await caller.draining;
      await assert.rejects(TestCaller.open(server.url, "Ranker"), "the port is closed");
      released.resolve();
      assert.equal(await answer, 42);
      await closed;
      await caller.ended;
    }
  });

  it("hands connections to another replica while the event loop of one stands still", async () => {
    await using server = await serveRanker(forRanker({ replicas: 2 }));
    await using first = await TestCaller.open(server.url, "Ranker");
    const { pid } = (await first.call("place")) as { pid: number };
    process.kill(pid, "SIGSTOP");
    const opened: TestCaller[] = [];
    const hasFour = createDeferred<void>();
    const opening = Array.from({ length: 5 }, async () => {
      opened.push(await TestCaller.open(server.url, "Ranker"));
      if (opened.length === 4) hasFour.resolve();
    });
    await hasFour.promise;
    assert.ok(opened.every(({ hello }) => hello.replica !== first.hello.replica));
    process.kill(pid, "SIGCONT");
    await Promise.all(opening);
    for (const caller of opened) await caller[Symbol.asyncDispose]();
  });

  it("ends the connections of a replica that ends, and gives new ones to the next", async () => {
    await using server = await serveRanker();
    await using first = await TestCaller.open(server.url, "Ranker");
    const { pid } = (await first.call("place")) as { pid: number };
    process.kill(pid, "SIGKILL");
    await first.ended;
    let second: TestCaller | undefined;
    while (second === undefined) second = await TestCaller.open(server.url, "Ranker").catch(() => undefined);
    assert.notEqual(((await second.call("place")) as { pid: number }).pid, pid);
    await second[Symbol.asyncDispose]();
  });

  it("refuses a caller of another service, and one that sends no hello", async () => {
    await using server = await serveRanker();
    await assert.rejects(TestCaller.open(server.url, "Lexicon"));
    const { hostname, port } = new URL(server.url);
    const socket = net.connect(Number(port), hostname);
    socket.on("error", () => {});
    socket.end("GET / HTTP/1.1\r\n\r\n");
    socket.resume();
    await once(socket, "close");
    await using caller = await TestCaller.open(server.url, "Ranker");
    assert.equal(await caller.call("score", "still here"), 10);
  });
});

describe("the options of a service that other apps call", () => {
  const faultsOf = async (options: AppFile) => {
    const error = await serve(Gateway, { from, port: 0, options: { logLevel: "silent", ...options } }).then(
      async (server) => {
        await server.close();
        return assert.fail("it started");
      },
      (thrown: unknown) => thrown as ServingError,
    );
    assert.ok(error instanceof ServingError);
    const faults = error.details["faults"] as readonly { id: string; field: string; message: string; fix: string }[];
    for (const { fix } of faults) assert.ok(fix.length > 20);
    return faults.map(({ id, field, message }) => `${field} ${id}: ${message}`);
  };

  it("refuse an address that other machines reach without anything that secures it", async () => {
    for (const listen of ["0.0.0.0:7000", "[::]:7000", "10.0.0.1:7000", "ranker:7000"]) {
      const [fault = "", ...more] = await faultsOf({ service: "Ranker", listen });
      assert.match(fault, /^listen edge_unsecured: .* can be reached from other machines/);
      assert.deepEqual(more, []);
    }
  });

  it("refuse an unknown service, and one without an address", async () => {
    const unknown = await faultsOf({ service: "Rankr", listen: "127.0.0.1:0" });
    assert.match(unknown[0] ?? "", /^service unknown_target: there is no service Rankr .*did you mean Ranker\?/);
    assert.match((await faultsOf({ service: "Ranker" }))[0] ?? "", /^service listen_missing: Ranker alone/);
  });

  it("refuse files that don't go together", async () => {
    const [cert, key, ca] = ["callee.pem", "callee.key", "ca.pem"];
    const cases: readonly [AppFile, RegExp][] = [
      [{ tls: { cert } }, /^tls\.key edge_options_clash: tls\.cert is set/],
      [{ tls: { key } }, /^tls\.cert edge_options_clash: tls\.key is set/],
      [{ tls: { ca } }, /^tls\.ca edge_options_clash: tls\.ca is set without tls\.cert/],
      [{ tls: { cert, key }, edgeKeyFile: "edge.key" }, /^edgeKeyFile edge_options_clash: .* both set/],
    ];
    for (const [options, pattern] of cases) assert.match((await faultsOf(options))[0] ?? "", pattern);
  });

  it("refuse a key file that can't be used before anything starts", async () => {
    using folder = new EdgeFolder();
    const edgeKeyFile = folder.write("weak.key", "password");
    const events: string[] = [];
    await assert.rejects(
      serve(Gateway, {
        service: "Ranker",
        listen: "0.0.0.0:0",
        from,
        onEvent: ({ kind }) => events.push(kind),
        options: { logLevel: "silent", edgeKeyFile },
      }),
      { id: "edge_file_unusable", message: /weak\.key.*line 1 has a key of 8 characters/ },
    );
    assert.deepEqual(events, []);
  });
});
