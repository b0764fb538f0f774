import assert from "node:assert/strict";
import { dirname } from "node:path";
import { describe, it } from "node:test";
import { z } from "zod";
import { createAddress } from "../../test/transport/socket-pair.js";
import { createDeferred } from "../base/clock.js";
import { silentLogger } from "../base/logger.js";
import { systemTime } from "../call/call-scope.js";
import { api } from "../define/api.js";
import { depends } from "../define/depends.js";
import { Service } from "../define/service.js";
import { resolveGraph } from "../graph/graph.js";
import { resolveOptions } from "../options/resolve-options.js";
import type { ReplicaOrder, RuntimeOrder } from "../placement/control.js";
import { HostedReplica, InlineCallees } from "./hosted-replica.js";
import { Runtime } from "./runtime.js";

const text = { input: z.string(), output: z.string() };
const journal: string[] = [];
/** Limits that starts announced. */
const limits: number[] = [];
let gate = createDeferred<void>();
let failure: Error | undefined;

/** Lives beside First and Second. */
class Shared extends Service({ placement: "inline" }) {
  override start() {
    journal.push("start Shared");
    if (failure !== undefined) throw failure;
  }
  override stop() {
    journal.push("stop Shared");
  }
  run = api(text, (value) => value);
}
class First extends Service() {
  shared = depends(Shared);
  override start() {
    journal.push("start First");
    return gate.promise;
  }
  override stop() {
    journal.push("stop First");
  }
  run = api(text, (value) => this.shared.run(value));
}
class Second extends Service() {
  shared = depends(Shared);
  first = depends(First);
  override start() {
    journal.push("start Second");
  }
  override stop() {
    journal.push("stop Second");
  }
  run = api(text, (value) => this.shared.run(value));
}

function createPair() {
  journal.length = limits.length = 0;
  gate = createDeferred();
  failure = undefined;
  const graph = resolveGraph(Second);
  const services = [...graph.services.values()].map(({ name, options, apis }) => ({
    name,
    options: options as Readonly<Record<string, unknown>>,
    apis: [...apis.values()].map((own) => ({ name: own.name, kind: undefined, options: {} })),
  }));
  const { settings } = resolveOptions({ entry: "Second", services }, { flags: {}, env: {} });
  const { address, remove } = createAddress();
  const runtime = new Runtime({ graph, settings, log: silentLogger, time: systemTime, appFolder: dirname(address) });
  const parts = {
    runtime,
    inlineCallees: new InlineCallees(runtime),
    runtimeOrder: { slabFolder: undefined } as unknown as RuntimeOrder,
    ask: () => assert.fail("nothing is asked here"),
    onStarting: (limitMs: number) => limits.push(limitMs),
  };
  const resources = { cpuThreads: 1, memoryBytes: Number.POSITIVE_INFINITY, gpus: [] };
  const create = (service: string) => {
    const order: ReplicaOrder = {
      id: `${service}#0`,
      index: 0,
      service,
      resources,
      callees: [],
      inlineCallees: ["Shared"],
      inlineCalleeResources: new Map(),
      address: `${address}.${service}`,
    };
    return new HostedReplica(order, parts);
  };
  const linksToShared = () => runtime.directory.of("Shared").links.length;
  return { first: create("First"), second: create("Second"), create, linksToShared, remove };
}

describe("replicas of one runtime", () => {
  it("share the inline services they call: started by the first, stopped after the last (MC1, MR1)", async () => {
    const { first, second, linksToShared, remove } = createPair();
    gate.resolve();
    await Promise.all([first.start(), second.start()]);
    assert.deepEqual([...journal].sort(), ["start First", "start Second", "start Shared"]);
    assert.equal(journal[0], "start Shared");
    assert.equal(linksToShared(), 1);
    await first.drain(1000);
    await first.stop();
    assert.deepEqual(journal.slice(3), ["stop First"]);
    assert.equal(await second.isReady(), true, "what it shares was not drained");
    await second.stop();
    assert.deepEqual(journal.slice(4), ["stop Second", "stop Shared"]);
    assert.equal(linksToShared(), 0);
    remove();
  });

  it("say how long their start may take, with all that comes before it, and then without that", async () => {
    const { first, remove } = createPair();
    gate.resolve();
    await first.start();
    // 5 s for links, 300 s for the start of Shared, as much for its own.
    assert.deepEqual(limits, [605_000, 300_000]);
    await first.stop();
    remove();
  });

  it("fail to start with an inline service of theirs, which the next starts again (MC2)", async () => {
    const { first, second, create, linksToShared, remove } = createPair();
    gate.resolve();
    failure = new Error("no");
    const failed = { id: "start_failed", service: "Shared" };
    await Promise.all([assert.rejects(first.start(), failed), assert.rejects(second.start(), failed)]);
    await Promise.all([first.stop(), second.stop()]);
    assert.deepEqual([linksToShared(), journal.includes("start First")], [0, false]);
    failure = undefined;
    const next = create("First");
    await next.start();
    assert.deepEqual([linksToShared(), await next.isReady()], [1, true]);
    await next.stop();
    remove();
  });

  it("leave nothing behind when they are stopped while they start, and the others go on", async () => {
    const { first, second, linksToShared, remove } = createPair();
    await second.start();
    const started = assert.rejects(first.start(), { id: "start_aborted" });
    while (!journal.includes("start First")) await new Promise(setImmediate);
    await first.stop();
    gate.resolve();
    await started;
    assert.deepEqual([await first.isReady(), await second.isReady(), linksToShared()], [false, true, 1]);
    await second.stop();
    assert.equal(linksToShared(), 0);
    remove();
  });

  it("are not begun at all when they are stopped before their turn", async () => {
    const { first, second, linksToShared, remove } = createPair();
    const started = assert.rejects(first.start(), { id: "start_aborted" });
    await first.stop();
    await started;
    assert.deepEqual([journal.includes("start First"), linksToShared()], [false, 0]);
    await second.stop();
    remove();
  });
});
