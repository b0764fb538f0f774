import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { MessageChannel } from "node:worker_threads";
import { z } from "zod";
import { openCall, stillTime } from "../../test/transport/open-call.js";
import { startReplica } from "../../test/transport/start-replica.js";
import { createWireService, WireControl } from "../../test/transport/wire-service.js";
import { planApp } from "../app/plan-app.js";
import { createDeferred } from "../base/deferred.js";
import { silentLogger } from "../base/logger.js";
import { type CallTime, createCallTime } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import type { ServiceClass } from "../define/depends.js";
import { fail } from "../failure/fail.js";
import type { CallRoute } from "../handle/call-route.js";
import { CalleeRoom } from "../handle/callee-room.js";
import { ServiceLinks } from "../handle/directory.js";
import { dispatchCall, openScope } from "../handle/start-call.js";
import { api, Service } from "../index.js";
import { EdgeStats } from "../observe/call-stats.js";
import { Site } from "../site/site.js";
import { FakeClock } from "../testing/fake-clock.js";
import { PeerLink } from "../transport/peer-link.js";
import { PortLine } from "../transport/port-line.js";
import { InlineHost, InlineLink } from "./inline.js";

const resources = { cpuThreads: 1, memoryBytes: Number.POSITIVE_INFINITY, gpus: [] };

/** A replica in this thread, called here and by a caller in another one. */
function createHost(service: ServiceClass, time: CallTime = stillTime) {
  const appFile = { path: "test", value: { placement: "inline" as const } };
  const { graph, settings } = planApp(service, { flags: {}, env: {}, appFile });
  const site = new Site({ graph, settings, log: silentLogger, time, appFolder: tmpdir() });
  return new InlineHost(site.partsOf({ service: graph.entry, index: 0, resources }));
}

/** A link of a caller in another thread. */
async function connect(host: InlineHost): Promise<PeerLink> {
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

function createRoute(time: CallTime, api: string): CallRoute {
  const service = "Wire";
  const stats = new EdgeStats("local", service, api);
  return {
    ...{ service, api, timeoutMs: 9000, idempotent: false, takesStream: false, itemSchema: undefined, holdMs: 9000 },
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
        ...{ replica: "Wire#1", inFlight: 0, send: (scope) => void sent.push(scope) },
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
      route.links.add(new InlineLink(replica));
      for (const each of sent) each.replyFailure(refused);
      assert.equal(await answer, "x");
      const { runTime } = replica.parts.stats.lane("Wire", "echo");
      assert.deepEqual([runTime.count, runTime.sum], [1, 0]);
      assert.equal(time.turns.longestMs, 0);
      assert.equal(replica.apis.get("echo")?.lane.gate.admission.pace.runMs, 0);
      // Its caller waited for all of it.
      assert.equal(route.stats.byOutcome.get("ok")?.sum, 4);
    });
  }
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
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    finish.resolve();
    await stopped;
    assert.equal(await ((await answer) as Blob).text(), "late");
  });
});
