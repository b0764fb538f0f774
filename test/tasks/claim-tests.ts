import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Lease } from "../../src/tasks/task-store.js";
import { aClaim, aPlace, begin, completed, type StoreEngine, submitAll, TestStores } from "./test-stores.js";

export function testClaim(engine: StoreEngine): void {
  describe("claim", () => {
    it("takes higher priorities first, then older tasks, at most the limit", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const [a, b, c, d, e] = await submitAll(
        store,
        [0, 5, 0, -3, 5].map((priority) => ({ priority })),
      );
      const taken = async (limit: number) => (await store.claim(aClaim({ limit }))).map(({ record }) => record.id);
      assert.deepEqual(await taken(3), [b, e, a]);
      assert.deepEqual(await taken(1), [c]);
      assert.deepEqual(await taken(5), [d]);
      assert.deepEqual(await taken(5), []);
    });

    it("takes nothing of another api or service", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      await submitAll(store, [{ api: "other" }, { service: "Other" }]);
      assert.deepEqual(await store.claim(aClaim({ limit: 10 })), []);
    });

    it("counts an attempt, and says when it began (PT4)", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const created = testStores.clock.now();
      const [id = ""] = await submitAll(store, [{}]);
      testStores.clock.advance(500);
      const [claimed] = await store.claim(aClaim());
      const { status, attempt, createdAt, startedAt } = claimed?.record ?? {};
      assert.deepEqual([status, attempt, createdAt, startedAt], ["in_progress", 1, created, created + 500]);
      assert.deepEqual(await store.get(id), claimed?.record);
    });

    it("gives every attempt a lease of its own", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      await submitAll(store, [{}, {}, {}]);
      const tokens = (await store.claim(aClaim({ limit: 3, leaseMs: 100 }))).map(({ lease }) => lease.token);
      testStores.clock.advance(100);
      tokens.push(...(await store.claim(aClaim({ limit: 3 }))).map(({ lease }) => lease.token));
      assert.equal(new Set(tokens).size, 6);
    });

    it("leaves alone a task whose lease is renewed", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      await submitAll(store, [{}]);
      const [claimed] = await store.claim(aClaim({ leaseMs: 1000 }));
      for (let times = 0; times < 5; times++) {
        testStores.clock.advance(999);
        assert.equal(await store.renew(claimed?.lease as Lease, 1000), "held");
        assert.deepEqual(await store.claim(aClaim()), []);
      }
    });

    it("takes over a lease that ran out, counts that attempt, and holds the old one for lost (PT2)", async () => {
      await using testStores = TestStores.create(engine);
      const [store, other] = [await testStores.open(), await testStores.open()];
      const { lease } = await begin(store);
      await store.renew(lease, 30_000, { fraction: 0.7, note: "nearly" });
      testStores.clock.advance(29_999);
      assert.deepEqual(await other.claim(aClaim()), []);
      testStores.clock.advance(1);
      const [second] = await other.claim(aClaim());
      assert.equal(second?.record.attempt, 2);
      assert.deepEqual([second?.record.progress, second?.record.note], [undefined, undefined]);
      assert.equal(await store.renew(lease, 30_000, { fraction: 1, note: "late" }), "lost");
      assert.equal(await store.finish(lease, completed("late")), false);
      assert.equal(await store.giveBack(lease, 0, "late"), false);
      assert.deepEqual(await store.get(lease.id), second?.record);
      assert.equal(await other.finish(second?.lease as Lease, completed("right")), true);
      assert.equal(Buffer.from((await store.result(lease.id))?.output ?? []).toString(), "right");
    });

    it("ends a task whose last lease ran out, and says why", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const [id = ""] = await submitAll(store, [{}]);
      const claim = aClaim({ maxAttempts: 2, leaseMs: 10, lostFailure: "gone" });
      assert.equal((await store.claim(claim)).length, 1);
      testStores.clock.advance(10);
      assert.equal((await store.claim(claim)).length, 1);
      testStores.clock.advance(10);
      assert.deepEqual(await store.claim(claim), []);
      const { status, failure, attempt, endedAt } = (await store.get(id)) ?? {};
      assert.deepEqual([status, failure, attempt, endedAt], ["failed", "gone", 2, testStores.clock.now()]);
    });

    it("ends a task that was asked to end when its lease ran out, and does not run it again", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      await store.cancel(lease.id, "not wanted");
      testStores.clock.advance(30_000);
      assert.deepEqual(await store.claim(aClaim()), []);
      const { status, failure } = (await store.get(lease.id)) ?? {};
      assert.deepEqual([status, failure], ["canceled", "not wanted"]);
    });

    it("takes a task that waits for its time no sooner, and says when that is", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      assert.equal(await store.nextDueMs(aPlace), undefined);
      const { lease } = await begin(store);
      assert.equal(await store.nextDueMs(aPlace), 30_000);
      await store.giveBack(lease, 700, "broken");
      assert.equal(await store.nextDueMs(aPlace), 700);
      assert.equal(await store.nextDueMs({ ...aPlace, api: "other" }), undefined);
      testStores.clock.advance(699);
      assert.deepEqual(await store.claim(aClaim()), []);
      assert.equal(await store.nextDueMs(aPlace), 1);
      testStores.clock.advance(5);
      assert.equal(await store.nextDueMs(aPlace), 0);
      assert.equal((await store.claim(aClaim({ leaseMs: 10 })))[0]?.record.attempt, 2);
      assert.equal(await store.nextDueMs(aPlace), 10);
    });

    it("prefers by priority and age also among tasks that were given back or lost", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const [a, b, c] = await submitAll(store, [{ priority: 1 }, { priority: 2 }, { priority: 1 }]);
      const [first, second] = await store.claim(aClaim({ limit: 2, leaseMs: 100 }));
      assert.deepEqual([first?.record.id, second?.record.id], [b, a]);
      await store.giveBack(first?.lease as Lease, 50, "broken");
      testStores.clock.advance(100);
      const order = (await store.claim(aClaim({ limit: 3 }))).map(({ record }) => record.id);
      assert.deepEqual(order, [b, a, c]);
    });

    it("never gives one task to two, also when several stores claim at once", async () => {
      await using testStores = TestStores.create(engine);
      const stores = await Promise.all(Array.from({ length: 4 }, () => testStores.open()));
      const ids = await submitAll(stores[0] as never, Array(60).fill({}));
      const taken = await Promise.all(
        stores.map(async (store) => {
          const own: string[] = [];
          for (;;) {
            const claimed = await store.claim(aClaim({ limit: 3 }));
            if (claimed.length === 0) return own;
            own.push(...claimed.map(({ record }) => record.id));
          }
        }),
      );
      assert.deepEqual(taken.flat().sort(), [...ids].sort());
    });
  });
}
