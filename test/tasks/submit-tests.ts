import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  aClaim,
  aPlace,
  aTask,
  begin,
  completed,
  newId,
  type StoreEngine,
  submitAll,
  TestStores,
} from "./test-stores.js";

/** Sizes: 1 byte, the largest that fits in a row, one more, and some megabytes with all byte values. */
const sizes = [0, 1, 64 * 1024, 64 * 1024 + 1, 5_000_000];
const bytesOf = (size: number) => Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 8)) & 0xff);
const oddText = "日本語 🍱 ' \" \\ $1 :id -- ;\n\t";

export function testSubmit(engine: StoreEngine): void {
  describe("submit", () => {
    it("answers with a pending task that nobody has claimed", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const task = aTask();
      const record = await store.submit(task);
      assert.deepEqual(record, {
        id: task.id,
        namespace: "app",
        service: "Model",
        api: "train",
        status: "pending",
        attempt: 0,
        createdAt: testStores.clock.now(),
        startedAt: undefined,
        endedAt: undefined,
        notBefore: testStores.clock.now(),
        waitsUntil: undefined,
        progress: undefined,
        note: undefined,
        failure: undefined,
        isCancelAsked: false,
        isHeld: false,
        heldFor: undefined,
        leaseEndsAt: undefined,
        key: undefined,
      });
      assert.deepEqual(await store.get(task.id), record);
      assert.deepEqual(await store.result(task.id), { record, output: undefined });
    });

    it("of the same id, at once from several, keeps one and gives it to all", async () => {
      await using testStores = TestStores.create(engine);
      const stores = [await testStores.open(), await testStores.open()];
      for (const size of [10, 100_000]) {
        const task = aTask({ input: bytesOf(size) });
        const records = await Promise.all([...stores, ...stores].map((store) => store.submit(task)));
        for (const record of records) assert.deepEqual(record, records[0]);
      }
      assert.equal((await stores[0]?.list({ limit: 10 }))?.length, 2);
    });

    it("of the same id changes nothing and gives the first, also after its end", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const task = aTask();
      const first = await store.submit(task);
      const others = [aTask({ id: task.id, api: "other" }), aTask({ id: task.id, input: bytesOf(100_000) })];
      for (const other of others) assert.deepEqual(await store.submit(other), first);
      const [claimed] = await store.claim(aClaim({ limit: 5 }));
      assert.deepEqual(Buffer.from(claimed?.input ?? []), task.input);
      await store.finish((claimed as NonNullable<typeof claimed>).lease, completed());
      assert.equal((await store.submit(others[1] as never)).status, "completed");
      assert.equal((await store.list({ limit: 10 })).length, 1);
    });

    for (const size of sizes) {
      it(`keeps an input and an output of ${size} bytes as they are`, async () => {
        await using testStores = TestStores.create(engine);
        const store = await testStores.open();
        const bytes = bytesOf(size);
        // Part of a larger buffer, as it comes from a socket.
        const framed = Buffer.concat([Buffer.from("before"), bytes, Buffer.from("after")]);
        const { lease, input } = await begin(store, { input: framed.subarray(6, 6 + size) });
        assert.ok(Buffer.from(bytes).equals(input));
        assert.equal(await store.finish(lease, { status: "completed", output: framed.subarray(6, 6 + size) }), true);
        // As a process of another machine would: on PostgreSQL the two stores share no folder (PG4).
        const other = await testStores.open();
        const { output } = (await other.result(lease.id)) ?? {};
        assert.ok(output !== undefined && Buffer.from(bytes).equals(output));
      });
    }

    it("keeps texts as they are", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease, context } = await begin(store, { context: oddText });
      assert.equal(context, oddText);
      await store.renew(lease, 1000, { fraction: 0.5, note: oddText });
      assert.equal((await store.get(lease.id))?.note, oddText);
      await store.finish(lease, { status: "failed", failure: oddText });
      assert.equal((await store.get(lease.id))?.failure, oddText);
    });

    it("replaces in a note what no engine can keep", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { lease } = await begin(store);
      await store.renew(lease, 1000, { fraction: 1, note: "a\0b\ud800c" });
      assert.equal((await store.get(lease.id))?.note, "a\ufffdb\ufffdc");
    });

    it("keeps odd names apart", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const names = { service: "Mödel' OR 1=1 --", api: "$train:x" };
      await store.submit(aTask(names));
      assert.deepEqual(await store.claim(aClaim()), []);
      assert.equal((await store.claim(aClaim(names))).length, 1);
    });

    it("with a delay can't be claimed before its time, and counts as due then", async () => {
      await using testStores = TestStores.create(engine);
      const { clock } = testStores;
      const store = await testStores.open();
      const later = clock.now() + 5000;
      const record = await store.submit(aTask({ delayMs: 5000, priority: 1 }));
      assert.deepEqual(
        [record.status, record.createdAt, record.notBefore, record.waitsUntil],
        ["pending", clock.now(), later, later],
      );
      const [now = ""] = await submitAll(store, [{ delayMs: 0 }]);
      assert.deepEqual(
        (await store.claim(aClaim({ limit: 5 }))).map(({ lease }) => lease.id),
        [now],
      );
      assert.equal(await store.nextDueMs(aPlace), 5000);
      assert.equal((await store.countWaiting(aPlace)).get("train"), undefined);
      assert.deepEqual(await store.listOpen(() => false), [{ ...aPlace, waiting: 1, running: 1, held: 0 }]);
      clock.advance(4999);
      assert.deepEqual(await store.claim(aClaim({ limit: 5 })), []);
      clock.advance(1);
      assert.equal((await store.countWaiting(aPlace)).get("train"), 1);
      const [claimed] = await store.claim(aClaim({ limit: 5 }));
      assert.deepEqual([claimed?.lease.id, claimed?.record.waitsUntil], [record.id, undefined]);
    });

    it("with a delay can be canceled while it waits", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const { id } = await store.submit(aTask({ delayMs: 5000 }));
      assert.equal((await store.cancel(id, "no"))?.status, "canceled");
      testStores.clock.advance(5000);
      assert.deepEqual(await store.claim(aClaim()), []);
    });

    it("knows nothing of an id that was never submitted", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const id = newId();
      assert.equal(await store.get(id), undefined);
      assert.equal(await store.result(id), undefined);
      assert.equal(await store.cancel(id, "no"), undefined);
      assert.equal(await store.retry(id, newId()), undefined);
    });
  });
}
