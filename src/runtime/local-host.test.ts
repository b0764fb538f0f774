import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import v8 from "node:v8";
import vm from "node:vm";
import { MessageChannel } from "node:worker_threads";
import { z } from "zod";
import { FakeClock } from "../../test/fake-clock.js";
import { openCall, stillTime } from "../../test/transport/open-call.js";
import { startReplica } from "../../test/transport/start-replica.js";
import { createWireService, WireControl } from "../../test/transport/wire-service.js";
import { planApp } from "../app/plan-app.js";
import { createDeferred } from "../base/clock.js";
import { silentLogger } from "../base/logger.js";
import { type CallTime, createCallTime } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import type { ServiceClass } from "../define/depends.js";
import { fail } from "../failure/failures.js";
import type { CallTarget } from "../handle/call-target.js";
import { CalleeRoom } from "../handle/callee-room.js";
import { ServiceLinks } from "../handle/directory.js";
import { dispatchCall, openScope } from "../handle/start-call.js";
import { api, Service } from "../index.js";
import { EdgeStats } from "../observe/call-stats.js";
import { PeerLink } from "../transport/peer-link.js";
import { PortLine } from "../transport/port-channel.js";
import { LocalHost, LocalLink } from "./local-host.js";
import { Runtime } from "./runtime.js";

const resources = { cpuThreads: 1, memoryBytes: Number.POSITIVE_INFINITY, gpus: [] };

function createSite(service: ServiceClass): Runtime {
  const appFile = { path: "test", value: { placement: "inline" as const } };
  const { graph, settings } = planApp(service, { flags: {}, env: {}, appFile });
  return new Runtime({ graph, settings, log: silentLogger, time: stillTime, appFolder: tmpdir() });
}

/** A replica in this thread, called here and by a caller in another one. */
function createHost(service: ServiceClass): LocalHost {
  const runtime = createSite(service);
  return new LocalHost(runtime.partsOf({ service: runtime.graph.entry, index: 0, resources }));
}

/** A link of a caller in another thread. */
async function connect(host: LocalHost): Promise<PeerLink> {
  const { port1, port2 } = new MessageChannel();
  host.accept(port1);
  return new Promise((resolve) => {
    const link: PeerLink = new PeerLink(host.id, new PortLine(port2).connect(), {
      opened: () => resolve(link),
      draining: () => {},
      closed: () => {},
    });
  });
}

function createRoute(time: CallTime, api: string): CallTarget {
  const service = "Wire";
  const stats = new EdgeStats("local", service, api);
  return {
    service,
    api,
    timeoutMs: 9000,
    idempotent: false,
    takesStream: false,
    itemSchema: undefined,
    waitForReplicaMs: 9000,
    links: new ServiceLinks(service),
    room: new CalleeRoom(time.clock, stats),
    stats,
    time,
  };
}

describe("a call in the same thread", () => {
  for (const why of ["held until there was a replica", "sent again after another replica refused it"]) {
    it(`counts as run what it ran, also where it was ${why}`, async () => {
      const clock = new FakeClock();
      const time = createCallTime(clock);
      const replica = await startReplica(createWireService(new WireControl()), { time });
      const route = createRoute(time, "echo");
      const refused = fail("draining", { what: "replica Wire#1" }, { service: "Wire", api: "echo" });
      const sent: Parameters<ReplicaLink["send"]>[0][] = [];
      const draining: ReplicaLink = {
        replica: "Wire#1",
        inFlight: 0,
        send: (scope) => void sent.push(scope),
        open: () => assert.fail("no stream was expected"),
      };
      if (why.startsWith("sent")) route.links.add(draining);
      const caller = { service: "local", api: "" };
      const none = {
        parent: undefined,
        reader: undefined,
        request: undefined,
        timeoutMs: undefined,
        signal: undefined,
      };
      const scope = openScope(route, { input: "x", caller, outside: false, priority: "interactive", ...none });
      const answer = dispatchCall(route, scope);
      clock.advance(4000);
      route.links.remove(draining);
      route.links.add(new LocalLink(replica));
      for (const each of sent) each.replyFailure(refused);
      assert.equal(await answer, "x");
      const { runTime } = replica.deps.stats.lane("Wire", "echo");
      assert.deepEqual([runTime.count, runTime.sum], [1, 0]);
      assert.equal(time.turns.longestMs, 0);
      assert.equal(replica.apis.get("echo")?.lane.gate.admission.pace.runMs, 0);
      // Its caller waited for all of it.
      assert.equal(route.stats.byOutcome.get("ok")?.sum, 4);
    });
  }
});

/** Everything that may be waiting when a replica is stopped. */
function createModel(events: string[], parts: { readonly finish: Promise<void>; readonly freed: Promise<void> }) {
  const { finish, freed } = parts;
  const run = async (key: string) => {
    events.push(`run ${key}`);
    await finish;
    return key;
  };
  const bounds = { maxConcurrent: 1 };
  return class Model extends Service() {
    one = api({ input: z.string(), output: z.string(), ...bounds }, run);
    rows = api(
      { input: z.array(z.string()), output: z.array(z.string()), batch: { maxRows: 1 }, idempotent: true },
      async (rows) => [await run(rows.join())],
    );
    items = api({ input: z.string(), yields: z.string(), ...bounds }, async function* (key) {
      yield await run(key);
      events.push(`went on ${key}`);
      yield key;
    });
    checked = api({ input: z.string().refine(() => finish.then(() => true)), output: z.string() }, run);

    override async stop(): Promise<void> {
      events.push("stop()");
      await freed;
    }
  };
}

/** Opens a call, and settles as it is answered: with its first item, where it has some. */
function callOver(link: ReplicaLink, apiName: string, input: unknown): Promise<unknown> {
  const { scope, answer } = openCall(apiName, input, { service: "Model" });
  if (apiName !== "items") {
    link.send(scope);
    return answer;
  }
  return new Promise((resolve, reject) => {
    const sink = { takesEncoded: false, item: resolve, encoded: resolve, end: () => resolve("ended"), fail: reject };
    const source = link.open(scope, sink);
    scope.onCancel((reason) => {
      source.stop();
      reject(reason);
    });
    source.pull();
  });
}

const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
};

describe("a stop after a drain that took too long", () => {
  for (const where of ["in this thread", "in another thread"]) {
    it(`begins nothing that waited once the author's stop() runs, of a caller ${where} (BA9)`, async () => {
      const events: string[] = [];
      const [finish, freed] = [createDeferred<void>(), createDeferred<void>()];
      const host = createHost(createModel(events, { finish: finish.promise, freed: freed.promise }));
      await host.start(new AbortController().signal);
      const warming: boolean[] = [];
      const { turns: loop } = host.replica.deps.time;
      loop.onFirstRuns = (isRunning) => warming.push(isRunning);
      const link = where === "in this thread" ? host.link : await connect(host);
      const calls = ["first", "second"].flatMap((key) => [
        callOver(link, "one", key),
        callOver(link, "rows", [key]),
        callOver(link, "items", key),
        callOver(link, "checked", key),
      ]);
      const settled = Promise.allSettled(calls);
      while (events.length < 3) await turns(1);
      await turns(5);
      assert.deepEqual(events.toSorted(), ["run first", "run first", "run first"]);
      void host.drain();
      const stopped = host.stop();
      while (!events.includes("stop()")) await turns(1);
      // Its process is not taken for one that warms up because of runs that may never end.
      assert.deepEqual(warming, [true, false]);
      loop.onFirstRuns = undefined;
      finish.resolve();
      await turns(20);
      assert.deepEqual(events.slice(3), ["stop()"]);
      freed.resolve();
      await stopped;
      assert.deepEqual(
        (await settled).map((each) => (each.status === "rejected" ? each.reason.id : "answered")),
        calls.map(() => "replica_lost"),
      );
      assert.equal(host.replica.inFlight, 0);
    });
  }
});

/** Brings a replica up beside others, calls it, and ends it. Its instance is then nobody's. */
async function liveOnce(runtime: Runtime): Promise<WeakRef<object>> {
  const host = new LocalHost(runtime.partsOf({ service: "Model", index: 0, resources }));
  await host.start(new AbortController().signal);
  const calls = [callOver(host.link, "one", "x"), callOver(host.link, "rows", ["x"])];
  assert.deepEqual(await Promise.all(calls), ["x", ["x"]]);
  await host.drain();
  await host.stop();
  return instances.pop() as WeakRef<object>;
}

/** Instances of the services of one test. */
const instances: WeakRef<object>[] = [];

describe("a replica that has ended", () => {
  it("is collected with its instance, while its process lives on", async () => {
    class Model extends Service() {
      one = api({ input: z.string(), output: z.string() }, (key) => this.run([key])[0] as string);
      rows = api({ input: z.array(z.string()), output: z.array(z.string()), batch: { maxRows: 4 } }, (rows) =>
        this.run(rows),
      );
      run = (rows: string[]) => rows;

      override async start(): Promise<void> {
        instances.push(new WeakRef(this));
      }
    }
    v8.setFlagsFromString("--expose-gc");
    const collect = vm.runInNewContext("gc") as () => void;
    const runtime = createSite(Model);
    const instance = await liveOnce(runtime);
    // The watch of its lanes, a turn that was taken, the end of a promise: nothing of them lasts.
    await turns(10);
    collect();
    assert.equal(instance.deref(), undefined);
    assert.equal(runtime.stats.lanes.size, 2);
  });

  it("leaves nothing of itself in the figures of its process, also when its start failed", async () => {
    for (const fails of [false, true]) {
      class Model extends Service() {
        one = api({ input: z.string(), output: z.string() }, (key) => key);
        rows = api({ input: z.array(z.string()), output: z.array(z.string()), batch: { maxRows: 4 } }, (rows) => rows);

        override async start(): Promise<void> {
          if (fails) throw new Error("no memory");
        }
      }
      const host = createHost(Model);
      const started = host.start(new AbortController().signal);
      const lanes = host.replica.deps.stats.lanes;
      if (fails) {
        await assert.rejects(started, { id: "start_failed" });
      } else {
        await started;
        assert.deepEqual(
          [...lanes.values()].map(({ admissions, overdue }) => [admissions.size, overdue.size]),
          [
            [1, 1],
            [2, 2],
          ],
        );
        await host.stop();
      }
      assert.equal(lanes.size, 2);
      for (const { admissions, overdue } of lanes.values()) assert.deepEqual([admissions.size, overdue.size], [0, 0]);
    }
  });
});

describe("a drain", () => {
  it("waits for an answer that is still being read into bytes, of a call whose code has ended", async () => {
    const [reading, finish] = [createDeferred<void>(), createDeferred<void>()];
    /** One whose bytes are not there yet. */
    class SlowBlob extends Blob {
      override async arrayBuffer(): Promise<ArrayBuffer> {
        reading.resolve();
        await finish.promise;
        return super.arrayBuffer();
      }
    }
    class Files extends Service() {
      slow = api({ output: z.any() }, async () => new SlowBlob(["late"]));
    }
    const host = createHost(Files);
    await host.start(new AbortController().signal);
    const link = await connect(host);
    const { scope, answer } = openCall("slow", null, { service: "Files" });
    link.send(scope);
    await reading.promise;
    assert.equal(host.replica.inFlight, 0);
    const stopped = host.drain().then(() => host.stop());
    // Whatever waits for nothing but other turns has come by then.
    await turns(20);
    finish.resolve();
    await stopped;
    assert.equal(await ((await answer) as Blob).text(), "late");
  });
});
