import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aClaim, aTask, completed, end, type StoreEngine, TestStores } from "./test-stores.js";

const aKey = (text: string, fingerprint = "same", scope?: string) => ({ text, fingerprint, scope });

export function testKeys(engine: StoreEngine): void {
  describe("a key of a submit", () => {
    it("finds the first task, whatever id the second would have", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const first = await store.submit(aTask({ key: aKey("order 7") }));
      assert.equal(first.key, "order 7");
      testStores.clock.advance(10);
      for (const size of [10, 100_000]) {
        const again = aTask({ key: aKey("order 7"), input: new Uint8Array(size) });
        assert.deepEqual(await store.submit(again), first);
      }
      assert.equal((await store.claim(aClaim({ limit: 5 }))).length, 1);
      assert.equal((await store.submit(aTask({ key: aKey("order 7") }))).status, "in_progress");
      assert.notEqual((await store.submit(aTask({ key: aKey("order 8") }))).id, first.id);
    });

    it("with another input is refused, by its name, and nothing is kept", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { id } = await store.submit(aTask({ key: aKey("order 7") }));
      for (const size of [10, 100_000]) {
        const other = aTask({ key: aKey("order 7", "other"), input: new Uint8Array(size) });
        await assert.rejects(store.submit(other), {
          id: "task_key_reused",
          httpStatus: 409,
          retryable: false,
          details: { key: "order 7", taskId: id },
        });
      }
      assert.equal((await store.list({ limit: 10 })).length, 1);
    });

    it("belongs to one api of one namespace", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const key = aKey("order 7");
      const places = [{}, { api: "other" }, { service: "Other" }, { namespace: "other" }];
      const ids = await Promise.all(places.map(async (place) => (await store.submit(aTask({ ...place, key }))).id));
      assert.equal(new Set(ids).size, places.length);
    });

    it("belongs to one requester: another one gets a task of its own, whatever its input, and hears of no other", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const scopes = ["ann", "bob", undefined];
      for (const size of [10, 100_000]) {
        const text = `order of ${size} bytes`;
        const submit = (scope: string | undefined, fingerprint: string) =>
          store.submit(aTask({ key: aKey(text, fingerprint, scope), input: new Uint8Array(size) }));
        const records = await Promise.all(scopes.map((scope) => submit(scope, `by ${scope}`)));
        assert.equal(new Set(records.map(({ id }) => id)).size, scopes.length);
        for (const [at, scope] of scopes.entries()) {
          const own = records[at];
          assert.equal(own?.key, text, "the scope is nothing to show");
          assert.equal((await submit(scope, `by ${scope}`)).id, own.id);
          await assert.rejects(submit(scope, "other"), {
            id: "task_key_reused",
            details: { key: text, taskId: own.id },
          });
        }
      }
    });

    it("that comes many times at once, from several stores, makes one task", async () => {
      await using testStores = TestStores.create(engine);
      const stores = await Promise.all(Array.from({ length: 4 }, () => testStores.open()));
      for (const size of [10, 100_000]) {
        const key = aKey(`of ${size} bytes`);
        const submits = Array.from({ length: 40 }, (_, at) =>
          stores[at % stores.length]?.submit(aTask({ key, input: new Uint8Array(size) })),
        );
        const ids = new Set((await Promise.all(submits)).map((record) => record?.id));
        assert.equal(ids.size, 1);
      }
      assert.equal((await stores[0]?.list({ limit: 100 }))?.length, 2);
    });

    it("lasts as long as its task is kept, and no retry of that has it", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const key = aKey("order 7");
      const { id } = await end(store, completed(), { key });
      assert.equal((await store.submit(aTask({ key }))).id, id);
      const retried = await store.retry(id, "f".repeat(32));
      assert.deepEqual([retried?.id, retried?.key], ["f".repeat(32), undefined]);
      testStores.clock.advance(1000);
      assert.equal(await store.purge(1000), 1);
      const next = await store.submit(aTask({ key }));
      assert.notEqual(next.id, id);
      assert.equal(next.status, "pending");
    });
  });
}
