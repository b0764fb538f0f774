import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { createDeferred } from "../base/clock.js";
import { silentLogger } from "../base/logger.js";
import { EndedLives } from "../tasks/lease-grace.js";
import { openSqliteStore } from "../tasks/sqlite/open-sqlite.js";
import { OnceRuns, readPidSpace } from "./once-runs.js";

const root = mkdtempSync(join(tmpdir(), "ekiben-once-"));
after(() => rmSync(root, { recursive: true, force: true }));
const leaseMs = 30_000;
let places = 0;
/** Absent on platforms without Linux's `/proc`. */
const pidSpace = readPidSpace();

/** Replicas that start on one store. */
async function createStage() {
  const clock = new FakeClock(1_700_000_000_000);
  const store = await openSqliteStore(join(root, String(++places)), { log: silentLogger, clock });
  const endedLives = new EndedLives();
  const controller = new AbortController();
  let alive = true;
  const start = (life: string): OnceRuns =>
    new OnceRuns({
      ...{ id: "Model#0", namespace: "app", life, leaseMs, openStore: async () => store, endedLives, clock },
      ...{ isAlive: () => alive, log: silentLogger, signal: controller.signal },
    });
  /** Lets time pass until the work has settled. */
  const settle = async <T>(work: Promise<T>): Promise<T> => {
    let isOver = false;
    const over = work.then(
      () => (isOver = true),
      () => (isOver = true),
    );
    while (!isOver) {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await over;
    return work;
  };
  /** Resolves when somebody waits for its next look. */
  const waiting = async (): Promise<void> => {
    const before = clock.pendingTimers;
    while (clock.pendingTimers === before) await new Promise((resolve) => setImmediate(resolve));
  };
  const killProcess = () => {
    alive = false;
  };
  return { clock, store, endedLives, start, settle, waiting, killProcess, abort: () => controller.abort() };
}

describe("work that runs once for an app", () => {
  it("runs in one of the replicas that start at once; the others wait until it is done (RO1, RO2)", async () => {
    const { store, start, settle } = await createStage();
    const ran: string[] = [];
    const gate = createDeferred<void>();
    const done: string[] = [];
    const all = ["a", "b", "c"].map(async (life) => {
      const ranHere = await start(life).run("migrate", async () => {
        ran.push(life);
        await gate.promise;
      });
      done.push(life);
      return ranHere;
    });
    while (ran.length === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(done, []);
    gate.resolve();
    const answers = await settle(Promise.all(all));
    assert.deepEqual([ran.length, answers.filter((ranHere) => ranHere).length], [1, 1]);
    assert.equal(await start("later").run("migrate", () => ran.push("later")), false);
    assert.equal(ran.length, 1);
    await store.close();
  });

  it("keeps its lease however long it lasts (RO1)", async () => {
    const { store, clock, start, settle } = await createStage();
    const gate = createDeferred<void>();
    const begun = createDeferred<void>();
    const first = start("a").run("migrate", () => {
      begun.resolve();
      return gate.promise;
    });
    await begun.promise;
    let ranTwice = false;
    const second = start("b").run("migrate", () => (ranTwice = true));
    for (let i = 0; i < 50; i++) {
      clock.advance(leaseMs / 10);
      // The next renewal of one, and the next look of the other.
      while (clock.pendingTimers < 2) await new Promise((resolve) => setImmediate(resolve));
    }
    gate.resolve();
    assert.deepEqual(await settle(Promise.all([first, second])), [true, false]);
    assert.equal(ranTwice, false);
    await store.close();
  });

  it("fails for whoever waits, with its own error where it ran, and runs again at the next start (RO3)", async () => {
    const { store, start, settle, waiting } = await createStage();
    const gate = createDeferred<void>();
    const begun = createDeferred<void>();
    const first = start("a").run("migrate", async () => {
      begun.resolve();
      await gate.promise;
      throw new Error("no such column");
    });
    await begun.promise;
    const second = start("b").run("migrate", () => assert.fail("it ran twice"));
    await waiting();
    gate.resolve();
    const [own, other] = (await settle(Promise.allSettled([first, second]))) as PromiseRejectedResult[];
    assert.equal(own?.reason.message, "no such column");
    assert.deepEqual(
      [other?.reason.id, other?.reason.message],
      ["once_failed", 'once("migrate") failed: no such column'],
    );
    assert.equal(await start("c").run("migrate", () => {}), true);
    await store.close();
  });

  for (const [how, kill, skip = false] of [
    ["its thread is known to have ended", ({ endedLives }) => endedLives.note("a")],
    ["its process is gone from this machine", ({ killProcess }) => killProcess(), pidSpace === undefined],
    ["its lease has expired", ({ clock }) => clock.advance(leaseMs)],
  ] as readonly [string, (stage: Awaited<ReturnType<typeof createStage>>) => void, boolean?][]) {
    it(`is taken over when ${how} (RO4)`, { skip }, async () => {
      const stage = await createStage();
      const { store, start, settle, waiting } = stage;
      // A run whose process ended in the middle: nobody renews its lease.
      const holder = `Model#0@${hostname()}:4000000/a/${pidSpace}`;
      const request = { namespace: "app", name: "migrate", token: "gone", holder, leaseMs, isGone: false };
      assert.equal(await store.beginOnce(request), true);
      let ran = 0;
      const next = start("b").run("migrate", () => ran++);
      await waiting();
      assert.equal(ran, 0);
      kill(stage);
      assert.equal(await settle(next), true);
      assert.equal(ran, 1);
      await store.close();
    });
  }

  for (const [where, place] of [
    ["another container with the same host name", "/8f2c0b1e-0000-4000-8000-000000000000.4026531836"],
    ["a process that does not say where its pid counts", ""],
  ] as const) {
    it(`is left to its lease in ${where}, whatever processes are alive here (RO4)`, async () => {
      const { store, clock, start, settle, waiting, killProcess } = await createStage();
      const holder = `Model#0@${hostname()}:4000000/a${place}`;
      const request = { namespace: "app", name: "migrate", token: "other", holder, leaseMs, isGone: false };
      assert.equal(await store.beginOnce(request), true);
      const begun = clock.now();
      killProcess();
      let ranAt = 0;
      const next = start("b").run("migrate", () => (ranAt = clock.now()));
      await waiting();
      assert.equal(await settle(next), true);
      assert.ok(ranAt >= begun + leaseMs, `after ${ranAt - begun} ms`);
      await store.close();
    });
  }

  it("loses its lease when it hangs after its start has failed, and another start runs it (RO6)", async () => {
    const { store, clock, start, settle } = await createStage();
    const begun = createDeferred<void>();
    const runs = start("a");
    void runs.run("migrate", () => {
      begun.resolve();
      return new Promise(() => {});
    });
    await begun.promise;
    runs.end(leaseMs);
    for (const timers of [1, 1, 0]) {
      clock.advance(leaseMs / 3);
      while (clock.pendingTimers !== timers) await new Promise((resolve) => setImmediate(resolve));
    }
    const { leaseMs: left = 0 } = (await store.readOnce({ namespace: "app", name: "migrate" })) ?? {};
    assert.ok(left > 0, "it was renewed until then");
    assert.equal(await settle(start("b").run("migrate", () => {})), true);
    await store.close();
  });

  it("is no longer waited for when the start has ended, or the app stops (RO5)", async () => {
    for (const end of ["end", "abort"] as const) {
      const { store, start, waiting, abort } = await createStage();
      const request = { namespace: "app", name: "migrate", token: "other", holder: "x", leaseMs, isGone: false };
      await store.beginOnce(request);
      const runs = start("b");
      const wait = runs.run("migrate", () => {});
      await waiting();
      if (end === "end") runs.end();
      else abort();
      await assert.rejects(wait, { name: "AbortError" });
      await store.close();
    }
  });

  it("needs a name", async () => {
    const { store, start } = await createStage();
    for (const name of ["", "x".repeat(256), 5 as never]) {
      await assert.rejects(
        start("a").run(name, () => {}),
        { id: "invalid_once_name" },
      );
    }
    await store.close();
  });
});
