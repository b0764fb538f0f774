import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { z } from "zod";
import { FakeClock } from "../../../test/fake-clock.js";
import { planApp } from "../../app/plan-app.js";
import { silentLogger } from "../../base/logger.js";
import { createCallTime } from "../../call/call-scope.js";
import { currentCall } from "../../call/invoke.js";
import { createTaskId } from "../../call/task-state.js";
import { task } from "../../define/api.js";
import { Service } from "../../define/service.js";
import { fail } from "../../failure/failures.js";
import { ServingError } from "../../failure/serving-error.js";
import { Runtime } from "../../runtime/runtime.js";
import { EndedLives } from "../../tasks/lease-grace.js";
import { openSqliteStore } from "../../tasks/sqlite/open-sqlite.js";
import type { TaskStore } from "../../tasks/task-store.js";
import { packValue, unpackValue } from "../../transport/stored-value.js";
import { Replica } from "../replica.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-runner-"));
const leaseMs = 900;

/** Methods that fail as if the store were out of reach, and how often each was asked. */
class Outage {
  readonly down = new Set<keyof TaskStore>();
  readonly asked = new Map<keyof TaskStore, number>();

  wrap(store: TaskStore): TaskStore {
    return new Proxy(store, {
      get: (target, name: keyof TaskStore) => {
        const method = target[name] as ((...args: unknown[]) => unknown) | undefined;
        // A promise of the store asks for its `then`.
        if (method === undefined) return undefined;
        return (...args: unknown[]) => {
          this.asked.set(name, this.count(name) + 1);
          if (this.down.has(name))
            return Promise.reject(fail("task_store_unavailable", { engine: "test", problem: "down" }));
          return method.apply(target, args);
        };
      },
    });
  }

  count(name: keyof TaskStore): number {
    return this.asked.get(name) ?? 0;
  }
}

/** Lets everything happen that needs no time to pass. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}

let lastPlace = 0;

/** A replica with one task, over a real store, on a clock that moves when told. */
async function createStage() {
  const begun: string[] = [];
  const reasons: unknown[] = [];
  let release!: () => void;
  const released = new Promise<void>((resolve) => (release = resolve));
  class Clerk extends Service() {
    run = task(
      { input: z.string(), output: z.string(), idempotent: true, retryBackoffMs: 1000, timeoutMs: 60_000 },
      async (text) => {
        begun.push(text);
        const { signal } = currentCall();
        signal.addEventListener("abort", () => reasons.push((signal.reason as ServingError).id));
        if (text === "fail" && begun.length === 1) throw new ServingError({ code: "internal", message: "once" });
        if (text.startsWith("held")) await released;
        return text.toUpperCase();
      },
    );
  }
  const clock = new FakeClock();
  const folder = join(root, String(++lastPlace));
  const store = await openSqliteStore(folder, { log: silentLogger, clock });
  const outage = new Outage();
  const endedLives = new EndedLives();
  const { graph, settings } = planApp(Clerk, {
    flags: {},
    env: {},
    appFile: { path: "test", value: { placement: "inline" } },
  });
  const site = new Runtime({ graph, settings, log: silentLogger, time: createCallTime(clock), appFolder: folder });
  const resources = { cpuThreads: 1, memoryBytes: Number.POSITIVE_INFINITY, gpus: [] };
  const replica = new Replica({
    ...site.partsOf({ service: "Clerk", index: 0, resources }),
    tasks: {
      leaseMs,
      retentionMs: 1,
      schedules: true,
      isAlive: () => true,
      namespace: "app",
      life: "one",
      endedLives,
      isOwn: () => true,
      keepHeaders: [],
      keyScope: [],
      census: undefined,
      openStore: async () => outage.wrap(store),
    },
  });
  await replica.start(new AbortController().signal);
  const submit = async (text: string): Promise<string> => {
    const input = await packValue(text, "input");
    const { id } = await store.submit({
      id: createTaskId(),
      namespace: "app",
      service: "Clerk",
      api: "run",
      input,
      context: "",
      priority: 0,
    });
    return id;
  };
  const statusOf = async (id: string) => (await store.get(id))?.status;
  const close = async () => {
    release();
    await replica.stop();
    await store.close();
  };
  return { begun, reasons, release, clock, store, outage, endedLives, replica, submit, statusOf, close };
}

const place = { namespace: "app", service: "Clerk", api: "run" };
const rival = { ...place, limit: 1, owner: "rival/two", leaseMs, maxAttempts: 9, lostFailure: "" };

describe("a replica that runs tasks", () => {
  after(() => rmSync(root, { recursive: true, force: true }));

  it("takes over at once what a life held that has ended, and leaves alone what others hold", async () => {
    const { store, endedLives, submit, statusOf, begun, replica, release, close } = await createStage();
    const busy = await submit("held");
    await until(() => begun.length === 1);
    const [ended, living] = [await submit("ended"), await submit("living")];
    assert.deepEqual(
      (await store.claim({ ...rival, owner: "Clerk#1@here:2/two" })).map(({ record }) => record.id),
      [ended],
    );
    assert.deepEqual(
      (await store.claim({ ...rival, owner: "Clerk#2@here:3/three" })).map(({ record }) => record.id),
      [living],
    );
    endedLives.note("two");
    await until(async () => (await statusOf(ended)) === "pending");
    release();
    await until(async () => (await statusOf(ended)) === "completed");
    assert.deepEqual([await statusOf(busy), await statusOf(living)], ["completed", "in_progress"]);
    assert.equal((await store.get(ended))?.attempt, 2);
    await replica.drain();
    await close();
  });

  it("holds on to a task for as long as it runs, and records it once (RA1, LK1)", async () => {
    const { begun, clock, store, outage, release, replica, submit, statusOf, close } = await createStage();
    const id = await submit("held");
    await until(() => begun.length === 1);
    const timers = clock.pendingTimers;
    for (let i = 1; i <= 9; i++) {
      clock.advance(leaseMs / 3);
      // The next renewal has its timer when this one has been answered.
      await until(() => outage.count("renew") === i && clock.pendingTimers === timers);
    }
    assert.deepEqual(await store.claim(rival), []);
    release();
    await until(async () => (await statusOf(id)) === "completed");
    const renewals = outage.count("renew");
    await replica.drain();
    clock.advance(leaseMs);
    assert.deepEqual([outage.count("renew"), outage.count("finish")], [renewals, 1]);
    await close();
  });

  it("that has lost its lease ends the attempt, and records nothing of it (RA3, LK3)", async () => {
    const { begun, reasons, clock, store, outage, release, submit, close } = await createStage();
    const id = await submit("held");
    await until(() => begun.length === 1);
    outage.down.add("renew").add("claim");
    clock.advance(leaseMs);
    await until(() => outage.count("renew") > 0);
    const [taken] = await store.claim(rival);
    assert.equal(taken?.record.id, id);
    outage.down.clear();
    clock.advance(leaseMs / 3);
    await until(() => reasons.length === 1);
    assert.deepEqual(reasons, ["task_lease_lost"]);
    const output = await packValue("the rival's", "output");
    assert.ok(taken !== undefined && (await store.finish(taken.lease, { status: "completed", output })));
    release();
    await close();
    assert.equal(outage.count("finish"), 0);
  });

  it("offers an end again until the store takes it (RA1)", async () => {
    const { begun, clock, store, outage, release, submit, statusOf, close } = await createStage();
    outage.down.add("finish");
    const id = await submit("held");
    await until(() => begun.length === 1);
    release();
    for (const [i, pauseMs] of [100, 200].entries()) {
      await until(() => outage.count("finish") === i + 1 && clock.pendingTimers > 0);
      clock.advance(pauseMs - 1);
      assert.equal(outage.count("finish"), i + 1);
      clock.advance(1);
    }
    await until(() => outage.count("finish") === 3);
    assert.equal(await statusOf(id), "in_progress");
    outage.down.clear();
    clock.advance(400);
    await until(async () => (await statusOf(id)) === "completed");
    const result = await store.result(id);
    assert.equal(unpackValue(result?.output as Uint8Array), "HELD");
    assert.equal(begun.length, 1);
    await close();
  });

  it("asks a store that is out of reach again and again, less and less often (RN2, RN4)", async () => {
    const { begun, clock, outage, submit, close } = await createStage();
    await until(() => outage.count("nextDueMs") === 1);
    outage.down.add("claim");
    const before = outage.count("claim");
    await submit("late");
    await until(() => outage.count("claim") === before + 1);
    for (const [i, pauseMs] of [100, 200, 400, 800].entries()) {
      await until(() => clock.pendingTimers > 1);
      clock.advance(pauseMs - 1);
      assert.equal(outage.count("claim"), before + 1 + i);
      clock.advance(1);
      await until(() => outage.count("claim") === before + 2 + i);
    }
    outage.down.clear();
    await until(() => clock.pendingTimers > 1);
    clock.advance(1600);
    await until(() => begun.length === 1);
    await close();
  });

  it("begins a task that failed again when its time has come, and not before", async () => {
    const { begun, clock, outage, submit, statusOf, close } = await createStage();
    const id = await submit("fail");
    await until(async () => (await statusOf(id)) === "pending" && begun.length === 1);
    const asked = outage.count("nextDueMs");
    await until(() => outage.count("nextDueMs") > asked || clock.pendingTimers > 1);
    clock.advance(999);
    assert.equal(begun.length, 1);
    clock.advance(251);
    await until(async () => (await statusOf(id)) === "completed");
    assert.equal(begun.length, 2);
    await close();
  });

  it("ends a task that somebody asks to end at once, and leaves its slot to the next when its code has ended (RA2)", async () => {
    const { begun, reasons, store, release, submit, statusOf, close } = await createStage();
    const [id, next] = [await submit("held"), await submit("next")];
    await until(() => begun.length === 1);
    await store.cancel(id, "asked");
    await until(async () => (await statusOf(id)) === "canceled");
    assert.deepEqual([reasons, begun, await statusOf(next)], [["task_canceled"], ["held"], "pending"]);
    release();
    await until(async () => (await statusOf(next)) === "completed");
    await close();
  });

  it("gives back what it runs when it stops, and claims nothing while it drains (RN3, RP1)", async () => {
    const { begun, reasons, replica, store, submit, close } = await createStage();
    const id = await submit("held");
    await until(() => begun.length === 1);
    const drained = replica.drain();
    const waiting = await submit("waiting");
    await replica.stop();
    const records = await Promise.all([id, waiting].map((own) => store.get(own)));
    assert.deepEqual(
      records.map((record) => [record?.status, record?.attempt]),
      [
        ["pending", 0],
        ["pending", 0],
      ],
    );
    assert.deepEqual([reasons, begun], [["draining"], ["held"]]);
    await close();
    await drained;
  });

  it("leaves nothing of itself in the figures of its process when it has stopped, and what its successor has put there (RP3)", async () => {
    for (const hasSuccessor of [false, true]) {
      const { replica, close } = await createStage();
      const { stats } = replica.deps;
      const figures = stats.task("Clerk", "run");
      assert.ok(figures.readWaiting !== undefined);
      assert.ok([...stats.lanes.values()].every(({ admissions }) => admissions.size > 0));
      const successors = () => 3;
      if (hasSuccessor) figures.readWaiting = successors;
      await close();
      assert.equal(figures.readWaiting, hasSuccessor ? successors : undefined);
      assert.ok([...stats.lanes.values()].every(({ admissions, overdue }) => admissions.size + overdue.size === 0));
    }
  });

  it("counts the tasks that wait, a second at a time, and forgets old ones (RT2)", async () => {
    const { begun, clock, outage, replica, submit, close } = await createStage();
    await submit("held");
    await until(() => begun.length === 1);
    for (const text of ["held 2", "held 3"]) await submit(text);
    assert.equal(replica.tasks?.waitingTasks, 0);
    await until(() => replica.tasks?.waitingTasks === 2);
    assert.equal(outage.count("countWaiting"), 1);
    clock.advance(1000);
    await until(() => replica.tasks?.waitingTasks === 2 && outage.count("countWaiting") === 2);
    assert.equal(outage.count("purge"), 0);
    clock.advance(60_000);
    await until(() => outage.count("purge") === 1);
    await close();
  });
});
