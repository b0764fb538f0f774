import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { silentLogger } from "../base/logger.js";
import { RequestContext } from "../call/call.js";
import { CallScope, createCallTime } from "../call/call-scope.js";
import { runInScope } from "../call/invoke.js";
import type { ReplicaLink } from "../call/link.js";
import type { TaskState } from "../call/task-state.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import { fail } from "../failure/failures.js";
import { EdgeStats } from "../observe/call-stats.js";
import { CalleeRoom } from "./callee-room.js";
import { ServiceLinks } from "./directory.js";
import { createHandle } from "./handle.js";

const service = "Model";

/** Gives the present state to each connection, then loses it. */
class LosingLink implements ReplicaLink {
  readonly replica = "Model#0";
  inFlight = 0;
  opened = 0;

  send(): never {
    throw new Error("only streams were expected");
  }

  open: ReplicaLink["open"] = (_, sink) => {
    let isGiven = false;
    const pull = () => {
      if (isGiven) sink.fail(fail("replica_lost", { replica: this.replica }, { service }));
      else sink.item({ id: "t1", status: "in_progress", attempt: 1 }, true);
      isGiven = true;
    };
    this.opened++;
    return { pull, stop: () => sink.end() };
  };
}

/** A reader that waits for another connection to be opened. */
async function createStage() {
  const clock = new FakeClock();
  const time = createCallTime(clock);
  const stats = new EdgeStats("local", service, "train:watch");
  const link = new LosingLink();
  const target = {
    ...{ service, api: "train:watch", timeoutMs: Number.POSITIVE_INFINITY, idempotent: true, takesStream: false },
    ...{ itemSchema: undefined, waitForReplicaMs: 1000, links: new ServiceLinks(service), stats, time },
    room: new CalleeRoom(clock, stats),
  };
  target.links.add(link);
  const api = { name: "train", kind: "task" } as ApiDescriptor;
  const owner = { caller: { service: "local", api: "" }, log: silentLogger };
  const handle = createHandle({ service, apis: new Map([["train", api]]), targetOf: () => target }, owner) as {
    train: { watch(id: string): AsyncIterable<TaskState> };
  };
  const call = {
    ...{ service: "Front", api: "look", deadline: Number.POSITIVE_INFINITY, caller: owner.caller, outside: false },
    ...{ request: new RequestContext(), priority: "interactive" as const },
  };
  const scope = new CallScope(call, undefined, time, clock.now());
  const watching = runInScope(scope, () => handle.train.watch("t1")[Symbol.asyncIterator](), undefined);
  assert.equal((await watching.next()).value?.status, "in_progress");
  const next = watching.next();
  while (clock.pendingTimers === 0) await new Promise((resolve) => setImmediate(resolve));
  return { clock, link, scope, watching, next };
}

describe("whoever watches a task and waits for another connection", () => {
  it("may leave at once: no connection is opened any more", async () => {
    const { clock, link, watching, next } = await createStage();
    assert.equal((await watching.return?.())?.done, true);
    assert.deepEqual([(await next).done, clock.pendingTimers, link.opened], [true, 0, 1]);
  });

  it("is told at once that the api which watches has ended", async () => {
    const { clock, link, scope, next } = await createStage();
    scope.close();
    await assert.rejects(next, { code: "cancelled" });
    assert.deepEqual([clock.pendingTimers, link.opened], [0, 1]);
  });

  it("may leave while the next connection begins", async () => {
    const { clock, link, watching, next } = await createStage();
    clock.advance(100);
    while (link.opened < 2) await new Promise((resolve) => setImmediate(resolve));
    await watching.return?.();
    assert.equal((await next).done, true);
  });
});
