import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TaskFilter } from "../../src/tasks/task-store.js";
import { aClaim, begin, completed, end, newId, type StoreEngine, submitAll, TestStores } from "./test-stores.js";

export function testLists(engine: StoreEngine): void {
  describe("list", () => {
    it("gives the newest first, page by page, also of one instant", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const ids = await submitAll(store, Array(7).fill({}));
      const pages: string[][] = [];
      for (let before: string | undefined; ; before = pages.at(-1)?.at(-1)) {
        const page = await store.list({ limit: 3, ...(before !== undefined && { before }) });
        if (page.length === 0) break;
        pages.push(page.map(({ id }) => id));
      }
      assert.deepEqual(
        pages.map(({ length }) => length),
        [3, 3, 1],
      );
      assert.deepEqual(pages.flat(), [...ids].reverse());
    });

    it("gives what fits all of the filter", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const [a, b, c, d] = await submitAll(store, [{}, { api: "other" }, { service: "Other" }, {}]);
      await store.claim(aClaim());
      const listed = async (filter: Omit<TaskFilter, "limit">) =>
        (await store.list({ limit: 10, ...filter })).map(({ id }) => id);
      assert.deepEqual(await listed({}), [d, c, b, a]);
      assert.deepEqual(await listed({ service: "Model" }), [d, b, a]);
      assert.deepEqual(await listed({ api: "train" }), [d, c, a]);
      assert.deepEqual(await listed({ service: "Model", api: "train", status: "pending" }), [d]);
      assert.deepEqual(await listed({ status: "in_progress" }), [a]);
      assert.deepEqual(await listed({ status: "completed" }), []);
      assert.deepEqual(await listed({ service: "Model", before: d as string }), [b, a]);
      assert.deepEqual(await listed({ before: newId() }), []);
    });
  });

  describe("countWaiting", () => {
    it("counts by api what could run now, and nothing else", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const counted = async () => Object.fromEntries(await store.countWaiting({ namespace: "app", service: "Model" }));
      assert.deepEqual(await counted(), {});
      await submitAll(store, [{}, {}, {}, { api: "other" }, { service: "Other" }]);
      assert.deepEqual(await counted(), { train: 3, other: 1 });
      const [first, second] = await store.claim(aClaim({ limit: 2, leaseMs: 1000 }));
      assert.deepEqual(await counted(), { train: 1, other: 1 });
      await store.giveBack((first as never as { lease: never }).lease, 500, "broken");
      await store.finish((second as never as { lease: never }).lease, completed());
      assert.deepEqual(await counted(), { train: 1, other: 1 });
      testStores.clock.advance(500);
      assert.deepEqual(await counted(), { train: 2, other: 1 });
      await store.claim(aClaim({ limit: 2, leaseMs: 1000 }));
      assert.deepEqual(await counted(), { other: 1 });
      testStores.clock.advance(1000);
      assert.deepEqual(await counted(), { train: 2, other: 1 });
    });
  });

  describe("purge", () => {
    it("forgets what ended long ago, and only that", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const large = new Uint8Array(100_000);
      const old = [
        await end(store, { status: "completed", output: large }, { input: large }),
        await end(store, { status: "failed", failure: "x" }),
        await end(store, { status: "canceled", failure: "x" }),
      ];
      const { lease } = await begin(store, { input: large });
      const [pending = ""] = await submitAll(store, [{}]);
      testStores.clock.advance(1000);
      const young = await end(store, { status: "completed", output: large }, { input: large, priority: 1 });
      assert.equal(await store.purge(1001), 0);
      assert.equal(await store.purge(1000), 3);
      assert.equal(await store.purge(1000), 0);
      for (const { id } of old) {
        assert.equal(await store.get(id), undefined);
        assert.equal(await store.result(id), undefined);
      }
      assert.deepEqual(
        (await store.list({ limit: 10 })).map(({ id }) => id),
        [young.id, pending, lease.id],
      );
      assert.deepEqual(Buffer.from((await store.result(young.id))?.output ?? []), Buffer.from(large));
    });

    it("forgets many, also when two stores do it at once", async () => {
      await using testStores = TestStores.create(engine);
      const [store, other] = [await testStores.open(), await testStores.open()];
      await Promise.all((await submitAll(store, Array(450).fill({}))).map((id) => store.cancel(id, "x")));
      const purged = await Promise.all([store.purge(0), other.purge(0)]);
      assert.equal(purged[0] + purged[1], 450);
      assert.deepEqual(await store.list({ limit: 1 }), []);
    });
  });
}
