import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Lease, StoreRun } from "../../src/tasks/task-store.js";
import {
  aClaim,
  aPlace,
  aTask,
  begin,
  completed,
  end,
  type StoreEngine,
  submitAll,
  TestStores,
} from "./test-stores.js";

export function testUpkeep(engine: StoreEngine): void {
  describe("namespaces", () => {
    it("keep tasks of the same service and api apart", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const [mine, theirs] = await submitAll(store, [{}, { namespace: "theirs" }]);
      const claimed = await store.claim(aClaim({ limit: 10 }));
      assert.deepEqual(
        claimed.map(({ record }) => record.id),
        [mine],
      );
      assert.equal(claimed[0]?.record.namespace, "app");
      assert.equal(await store.nextDueMs({ ...aPlace, namespace: "theirs" }), undefined);
      assert.deepEqual(Object.fromEntries(await store.countWaiting({ namespace: "app", service: "Model" })), {});
      const listed = async (namespace: string) => (await store.list({ limit: 10, namespace })).map(({ id }) => id);
      assert.deepEqual([await listed("app"), await listed("theirs")], [[mine], [theirs]]);
      testStores.clock.advance(100_000);
      const other = await store.claim(aClaim({ namespace: "theirs", limit: 10 }));
      assert.deepEqual(
        other.map(({ record }) => record.id),
        [theirs],
      );
      assert.equal((await store.get(mine ?? ""))?.status, "in_progress");
    });

    it("adopt tasks that have none, finished ones too, each once", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const ids = await submitAll(store, [{ namespace: "" }, { namespace: "", api: "other" }, { namespace: "theirs" }]);
      const [done] = await store.claim(aClaim({ namespace: "" }));
      await store.finish(done?.lease as Lease, completed());
      assert.equal(await store.adopt(aPlace), 1);
      assert.equal(await store.adopt({ ...aPlace, namespace: "late" }), 0);
      const spaces = await Promise.all(ids.map(async (id) => (await store.get(id))?.namespace));
      assert.deepEqual(spaces, ["app", "", "theirs"]);
    });
  });

  describe("listOpen", () => {
    it("counts unfinished tasks of every app and api, but for those left out", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      assert.deepEqual(await store.listOpen(() => false), []);
      await submitAll(store, [{}, {}, {}, { api: "gone" }, { service: "Gone" }, { namespace: "theirs" }]);
      const [first, second] = await store.claim(aClaim({ limit: 2 }));
      await store.giveBack(first?.lease as Lease, 500, "broken");
      await store.finish(second?.lease as Lease, completed());
      await store.claim(aClaim({ api: "gone" }));
      await end(store, completed(), { priority: 9 });
      const open = await store.listOpen(() => false);
      const counts = Object.fromEntries(
        open.map(({ namespace, service, api, waiting, running }) => [
          `${namespace}:${service}.${api}`,
          [waiting, running],
        ]),
      );
      assert.deepEqual(counts, {
        "app:Model.train": [2, 0],
        "app:Model.gone": [0, 1],
        "app:Gone.train": [1, 0],
        "theirs:Model.train": [1, 0],
      });
      const left = await store.listOpen(
        ({ namespace, service, api }) => `${namespace}${service}${api}` === "appModeltrain",
      );
      assert.equal(left.length, 3);
    });
  });

  describe("release", () => {
    const request = { ...aPlace, maxAttempts: 3, lostFailure: "lost" };

    it("ends the leases of one life at once, counts their attempts, and touches no other", async () => {
      await using testStores = TestStores.create(engine);
      const [store, other] = [await testStores.open(), await testStores.open()];
      const ids = await submitAll(store, [{}, {}, {}, { api: "other" }]);
      const claimBy = async (life: string, api = "train") =>
        (await store.claim(aClaim({ api, owner: `Model#0@here:1/${life}` })))[0]?.lease as Lease;
      const leases = [
        await claimBy("dead"),
        await claimBy("alive"),
        await claimBy("dead"),
        await claimBy("dead", "other"),
      ];
      assert.equal(await other.release({ ...request, life: "dead" }), 2);
      assert.equal(await other.release({ ...request, life: "dead" }), 0);
      const states = await Promise.all(ids.map(async (id) => (await store.get(id))?.status));
      assert.deepEqual(states, ["pending", "in_progress", "pending", "in_progress"]);
      assert.equal(await store.finish(leases[0] as Lease, completed("late")), false);
      assert.equal(await store.renew(leases[1] as Lease, 1000), "held");
      const again = await store.claim(aClaim({ limit: 5 }));
      assert.deepEqual(
        again.map(({ record }) => [record.id, record.attempt]),
        [
          [ids[0], 2],
          [ids[2], 2],
        ],
      );
    });

    it("ends a task whose attempts are used up, and one that was asked to end", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const [spent, unwanted] = [await begin(store), await begin(store)];
      await store.cancel(unwanted.lease.id, "not wanted");
      assert.equal(await store.release({ ...request, life: "a1", maxAttempts: 1 }), 2);
      const told = async ({ lease }: { lease: Lease }) => {
        const { status, failure } = (await store.get(lease.id)) ?? {};
        return [status, failure];
      };
      assert.deepEqual(await told(spent), ["failed", "lost"]);
      assert.deepEqual(await told(unwanted), ["canceled", "not wanted"]);
    });

    it("without a life ends those that ran out, whoever held them", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      assert.equal((await store.get(lease.id))?.leaseEndsAt, testStores.clock.now() + 30_000);
      testStores.clock.advance(29_999);
      assert.equal(await store.release(request), 0);
      testStores.clock.advance(1);
      assert.equal(await store.release(request), 1);
      const { status, attempt, leaseEndsAt } = (await store.get(lease.id)) ?? {};
      assert.deepEqual([status, attempt, leaseEndsAt], ["pending", 1, undefined]);
    });
  });

  describe("move", () => {
    it("gives all tasks of an api to another one: waiting, running and ended ones", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const done = await end(store, completed("a result"));
      const running = await begin(store);
      const [waiting = "", apart = ""] = await submitAll(store, [{}, { api: "other" }]);
      const to = { namespace: "next", service: "Catalog", api: "reindex" };
      assert.equal(await store.move(aPlace, to), 3);
      assert.equal(await store.move(aPlace, to), 0);
      for (const id of [done.id, running.lease.id, waiting]) {
        const { namespace, service, api } = (await store.get(id)) ?? {};
        assert.deepEqual({ namespace, service, api }, to);
      }
      assert.equal((await store.get(apart))?.api, "other");
      assert.equal(Buffer.from((await store.result(done.id))?.output ?? []).toString(), "a result");
      assert.equal(await store.finish(running.lease, completed()), true);
      const [claimed] = await store.claim(aClaim({ ...to, limit: 5 }));
      assert.deepEqual([claimed?.record.id, Buffer.from(claimed?.input ?? []).toString()], [waiting, "an input"]);
    });

    it("leaves a key to the task that has it there already, and the work of that key to it", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const key = { text: "order 7", fingerprint: "same" };
      const ended = { text: "order 6", fingerprint: "same" };
      const done = await end(store, completed(), { key: ended });
      await submitAll(store, [{ key: ended, api: "next" }]);
      const [old, taken] = [await store.submit(aTask({ key })), await store.submit(aTask({ key, api: "next" }))];
      const [free] = await submitAll(store, [{ key: { text: "order 8", fingerprint: "same" } }]);
      const to = { ...aPlace, api: "next" };
      for (const moved of [2, 0]) assert.equal(await store.move(aPlace, to), moved);
      const told = async (id = "") => {
        const { api, key: text } = (await store.get(id)) ?? {};
        return [api, text];
      };
      assert.deepEqual(await told(done.id), ["next", undefined]);
      assert.deepEqual(await told(old.id), ["train", "order 7"]);
      assert.deepEqual(await told(taken.id), ["next", "order 7"]);
      assert.deepEqual(await told(free), ["next", "order 8"]);
      const [left] = await store.listOpen(({ api }) => api !== "train");
      assert.deepEqual(left, { ...aPlace, waiting: 1, running: 0, held: 0 });
    });

    it("takes the planned time of a schedule along, unless the other api has one", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const plan = { ...aPlace, schedule: "every 1h" };
      const to = { ...aPlace, api: "next" };
      await store.readPlanned(plan, 1000);
      await store.notePlanned(aPlace, { at: 2000, task: "a task" });
      await store.move(aPlace, to);
      assert.deepEqual(await store.readPlanned({ ...plan, ...to }, 9000), { at: 2000, task: "a task" });
      // The old name is new again: no time counts as missed.
      assert.deepEqual(await store.readPlanned(plan, 5000), { at: 5000, task: undefined });
      await store.move(aPlace, to);
      assert.deepEqual(await store.readPlanned({ ...plan, ...to }, 9000), { at: 2000, task: "a task" });
    });
  });

  describe("enroll", () => {
    const aRun = (id: string, namespace = "app"): StoreRun => ({ id, namespace, host: "here", pid: 1, session: id });

    it("tells who else has said of late that it runs", async () => {
      await using testStores = TestStores.create(engine);
      const [store, other] = [await testStores.open(), await testStores.open()];
      assert.deepEqual(await store.enroll(aRun("one")), []);
      assert.deepEqual(await other.enroll(aRun("two")), [aRun("one")]);
      assert.deepEqual(await other.enroll(aRun("three", "theirs")), [aRun("one"), aRun("two")]);
      testStores.clock.advance(100_000);
      assert.deepEqual(await store.enroll(aRun("one")), [aRun("two"), aRun("three", "theirs")]);
      testStores.clock.advance(100_000);
      assert.deepEqual(await other.enroll(aRun("four")), [aRun("one")]);
      await store.leave("one");
      assert.deepEqual(await other.enroll(aRun("five")), [aRun("four")]);
    });
  });
}
