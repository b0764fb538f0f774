import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClaimedTask, TaskNews, TaskStore } from "../../src/tasks/task-store.js";
import { aClaim, aPlace, aTask, begin, type StoreEngine, submitAll, TestStores } from "./test-stores.js";

const newVersion = "contract 2";
const oldVersion = "contract 1";

/** Claims by a replica of one version. */
const claimBy = (store: TaskStore, contract: string) => store.claim(aClaim({ contract, limit: 10 }));

const idsOf = (claimed: readonly ClaimedTask[]): string[] => claimed.map(({ record }) => record.id);

/** Task of the old version that the new one holds. */
async function hold(store: TaskStore, fields: Parameters<typeof aTask>[0] = {}): Promise<string> {
  const { lease } = await begin(store, { contract: oldVersion, ...fields });
  assert.equal(await store.hold(lease, "refused", newVersion), true);
  return lease.id;
}

export function testHolds(engine: StoreEngine): void {
  describe("a held task", () => {
    it("is pending, with its reason, and its attempt does not count", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const id = await hold(store);
      const { status, isHeld, heldFor, failure, attempt, endedAt, leaseEndsAt } = (await store.get(id)) ?? {};
      assert.deepEqual([status, isHeld, heldFor, failure], ["pending", true, oldVersion, "refused"]);
      assert.deepEqual([attempt, endedAt, leaseEndsAt], [0, undefined, undefined]);
    });

    it("is claimed by no replica of the version that holds it, nor of a third, however long it waits (PT7)", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const id = await hold(store);
      testStores.clock.advance(365 * 24 * 3_600_000);
      for (const version of [newVersion, "contract 3"]) assert.deepEqual(await claimBy(store, version), []);
      assert.deepEqual(await store.claim(aClaim()), []);
      assert.equal(await store.nextDueMs(aPlace), undefined);
      assert.equal((await store.countWaiting({ namespace: "app", service: "Model" })).get("train"), undefined);
      assert.equal(await store.purge(0), 0);
      assert.equal((await store.get(id))?.isHeld, true);
    });

    it("is claimed at once by a replica of the version it was submitted to, in its order, and once only (PT7)", async () => {
      await using testStores = TestStores.create(engine);
      const [store, other] = [await testStores.open(), await testStores.open()];
      const first = await hold(store);
      const second = await hold(store, { priority: 5 });
      const [later = ""] = await submitAll(store, [{ contract: newVersion }]);
      const claimed = await claimBy(other, oldVersion);
      assert.deepEqual(idsOf(claimed), [second, first, later]);
      assert.deepEqual(
        claimed.map(({ record }) => [record.attempt, record.isHeld, record.failure]),
        Array(3).fill([1, false, undefined]),
      );
      for (const { lease } of claimed) assert.equal(await other.hold(lease, "refused too", oldVersion), true);
      // What both have refused waits for somebody to act; the third was submitted to the new version.
      assert.deepEqual(await claimBy(store, oldVersion), []);
      assert.deepEqual(idsOf(await claimBy(store, newVersion)), [later]);
      assert.equal((await store.get(first))?.heldFor, undefined);
    });

    it("that was submitted before tasks named their contract waits to be resumed", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const id = await hold(store, { contract: undefined });
      assert.equal((await store.get(id))?.heldFor, undefined);
      assert.deepEqual([...(await claimBy(store, oldVersion)), ...(await claimBy(store, newVersion))], []);
    });

    it("runs again when it is resumed, under its own id and with its input and key, alone or with all of its api", async () => {
      await using testStores = TestStores.create(engine);
      const [store, other] = [await testStores.open(), await testStores.open()];
      const key = { text: "order 7", fingerprint: "same" };
      const ids = [await hold(store, { key }), await hold(store), await hold(store)];
      const elsewhere = await submitAll(store, [{ api: "other" }]);
      const [claimed] = await store.claim(aClaim({ api: "other" }));
      assert.ok(claimed !== undefined);
      await store.hold(claimed.lease, "refused", newVersion);
      assert.deepEqual(await store.listHeld(), [
        { ...aPlace, api: "other", count: 1 },
        { ...aPlace, count: 3 },
      ]);
      const told = new Promise<TaskNews>((resolve) =>
        store.watch((news) => {
          if (news.id === ids[0]) resolve(news);
        }),
      );
      assert.equal(await store.resume({ id: ids[0] as string }), 1);
      assert.deepEqual(await told, { id: ids[0], ...aPlace });
      const { isHeld, failure, attempt } = (await store.get(ids[0] as string)) ?? {};
      assert.deepEqual([isHeld, failure, attempt], [false, undefined, 0]);
      assert.equal((await other.submit(aTask({ key }))).id, ids[0]);
      const [again] = await claimBy(other, newVersion);
      assert.deepEqual([again?.record.id, Buffer.from(again?.input ?? []).toString()], [ids[0], "an input"]);
      assert.equal(await store.resume(aPlace), 2);
      for (const which of [aPlace, { id: ids[0] as string }, { id: "0".repeat(32) }])
        assert.equal(await store.resume(which), 0);
      assert.equal((await claimBy(other, newVersion)).length, 2);
      assert.equal((await store.get(elsewhere[0] ?? ""))?.isHeld, true);
    });

    it("is canceled at once, ends with the reason of a cancel that came before, and is kept by nobody else's lease", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const id = await hold(store);
      const { status, isHeld, failure } = (await store.cancel(id, "not wanted")) ?? {};
      assert.deepEqual([status, isHeld, failure], ["canceled", false, "not wanted"]);
      assert.equal(await store.resume({ id }), 0);
      const { lease } = await begin(store);
      await store.cancel(lease.id, "not wanted");
      assert.equal(await store.hold(lease, "refused", newVersion), true);
      assert.equal((await store.get(lease.id))?.status, "canceled");
      assert.equal(await store.hold(lease, "refused", newVersion), false);
    });

    it("is no ended task to retry, is listed by its own status, and counts as open", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const id = await hold(store);
      await submitAll(store, [{}]);
      assert.equal((await store.retry(id, "1".repeat(32)))?.id, id);
      const listed = async (status: "held" | "pending") =>
        (await store.list({ limit: 10, status })).map((record) => record.id);
      assert.deepEqual(await listed("held"), [id]);
      assert.equal((await listed("pending")).includes(id), false);
      assert.deepEqual(await store.listOpen(() => false), [{ ...aPlace, waiting: 1, running: 0, held: 1 }]);
    });

    it("waits to run where it is moved to", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const id = await hold(store);
      const to = { ...aPlace, service: "Catalog" };
      assert.equal(await store.move(aPlace, to), 1);
      const { isHeld, failure } = (await store.get(id)) ?? {};
      assert.deepEqual([isHeld, failure], [false, undefined]);
      assert.deepEqual(idsOf(await store.claim(aClaim({ ...to, contract: newVersion }))), [id]);
    });
  });
}
