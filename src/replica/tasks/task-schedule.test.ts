import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { FakeClock } from "../../../test/fake-clock.js";
import { silentLogger } from "../../base/logger.js";
import { createCallTime } from "../../call/call-scope.js";
import { readSchedule, type Schedule } from "../../define/schedule.js";
import { fail } from "../../failure/failures.js";
import { CallStats } from "../../observe/call-stats.js";
import { openSqliteStore } from "../../tasks/sqlite/open-sqlite.js";
import type { TaskStore } from "../../tasks/task-store.js";
import { TaskSchedule } from "./task-schedule.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-schedule-"));
after(() => rmSync(root, { recursive: true, force: true }));
const hourMs = 3_600_000;
const place = { namespace: "app", service: "Clerk", api: "run" };
const hourly = readSchedule({ every: "1h" }) as Schedule;
let places = 0;

/** Lets everything happen that needs no time to pass. */
async function settle(clock: FakeClock, replicas: readonly TaskSchedule[]): Promise<void> {
  // A schedule that has looked sets a timer for its next look.
  do await new Promise((resolve) => setImmediate(resolve));
  while (clock.pendingTimers < replicas.length);
}

/** Replicas of one service on one store, at 10:30. */
async function createStage(replicas = 1) {
  const clock = new FakeClock(Date.parse("2026-11-29T10:30:00Z"));
  const store = await openSqliteStore(join(root, String(++places)), { log: silentLogger, clock });
  const running: TaskSchedule[] = [];
  const start = async (count: number, schedule = hourly, over: Partial<TaskStore> = {}) => {
    const started = Array.from({ length: count }, (_, index) => {
      const host = { id: `Clerk#${index}`, service: "Clerk", index, log: silentLogger, time: createCallTime(clock) };
      const stats = new CallStats();
      const used = Object.assign(Object.create(store) as TaskStore, over);
      const input = { all: true };
      const own = { place, contract: "its contract", schedule, input, store: used, stats: stats.task("Clerk", "run") };
      const deps = { host: { ...host, stats }, ...own };
      return new TaskSchedule(deps);
    });
    for (const one of started) one.start();
    running.push(...started);
    await pass(1);
  };
  /** Lets time pass in steps, and what happens in each. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 60_000) {
      clock.advance(Math.min(left, 60_000));
      await settle(clock, running);
    }
    // Replicas look one after the other.
    clock.advance(10_000);
    await settle(clock, running);
  };
  const stop = async () => {
    await Promise.all(running.splice(0).map((one) => one.stop()));
  };
  const times = async () => (await store.list({ limit: 100 })).map(({ key }) => key?.slice(-13, -8)).reverse();
  const end = async () => {
    const request = { ...place, limit: 9, owner: "x/one", leaseMs: hourMs, maxAttempts: 3, lostFailure: "lost" };
    for (const { lease } of await store.claim(request)) {
      await store.finish(lease, { status: "completed", output: new Uint8Array() });
    }
  };
  const close = async () => {
    await stop();
    await store.close();
  };
  await start(replicas);
  return { clock, store, start, pass, stop, times, end, close };
}

describe("the schedule of a task", () => {
  it("submits one task for each planned time, however many replicas share the store (SD1)", async () => {
    const { store, pass, times, end, close } = await createStage(5);
    assert.deepEqual(await times(), []);
    for (let hours = 0; hours < 3; hours++) {
      await pass(hourMs);
      await end();
    }
    assert.deepEqual(await times(), ["11:00", "12:00", "13:00"]);
    const [record] = await store.list({ limit: 1 });
    assert.equal(record?.key, "schedule · 2026-11-29T13:00:00.000Z");
    await close();
  });

  it("submits one task for all times that were missed, the newest, and none for those before its first start (SD2)", async () => {
    const { start, pass, stop, times, end, clock, close } = await createStage();
    await pass(hourMs);
    await end();
    await stop();
    clock.advance(10 * hourMs);
    await start(3);
    await end();
    await pass(hourMs);
    assert.deepEqual(await times(), ["11:00", "21:00", "22:00"]);
    await close();
  });

  it("misses nothing of a schedule that was changed (SD2)", async () => {
    const { start, pass, stop, times, end, clock, close } = await createStage();
    await pass(hourMs);
    await end();
    await stop();
    clock.advance(hourMs);
    await start(1, readSchedule({ every: "30m" }) as Schedule);
    assert.deepEqual(await times(), ["11:00"]);
    await pass(hourMs / 2);
    assert.deepEqual(await times(), ["11:00", "13:00"]);
    await close();
  });

  it("leaves out a time at which the task before has not ended (SD3)", async () => {
    const { pass, times, end, close } = await createStage(2);
    await pass(2 * hourMs);
    assert.deepEqual(await times(), ["11:00"]);
    await end();
    await pass(hourMs);
    assert.deepEqual(await times(), ["11:00", "13:00"]);
    await close();
  });

  it("looks for the newest planned time once for each planned time, and anew when the clock was set back", async () => {
    const { clock, start, stop, pass, times, end, close } = await createStage();
    await stop();
    let looks = 0;
    const latest = (now: number) => {
      looks++;
      return hourly.latest(now);
    };
    await start(1, { ...hourly, latest });
    await pass(2 * hourMs);
    await end();
    assert.deepEqual([looks, await times()], [3, ["11:00"]]);
    let setBackMs = hourMs;
    clock.wallTimeOf = (instant) => instant - setBackMs;
    await pass(60_000);
    assert.equal(looks, 4);
    setBackMs = 0;
    await pass(hourMs);
    assert.ok(looks <= 6, `${looks} looks`);
    await close();
  });

  it("waits and tries again when the newest planned time can't be computed", async () => {
    const { start, stop, pass, times, close } = await createStage();
    await stop();
    let isBroken = true;
    const latest = (now: number) => {
      if (isBroken) throw new RangeError("no such time");
      return hourly.latest(now);
    };
    await start(1, { ...hourly, latest });
    isBroken = false;
    await pass(hourMs);
    assert.deepEqual(await times(), ["11:00"]);
    await close();
  });

  it("submits later what the store could not take in time (SD4)", async () => {
    const { store, start, pass, stop, times, close } = await createStage();
    await stop();
    let isDown = true;
    const down = () => Promise.reject(fail("task_store_unavailable", { engine: "test", problem: "down" }));
    const submit: TaskStore["submit"] = (task) => (isDown ? down() : store.submit(task));
    await start(1, hourly, { submit });
    await pass(hourMs);
    assert.deepEqual(await times(), []);
    isDown = false;
    await pass(60_000);
    assert.deepEqual(await times(), ["11:00"]);
    await close();
  });
});
