import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TaskNews, TaskStore } from "../../src/tasks/task-store.js";
import { aClaim, begin, completed, type StoreEngine, submitAll, TestStores } from "./test-stores.js";

/** Records task events. */
class NewsLog {
  readonly news: TaskNews[] = [];
  readonly end: () => void;
  #onNews: (() => void) | undefined;

  constructor(store: TaskStore) {
    this.end = store.watch((one) => {
      this.news.push(one);
      this.#onNews?.();
    });
  }

  /** Waits for an event that may concern this task, and clears the events. */
  async about(id: string): Promise<void> {
    while (!this.news.some((one) => one.id === undefined || one.id === id)) {
      await new Promise<void>((resolve) => {
        this.#onNews = resolve;
      });
    }
    this.news.length = 0;
  }
}

export function testWatch(engine: StoreEngine): void {
  describe("watch", () => {
    it("tells each change of the store's own, once it can be seen", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const seen: (TaskNews & { status: string | undefined })[] = [];
      const reads: Promise<unknown>[] = [];
      store.watch((news) => {
        const { id } = news;
        // All tasks may be reported as changed when the connection that listens is made: at any moment here.
        if (id === undefined) return;
        const read = async () => seen.push({ ...news, status: (await store.get(id))?.status });
        reads.push(read());
      });
      const told = async () => {
        await Promise.all(reads);
        return seen.splice(0);
      };
      const { lease } = await begin(store);
      const place = { id: lease.id, namespace: "app", service: "Model", api: "train" };
      assert.ok(
        (await told()).some((news) => news.id === lease.id && news.service === "Model" && news.api === "train"),
      );
      await store.renew(lease, 1000, { fraction: 0.5, note: undefined });
      assert.deepEqual(await told(), [{ ...place, status: "in_progress" }]);
      await store.renew(lease, 1000);
      assert.deepEqual(await told(), []);
      await store.giveBack(lease, 0, "broken");
      assert.deepEqual(await told(), [{ ...place, status: "pending" }]);
      await store.cancel(lease.id, "not wanted");
      assert.deepEqual(await told(), [{ ...place, status: "canceled" }]);
      await store.cancel(lease.id, "not wanted");
      assert.deepEqual(await told(), []);
    });

    it("tells what other stores changed", async () => {
      await using testStores = TestStores.create(engine);
      const [store, other] = [await testStores.open(), await testStores.open()];
      const log = new NewsLog(other);
      const [id = ""] = await submitAll(store, [{}]);
      await testStores.letNewsCome(log.about(id));
      const [claimed] = await store.claim(aClaim());
      await testStores.letNewsCome(log.about(id));
      await store.finish(claimed?.lease as never, completed());
      await testStores.letNewsCome(log.about(id));
      assert.equal((await other.get(id))?.status, "completed");
    });

    it("tells nothing once it has been ended, and may be ended twice", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      const [first, second] = [new NewsLog(store), new NewsLog(store)];
      first.end();
      first.end();
      const [id = ""] = await submitAll(store, [{}]);
      await second.about(id);
      assert.deepEqual(first.news, []);
      second.end();
      assert.equal(testStores.clock.pendingTimers, 0);
    });

    it("ends with the store", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      store.watch(() => {});
      await store.close();
      assert.equal(testStores.clock.pendingTimers, 0);
    });
  });

  describe("close", () => {
    it("finishes what was begun, and refuses what comes after", async () => {
      await using testStores = TestStores.create(engine);
      const [store, other] = [await testStores.open(), await testStores.open()];
      const submitted = submitAll(store, [{}]);
      await Promise.all([submitted, store.close()]);
      assert.equal((await other.list({ limit: 5 })).length, 1);
      for (const call of [() => submitAll(store, [{}]), () => store.claim(aClaim()), () => store.get("x")]) {
        await assert.rejects(call(), { id: "task_store_unavailable" });
      }
      await store.close();
    });
  });
}
