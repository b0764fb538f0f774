import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { OnceRequest } from "../../src/tasks/task-store.js";
import { aPlace, type StoreEngine, TestStores } from "./test-stores.js";

const work = { namespace: "app", name: "migrate-3" };

const aRequest = (fields: Partial<OnceRequest> = {}): OnceRequest => ({
  ...work,
  token: "one",
  holder: "Model#0@here:1/a1",
  leaseMs: 30_000,
  isGone: false,
  ...fields,
});

/** Tests what a store remembers besides tasks: planned times of schedules, and work that runs once. */
export function testMarks(engine: StoreEngine): void {
  describe("the planned time of a schedule", () => {
    const schedule = { ...aPlace, schedule: "every 1h" };

    it("begins with the time at which the schedule was first seen, and moves forward only", async () => {
      await using testStores = TestStores.create(engine);
      const [store, other] = [await testStores.open(), await testStores.open()];
      assert.deepEqual(await store.readPlanned(schedule, 1000), { at: 1000, task: undefined });
      assert.deepEqual(await other.readPlanned(schedule, 2000), { at: 1000, task: undefined });
      await other.notePlanned(aPlace, { at: 2000, task: "a" });
      await store.notePlanned(aPlace, { at: 1500, task: "b" });
      assert.deepEqual(await store.readPlanned(schedule, 2000), { at: 2000, task: "a" });
    });

    it("starts again, without missed times, when the schedule was changed", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      await store.readPlanned(schedule, 1000);
      await store.notePlanned(aPlace, { at: 2000, task: "a" });
      const changed = { ...schedule, schedule: "every 1m" };
      assert.deepEqual(await store.readPlanned(changed, 5000), { at: 5000, task: "a" });
      assert.deepEqual(await store.readPlanned(schedule, 3000), { at: 5000, task: "a" });
    });

    it("belongs to one task of one namespace", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      await store.readPlanned(schedule, 1000);
      for (const other of [{ namespace: "other" }, { service: "Other" }, { api: "other" }]) {
        assert.equal((await store.readPlanned({ ...schedule, ...other }, 7000)).at, 7000);
      }
    });
  });

  describe("work that runs once", () => {
    it("is begun by one of many, and never again once it is done", async () => {
      await using testStores = TestStores.create(engine);
      const stores = await Promise.all(Array.from({ length: 4 }, () => testStores.open()));
      assert.equal(await stores[0]?.readOnce(work), undefined);
      const tokens = Array.from({ length: 20 }, (_, at) => `token ${at}`);
      const begun = await Promise.all(tokens.map((token, at) => stores[at % 4]?.beginOnce(aRequest({ token }))));
      assert.equal(begun.filter((isMine) => isMine).length, 1);
      const token = tokens[begun.indexOf(true)] as string;
      const [store] = stores as [NonNullable<(typeof stores)[0]>];
      const { leaseMs, ...running } = (await store.readOnce(work)) ?? {};
      assert.deepEqual(
        [running, leaseMs],
        [{ token, holder: aRequest().holder, isDone: false, failure: undefined }, 30_000],
      );
      assert.equal(await store.endOnce(work, token, undefined), true);
      assert.equal((await store.readOnce(work))?.isDone, true);
      testStores.clock.advance(100_000);
      for (const isGone of [true, false]) {
        assert.equal(await store.beginOnce(aRequest({ token: "late", after: token, isGone })), false);
      }
      assert.equal(await store.beginOnce(aRequest({ name: "migrate-4" })), true);
      assert.equal(await store.beginOnce(aRequest({ namespace: "other" })), true);
    });

    it("is taken over when its lease has expired or its holder is gone, by one, and its former holder ends nothing", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      await store.beginOnce(aRequest());
      testStores.clock.advance(20_000);
      assert.equal(await store.renewOnce(work, "one", 30_000), true);
      testStores.clock.advance(29_999);
      assert.equal(await store.beginOnce(aRequest({ token: "two", after: "one" })), false);
      testStores.clock.advance(1);
      assert.equal(await store.beginOnce(aRequest({ token: "two", after: "one" })), true);
      assert.equal(await store.beginOnce(aRequest({ token: "three", after: "one", isGone: true })), false);
      assert.equal(await store.renewOnce(work, "one", 30_000), false);
      assert.equal(await store.endOnce(work, "one", undefined), false);
      assert.equal(await store.beginOnce(aRequest({ token: "three", after: "two", isGone: true })), true);
      assert.equal(await store.endOnce(work, "three", undefined), true);
    });

    it("that failed keeps its failure, and may be begun again at once", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      await store.beginOnce(aRequest());
      assert.equal(await store.endOnce(work, "one", "why"), true);
      const failed = await store.readOnce(work);
      assert.deepEqual([failed?.isDone, failed?.failure], [false, "why"]);
      assert.ok((failed?.leaseMs ?? 1) <= 0);
      assert.equal(await store.endOnce(work, "one", undefined), false);
      assert.equal(await store.beginOnce(aRequest({ token: "two", after: "one" })), true);
      assert.equal((await store.readOnce(work))?.failure, undefined);
    });
  });
}
