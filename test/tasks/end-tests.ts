import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  aClaim,
  aPlace,
  begin,
  completed,
  end,
  newId,
  type StoreEngine,
  submitAll,
  TestStores,
} from "./test-stores.js";

export function testEnds(engine: StoreEngine): void {
  describe("finish", () => {
    it("records an output once, for good (PT3)", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      testStores.clock.advance(250);
      assert.equal(await store.finish(lease, completed("first")), true);
      const ended = await store.result(lease.id);
      assert.deepEqual([ended?.record.status, ended?.record.endedAt], ["completed", testStores.clock.now()]);
      assert.equal(Buffer.from(ended?.output ?? []).toString(), "first");
      assert.equal(await store.finish(lease, completed("second")), false);
      assert.equal(await store.finish(lease, { status: "failed", failure: "late" }), false);
      assert.equal(await store.giveBack(lease, 0, undefined), false);
      assert.equal(await store.renew(lease, 1000), "lost");
      await store.cancel(lease.id, "late");
      testStores.clock.advance(10_000_000);
      assert.deepEqual(await store.claim(aClaim()), []);
      assert.deepEqual(await store.result(lease.id), ended);
    });

    it("records one of two outputs that come at once", async () => {
      await using testStores = TestStores.create(engine);
      const [store, other] = [await testStores.open(), await testStores.open()];
      const { lease } = await begin(store);
      const big = new Uint8Array(100_000).fill(7);
      const all = await Promise.all([
        store.finish(lease, { status: "completed", output: big }),
        other.finish(lease, { status: "completed", output: big.slice().fill(8) }),
      ]);
      assert.deepEqual([...all].sort(), [false, true]);
      assert.equal((await store.result(lease.id))?.output?.[99_999], all[0] ? 7 : 8);
    });

    for (const status of ["failed", "canceled"] as const) {
      it(`records that a task has ${status}, and why`, async () => {
        await using testStores = TestStores.create(engine);
        const store = await testStores.open();
        const record = await end(store, { status, failure: "a reason" });
        assert.deepEqual([record.status, record.failure, record.endedAt], [status, "a reason", testStores.clock.now()]);
        assert.deepEqual(await store.result(record.id), { record, output: undefined });
      });
    }
  });

  describe("renew", () => {
    it("writes progress down, and leaves it alone when there is none", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      const seen = async () => {
        const { progress, note } = (await store.get(lease.id)) ?? {};
        return [progress, note];
      };
      assert.equal(await store.renew(lease, 1000, { fraction: 0.25, note: "a quarter" }), "held");
      assert.deepEqual(await seen(), [0.25, "a quarter"]);
      await store.renew(lease, 1000);
      assert.deepEqual(await seen(), [0.25, "a quarter"]);
      await store.renew(lease, 1000, { fraction: 0, note: undefined });
      assert.deepEqual(await seen(), [0, undefined]);
    });

    it("holds for lost what nobody holds", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      assert.equal(await store.renew({ id: lease.id, token: "another" }, 1000), "lost");
      assert.equal(await store.renew({ id: newId(), token: lease.token }, 1000), "lost");
      assert.equal(await store.renew(lease, 1000), "held");
    });
  });

  describe("giveBack", () => {
    it("lets a task run again, now, with the reason why it failed", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      assert.equal(await store.giveBack(lease, 0, "broken"), true);
      const { status, failure, attempt } = (await store.get(lease.id)) ?? {};
      assert.deepEqual([status, failure, attempt], ["pending", "broken", 1]);
      assert.equal(await store.renew(lease, 1000), "lost");
      const [again] = await store.claim(aClaim());
      assert.deepEqual([again?.record.attempt, again?.record.failure], [2, undefined]);
      assert.equal(Buffer.from(again?.input ?? []).toString(), "an input");
    });

    it("does not count an attempt that was given back unfinished", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      await store.giveBack(lease, 0, undefined);
      assert.equal((await store.get(lease.id))?.attempt, 0);
      assert.equal((await store.claim(aClaim({ maxAttempts: 1 })))[0]?.record.attempt, 1);
    });

    it("ends a task that was asked to end", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      await store.cancel(lease.id, "not wanted");
      assert.equal(await store.giveBack(lease, 1000, "broken"), true);
      const { status, failure, endedAt } = (await store.get(lease.id)) ?? {};
      assert.deepEqual([status, failure, endedAt], ["canceled", "not wanted", testStores.clock.now()]);
      testStores.clock.advance(1000);
      assert.deepEqual(await store.claim(aClaim()), []);
    });
  });

  describe("cancel", () => {
    it("ends a pending task at once", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const [id = ""] = await submitAll(store, [{}]);
      const record = await store.cancel(id, "not wanted");
      assert.deepEqual(
        [record?.status, record?.failure, record?.endedAt],
        ["canceled", "not wanted", testStores.clock.now()],
      );
      assert.deepEqual(await store.get(id), record);
      assert.deepEqual(await store.claim(aClaim()), []);
    });

    it("ends a task that waits to be run again", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      await store.giveBack(lease, 500, "broken");
      assert.equal((await store.cancel(lease.id, "not wanted"))?.status, "canceled");
      testStores.clock.advance(500);
      assert.deepEqual(await store.claim(aClaim()), []);
      assert.equal(await store.nextDueMs(aPlace), undefined);
    });

    it("asks a running task to end, and tells whoever renews its lease", async () => {
      await using testStores = TestStores.create(engine);
      const [store, other] = [await testStores.open(), await testStores.open()];
      const { lease } = await begin(store);
      const asked = await other.cancel(lease.id, "not wanted");
      assert.deepEqual([asked?.status, asked?.isCancelAsked, asked?.failure], ["in_progress", true, undefined]);
      assert.equal(await store.renew(lease, 1000), "cancel_asked");
      assert.equal(await store.finish(lease, { status: "canceled", failure: "given up" }), true);
      const { status, failure } = (await other.get(lease.id)) ?? {};
      assert.deepEqual([status, failure], ["canceled", "given up"]);
    });

    it("lets a task that has finished all the same be completed", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      await store.cancel(lease.id, "not wanted");
      assert.equal(await store.finish(lease, completed()), true);
      assert.equal((await store.get(lease.id))?.status, "completed");
    });

    for (const outcome of [
      completed(),
      { status: "failed", failure: "x" },
      { status: "canceled", failure: "x" },
    ] as const) {
      it(`leaves a task as it is that is ${outcome.status}`, async () => {
        await using testStores = TestStores.create(engine);
        const store = await testStores.open();
        const record = await end(store, outcome);
        testStores.clock.advance(10);
        assert.deepEqual(await store.cancel(record.id, "late"), record);
        assert.deepEqual(await store.get(record.id), record);
      });
    }
  });

  describe("retry", () => {
    for (const size of [10, 200_000]) {
      it(`submits an input of ${size} bytes again, under a new id`, async () => {
        await using testStores = TestStores.create(engine);
        const store = await testStores.open();
        const input = new Uint8Array(size).fill(9);
        const record = await end(store, { status: "failed", failure: "x" }, { input, context: "kept", priority: 4 });
        testStores.clock.advance(10);
        const id = newId();
        const again = await store.retry(record.id, id);
        assert.deepEqual([again?.id, again?.status, again?.attempt], [id, "pending", 0]);
        assert.deepEqual([again?.createdAt, again?.failure], [testStores.clock.now(), undefined]);
        assert.deepEqual(await store.get(record.id), record);
        // The first task may be deleted meanwhile.
        await store.purge(5);
        assert.equal(await store.get(record.id), undefined);
        await submitAll(store, [{ priority: 3 }]);
        const [claimed] = await store.claim(aClaim());
        assert.deepEqual([claimed?.record.id, claimed?.context], [id, "kept"]);
        assert.ok(Buffer.from(input).equals(claimed?.input ?? Buffer.alloc(0)));
      });
    }

    it("submits once for one new id", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { id } = await end(store, completed(), { input: new Uint8Array(100_000) });
      const newOne = newId();
      const [first, second] = await Promise.all([store.retry(id, newOne), store.retry(id, newOne)]);
      assert.deepEqual(first, second);
      assert.equal((await store.list({ limit: 10 })).length, 2);
      assert.equal((await store.claim(aClaim({ limit: 10 }))).length, 1);
    });

    it("gives a task that has not ended as it is", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      assert.deepEqual(await store.retry(lease.id, newId()), await store.get(lease.id));
      await store.giveBack(lease, 100, "broken");
      assert.equal((await store.retry(lease.id, newId()))?.id, lease.id);
      assert.equal((await store.list({ limit: 10 })).length, 1);
    });
  });
}
