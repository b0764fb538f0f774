import assert from "node:assert/strict";
import net from "node:net";
import { describe, it } from "node:test";
import { type Logger, serve } from "ekiben";
import { failureOf, LogBook } from "./conformance/suite.js";
import { composeFront, EdgeFolder, findPort, Swallower, serveRanker } from "./remote/apps.js";
import { DifferentFront, WiderFront } from "./remote/other-services.js";
import { Front, Ranker } from "./remote/services.js";

/** Calls until one was answered by each of so many replicas. */
async function meetAll(ranker: { score: (n: number) => Promise<{ by: string }> }, count: number): Promise<Set<string>> {
  const met = new Set<string>();
  while (met.size < count) met.add((await ranker.score(1)).by);
  return met;
}

describe("a service that runs in another app", () => {
  it("is called over TLS like any other: calls, streams, large values and tasks", async () => {
    await using folder = new EdgeFolder();
    const edgeKeyFile = folder.newKey();
    const { url } = await serveRanker(folder, { edgeKeyFile });
    assert.match(url, /^tls:/);
    const app = await composeFront(folder, url, { edgeKeyFile });
    const ranker = app.service(Ranker);
    assert.equal((await app.entry.rank(4)).score, 8);
    assert.equal(await ranker.add(1), 2);
    const items: number[] = [];
    for await (const item of ranker.count(1_000)) items.push(item);
    assert.deepEqual([items.length, items.at(-1)], [1_000, 999]);
    assert.equal(await ranker.size(new Uint8Array(6_000_000)), 6_000_000);
    const { id } = await ranker.train.submit(7);
    assert.equal(await ranker.train.result(id), 70);
    const left = await ranker.left(undefined, { timeoutMs: 5_000 });
    assert.ok(left > 4_000 && left <= 5_000, `${left} ms`);
  });

  it("is shown by /readyz and metrics of its caller, and not started there", async () => {
    await using folder = new EdgeFolder();
    const edgeKeyFile = folder.newKey();
    const { url } = await serveRanker(folder, { edgeKeyFile });
    const options = { edgeKeyFile, services: { Ranker: { at: url } } };
    const from = new URL("./remote/services.ts", import.meta.url);
    const server = await serve(Front, { port: 0, from, options: { ...options, logLevel: "silent" } });
    folder.onEnd(() => server.close());
    const readyz = async () => (await (await fetch(`${server.url}/readyz`)).json()) as Record<string, any>;
    const { status, services } = await readyz();
    assert.equal(status, "ready");
    const ranker: unknown = services.find(({ name }: { name: string }) => name === "Ranker");
    assert.deepEqual(ranker, {
      ...{ name: "Ranker", isReady: true, readyReplicas: 1, replicas: 1, detail: `runs at ${url}` },
    });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${server.url}/rank`, { method: "POST", headers, body: "3" });
    assert.equal(((await answer.json()) as { score: number }).score, 6);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /ekiben_remote_links\{service="Ranker"\} 1/);
    assert.match(metrics, /ekiben_remote_addresses\{service="Ranker"\} 1/);
    assert.doesNotMatch(metrics, /ekiben_api_running\{service="Ranker"/);
  });

  it("loses no call while it grows from one app to five and shrinks to one again, under load (NL1)", async () => {
    await using folder = new EdgeFolder();
    const edgeKeyFile = folder.newKey();
    const ports = [];
    for (let i = 0; i < 5; i++) ports.push(await findPort());
    const start = (port: number) => serveRanker(folder, { edgeKeyFile }, { listen: `127.0.0.1:${port}` });
    const first = await start(ports[0] as number);
    const app = await composeFront(
      folder,
      ports.map((port) => `tls://127.0.0.1:${port}`),
      { edgeKeyFile },
    );
    const ranker = app.service(Ranker);
    let isOver = false;
    let answered = 0;
    const loops = Array.from({ length: 16 }, async () => {
      // `add` may not run twice: a call that was lost on the way could not be repeated.
      for (let n = 0; !isOver; n++, answered++) assert.equal(await ranker.add(n), n + 1);
    });
    await meetAll(ranker, 1);
    const others = await Promise.all(ports.slice(1).map(start));
    await meetAll(ranker, 5);
    await Promise.all(others.map((server) => server.close()));
    const before = answered;
    await meetAll(ranker, 1);
    isOver = true;
    await Promise.all(loops);
    assert.ok(answered >= before && answered > 100, `${answered} calls`);
    assert.equal((await ranker.score(1)).score, 2);
    await app.close();
    await first.close();
  });

  it("is waited for while it is away, and fails with the reason when that takes too long (NL3)", async () => {
    await using folder = new EdgeFolder();
    const edgeKeyFile = folder.newKey();
    const port = await findPort();
    const options = { edgeKeyFile, services: { Ranker: { waitForReplicaMs: 200 } } };
    const app = await composeFront(folder, `tls://127.0.0.1:${port}`, options);
    const error = await failureOf(app.service(Ranker).add(1));
    assert.deepEqual([error.id, error.service, error.httpStatus], ["no_ready_replica", "Ranker", 503]);
    assert.match(error.message, new RegExp(`^it can't be reached: 127\\.0\\.0\\.1:${port}: .*ECONNREFUSED`));
    const patient = { edgeKeyFile, services: { Ranker: { waitForReplicaMs: 60_000 } } };
    const later = await composeFront(folder, `tls://127.0.0.1:${port}`, patient);
    const answer = later.service(Ranker).add(1);
    await serveRanker(folder, { edgeKeyFile }, { listen: `127.0.0.1:${port}` });
    assert.equal(await answer, 2);
  });

  it("is given up where it accepts a connection and never says hello (NL2)", async () => {
    await using folder = new EdgeFolder();
    const silent = net.createServer((socket) => void socket.on("error", () => {}));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    folder.onEnd(async () => silent.close());
    const { port } = silent.address() as net.AddressInfo;
    const options = { remote: { connectTimeoutMs: 100 }, services: { Ranker: { waitForReplicaMs: 600 } } };
    const app = await composeFront(folder, `tcp://127.0.0.1:${port}`, options);
    const { message } = await failureOf(app.service(Ranker).add(1));
    assert.equal(message, `it can't be reached: 127.0.0.1:${port}: it did not answer within 100 ms`);
  });

  it("is not called with another edge key, and both sides say so", async () => {
    await using folder = new EdgeFolder();
    const { url } = await serveRanker(folder, { edgeKeyFile: folder.newKey() });
    const options = { edgeKeyFile: folder.newKey(), services: { Ranker: { waitForReplicaMs: 500 } } };
    const app = await composeFront(folder, url, options);
    const { id, message } = await failureOf(app.service(Ranker).add(1));
    assert.equal(id, "no_ready_replica");
    assert.match(message, /edge key/);
  });

  const quick = { services: { Ranker: { liveness: { intervalMs: 50, suspendAfterMs: 200, replaceAfterMs: 400 } } } };

  it("is found lost when the network swallows its packets: the call on it fails in time", async () => {
    await using folder = new EdgeFolder();
    const edgeKeyFile = folder.newKey();
    const { port } = await serveRanker(folder, { edgeKeyFile });
    await using swallower = await Swallower.before(port);
    const app = await composeFront(folder, swallower.url, { edgeKeyFile, ...quick });
    const ranker = app.service(Ranker);
    const held = failureOf(ranker.hold());
    while ((await ranker.held()) === 0);
    swallower.swallow();
    const { id, message } = await held;
    assert.equal(id, "replica_lost");
    assert.match(message, /nothing came from it for 400 ms/);
  });

  it("leaves idempotent calls to its other addresses when one of them swallows packets", async () => {
    await using folder = new EdgeFolder();
    const edgeKeyFile = folder.newKey();
    const [cut, whole] = [await serveRanker(folder, { edgeKeyFile }), await serveRanker(folder, { edgeKeyFile })];
    await using swallower = await Swallower.before(cut.port);
    const app = await composeFront(folder, [swallower.url, whole.url], { edgeKeyFile, ...quick });
    const ranker = app.service(Ranker);
    await meetAll(ranker, 2);
    swallower.swallow();
    const scores = await Promise.all(Array.from({ length: 40 }, (_, n) => ranker.score(n)));
    assert.deepEqual(
      scores.map(({ score }) => score),
      Array.from({ length: 40 }, (_, n) => n * 2),
    );
    assert.equal(new Set(scores.map(({ by }) => by)).size, 1);
  });

  it("is told of in the log when it can't be reached, and when it is there again", async () => {
    await using folder = new EdgeFolder();
    const edgeKeyFile = folder.newKey();
    const port = await findPort();
    const log = new LogBook();
    await composeFront(folder, `tls://127.0.0.1:${port}`, { edgeKeyFile }, log.logger as Logger);
    const { message } = await log.take(/can't be reached/);
    assert.match(
      message ?? "",
      /^Ranker, which runs at tls:\/\/127\.0\.0\.1:\d+, can't be reached: .*; it is tried again$/,
    );
    await serveRanker(folder, { edgeKeyFile }, { listen: `127.0.0.1:${port}` });
    await log.take("Ranker was reached again");
  });
});

describe("a service that was built with another contract", () => {
  it("is called where its callers can live with the difference, and the log says so once", async () => {
    await using folder = new EdgeFolder();
    const edgeKeyFile = folder.newKey();
    const { url } = await serveRanker(folder, { edgeKeyFile }, { front: WiderFront });
    const log = new LogBook();
    const app = await composeFront(folder, url, { edgeKeyFile }, log.logger);
    assert.equal((await app.entry.rank(2)).score, 6);
    await log.take("Ranker was built with another contract, which this app can live with");
  });

  it("is refused where they can't, with the api, the field and both types, before any call (NL3)", async () => {
    await using folder = new EdgeFolder();
    const edgeKeyFile = folder.newKey();
    const { url } = await serveRanker(folder, { edgeKeyFile }, { front: DifferentFront });
    const app = await composeFront(folder, url, { edgeKeyFile });
    const error = await failureOf(app.service(Ranker).score(1));
    assert.deepEqual([error.id, error.code, error.service], ["contract_differs", "failed_precondition", "Ranker"]);
    const { changes } = error.details as { changes: { api: string; field: string; theirs: string; ours: string }[] };
    const score = changes.find(({ api, field }) => api === "score" && field === "output.score");
    assert.deepEqual([score?.ours, score?.theirs], ["number", "string"]);
    assert.ok(changes.some(({ api, theirs }) => api === "add" && theirs.startsWith("absent")));
    assert.match(error.message, /^Ranker at tls:\S+ was built with another contract/);
  });

  it("is called as soon as one that fits is there", async () => {
    await using folder = new EdgeFolder();
    const edgeKeyFile = folder.newKey();
    const port = await findPort();
    const unfit = await serveRanker(folder, { edgeKeyFile }, { front: DifferentFront });
    const app = await composeFront(folder, [unfit.url, `tls://127.0.0.1:${port}`], { edgeKeyFile });
    await failureOf(app.service(Ranker).add(1));
    await serveRanker(folder, { edgeKeyFile }, { listen: `127.0.0.1:${port}` });
    for (;;) {
      const outcome = await app
        .service(Ranker)
        .add(1)
        .catch((error: { id: string }) => error.id);
      if (outcome === 2) break;
      assert.equal(outcome, "contract_differs");
      // Such calls fail without waiting for anything.
      await new Promise(setImmediate);
    }
  });
});

describe("options for a service that runs elsewhere", () => {
  const refused = async (options: object, field: RegExp) => {
    const error = await failureOf(serve(Front, { options, env: {} }));
    assert.equal(error.id, "invalid_graph");
    assert.match(error.message, field);
  };

  it("are refused where they can't work", async () => {
    await refused({ services: { Front: { at: "tls://a:1" } }, edgeKeyFile: "x" }, /Front is the entry service/);
    await refused({ services: { Ranker: { at: "tls://a:1" } } }, /neither an edge key nor a certificate/);
    await refused({ services: { Ranker: { at: "tcp://10.0.0.1:1" } } }, /loopback/);
    await refused({ services: { Nobody: { at: "tls://a:1" } } }, /Nobody/);
    await refused({ at: "tls://a:1", edgeKeyFile: "x" }, /Front is the entry service/);
  });
});
