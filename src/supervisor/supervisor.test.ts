import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDeferred } from "../base/deferred.js";
import { silentLogger } from "../base/logger.js";
import type { ReplicaLink } from "../call/link.js";
import { fail } from "../failure/fail.js";
import type { DeploymentPlan, Plan } from "../graph/plan.js";
import { Directory } from "../handle/directory.js";
import type { ReplicaHost } from "../placement/placement.js";
import { FakeClock } from "../testing/fake-clock.js";
import { LinkBoard } from "./link-board.js";
import type { Progress } from "./progress.js";
import { Supervisor } from "./supervisor.js";

/** A host that notes what is asked of it and does each thing when told. */
class FakeHost implements ReplicaHost {
  readonly id: string;
  readonly link: ReplicaLink;
  readonly ended: Promise<string>;
  #end!: (how: string) => void;
  readonly started = createDeferred<void>();
  readonly drained = createDeferred<void>();
  isReplicaReady = true;
  readonly #journal: string[];

  constructor(id: string, journal: string[]) {
    this.id = id;
    this.#journal = journal;
    this.link = { replica: id, inFlight: 0, send: () => {}, open: () => assert.fail("not called here") };
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async load(): Promise<void> {}

  offerTo(): { kind: "inline"; link: ReplicaLink } {
    return { kind: "inline", link: this.link };
  }

  notify(): void {}

  pulse(): undefined {
    return undefined;
  }

  kill(): void {
    this.#journal.push(`kill ${this.id}`);
    this.#end("was killed");
  }

  start(): Promise<void> {
    this.#journal.push(`start ${this.id}`);
    return this.started.promise;
  }

  async isReady(): Promise<boolean> {
    return this.isReplicaReady;
  }

  drain(): Promise<void> {
    this.#journal.push(`drain ${this.id}`);
    return this.drained.promise;
  }

  async stop(): Promise<void> {
    this.#journal.push(`stop ${this.id}`);
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Front calls A and B, both call Base; A has two replicas. */
function createApp() {
  const deployment = (name: string, replicas: number, ...callees: string[]) =>
    ({
      descriptor: { name },
      callees,
      remoteCallees: callees,
      residence: "root",
      replicas,
      settings: {
        replicas: { min: replicas, max: replicas, targetInFlight: 8 },
        resources: { memoryBytes: Number.POSITIVE_INFINITY },
        liveness: { intervalMs: 1000, outAfterMs: 5000, replaceAfterMs: 30_000 },
        restart: { backoffMs: 100, maxBackoffMs: 10_000, resetAfterMs: 10_000, giveUpAfter: 8 },
      },
    }) as unknown as DeploymentPlan;
  const deployments = [
    deployment("Base", 1),
    deployment("A", 2, "Base"),
    deployment("B", 1, "Base"),
    deployment("Front", 1, "A", "B"),
  ];
  const plan = { deployments, notices: ["a notice"] } as unknown as Plan;
  const journal: string[] = [];
  const progress: Progress[] = [];
  const hosts = new Map<string, FakeHost>();
  const directory = new Directory();
  const board = new LinkBoard();
  const services = new Set(deployments.map(({ descriptor }) => descriptor.name));
  const links = new Map<string, ReplicaLink>();
  board.subscribe({
    residence: "root",
    services,
    notify: (notice) => {
      if (notice.kind === "add-inline") {
        links.set(notice.replica, notice.link);
        directory.add(notice.service, notice.link);
      } else if (notice.kind === "remove") {
        directory.remove(notice.service, links.get(notice.replica) as ReplicaLink);
      }
    },
  });
  const supervisor = new Supervisor(plan, {
    createHost: (own, index) => {
      const host = new FakeHost(`${own.descriptor.name}#${index}`, journal);
      hosts.set(host.id, host);
      return host;
    },
    board,
    clock: new FakeClock(),
    log: silentLogger,
    onProgress: (event) => progress.push(event),
  });
  const finishStart = async (...ids: string[]) => {
    for (const id of ids) hosts.get(id)?.started.resolve();
    await settled();
  };
  const linksOf = (service: string) => directory.of(service).links.map((link) => link.replica);
  return { supervisor, journal, progress, hosts, finishStart, linksOf };
}

async function createStartedApp() {
  const app = createApp();
  const started = app.supervisor.start();
  await settled();
  for (const ids of [["Base#0"], ["A#0", "A#1", "B#0"], ["Front#0"]]) await app.finishStart(...ids);
  await started;
  app.journal.length = 0;
  return app;
}

describe("Supervisor", () => {
  it("starts callees first, and what does not wait for one another at the same time (S1)", async () => {
    const { supervisor, journal, finishStart, linksOf, progress } = createApp();
    const started = supervisor.start();
    await settled();
    assert.deepEqual(journal, ["start Base#0"]);
    await finishStart("Base#0");
    assert.deepEqual(journal.splice(0), ["start Base#0", "start A#0", "start A#1", "start B#0"]);
    await finishStart("A#0", "B#0");
    assert.deepEqual(journal, []);
    assert.deepEqual(linksOf("A"), ["A#0"]);
    await finishStart("A#1");
    assert.deepEqual(journal, ["start Front#0"]);
    await finishStart("Front#0");
    await started;
    assert.deepEqual(progress.map((event) => event.kind).slice(0, 3), ["notice", "starting", "started"]);
    assert.equal((await supervisor.readiness()).isReady, true);
  });

  it("drains callers before callees, each out of the directory before it is asked (S2, D2)", async () => {
    const { supervisor, journal, hosts, linksOf } = await createStartedApp();
    const stopped = supervisor.stop();
    assert.equal(supervisor.stop(), stopped);
    await settled();
    assert.deepEqual(journal, ["drain Front#0"]);
    assert.deepEqual([linksOf("Front"), linksOf("A")], [[], ["A#0", "A#1"]]);
    for (const host of hosts.values()) host.drained.resolve();
    await stopped;
    assert.deepEqual(journal, [
      ...["drain Front#0", "drain B#0", "drain A#0", "drain A#1", "drain Base#0"],
      ...["stop Front#0", "stop B#0", "stop A#0", "stop A#1", "stop Base#0"],
    ]);
    assert.equal((await supervisor.readiness()).isReady, false);
  });

  it("stops without waiting any longer once the limit of the drain is reached", async () => {
    const { supervisor, journal } = await createStartedApp();
    const limit = new AbortController();
    const stopped = supervisor.stop(limit.signal);
    await settled();
    assert.deepEqual(journal, ["drain Front#0"]);
    limit.abort();
    await stopped;
    assert.equal(journal.filter((line) => line.startsWith("stop")).length, 5);
  });

  it("stops what had started when one service fails, and throws its failure (S3)", async () => {
    const { supervisor, journal, hosts, finishStart, progress } = createApp();
    const started = supervisor.start();
    const failed = assert.rejects(started, { id: "start_failed", service: "B" });
    await settled();
    await finishStart("Base#0");
    hosts.get("B#0")?.started.reject(fail("start_failed", { hook: "start", error: "no file" }, { service: "B" }));
    await finishStart("A#0", "A#1");
    await failed;
    assert.deepEqual(journal.slice(4), ["stop B#0", "stop Front#0", "stop A#0", "stop A#1", "stop Base#0"]);
    const event = progress.find((own) => own.kind === "failed");
    assert.deepEqual(event?.kind === "failed" && [event.replica, event.hook, event.error.id], [
      "B#0",
      "start",
      "start_failed",
    ]);
  });

  it("says which service is not ready, and by how many replicas", async () => {
    const { supervisor, hosts } = await createStartedApp();
    (hosts.get("A#0") as FakeHost).isReplicaReady = false;
    let readiness = await supervisor.readiness();
    assert.equal(readiness.isReady, true);
    assert.equal(readiness.services.find((own) => own.name === "A")?.readyReplicas, 1);
    (hosts.get("A#1") as FakeHost).isReplicaReady = false;
    readiness = await supervisor.readiness();
    assert.equal(readiness.isReady, false);
    assert.equal(readiness.services.find((own) => own.name === "A")?.detail, "0 of 2 replicas are ready");
  });

  it("puts a new replica in the place of one that is taken away", async () => {
    const { supervisor, journal, finishStart, linksOf } = await createStartedApp();
    const replaced = supervisor.replaceReplica("A", 0);
    await settled();
    assert.deepEqual(journal, ["kill A#0", "start A#0"]);
    assert.deepEqual(linksOf("A"), ["A#1"]);
    await finishStart("A#0");
    await replaced;
    assert.deepEqual(linksOf("A"), ["A#1", "A#0"]);
  });
});
