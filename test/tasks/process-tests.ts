import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Lease } from "../../src/tasks/task-store.js";
import { FakeClock } from "../fake-clock.js";
import { StoreProcess } from "./start-process.js";
import { aClaim, aTask, completed, openPlace, type StoreEngine } from "./test-stores.js";

export function testProcesses(engine: StoreEngine): void {
  describe("among processes", () => {
    it("keeps every task it has answered for when its process is killed (PT1, LS2)", async () => {
      const place = engine.createPlace();
      const answered = new Map<string, number>();
      for (const untilKilled of [1, 20, 57]) {
        const submitting = new StoreProcess(place, { kind: "submit" });
        const heard = new Promise<void>((resolve) => {
          let count = 0;
          submitting.child.on("message", ({ id, fill }: { id: string; fill: number }) => {
            answered.set(id, fill);
            if (++count === untilKilled) resolve();
          });
        });
        await heard;
        await submitting.kill();
      }
      const store = await openPlace(place);
      const claimed = await store.claim(aClaim({ limit: 1000 }));
      const found = new Map(claimed.map(({ record, input }) => [record.id, input]));
      for (const [id, fill] of answered) {
        const input = found.get(id);
        assert.ok(input?.every((byte) => byte === fill) === true, `${id} of ${fill}`);
      }
      await store.close();
    });

    it("takes over what a process held that was killed, once its lease has run out", async () => {
      const place = engine.createPlace();
      const store = await openPlace(place);
      const { id } = await store.submit(aTask());
      const holding = new StoreProcess(place, { kind: "hold", limit: 5 });
      assert.deepEqual(await holding.hear(), [id]);
      await holding.kill();
      assert.deepEqual(await store.claim(aClaim()), []);
      const later = await openPlace(place, { clock: new FakeClock(Date.now() + 3_600_000) });
      const [claimed] = await later.claim(aClaim());
      assert.deepEqual([claimed?.record.id, claimed?.record.attempt], [id, 2]);
      assert.equal(await store.finish(claimed?.lease as Lease, completed()), true);
      await Promise.all([store.close(), later.close()]);
    });

    it("gives each of 1,000 tasks to one of four claimers in two processes, and records each once (PT2, PG2)", async () => {
      const place = engine.createPlace();
      const store = await openPlace(place);
      const running = [1, 2].map(() => new StoreProcess(place, { kind: "run", claimers: 2 }));
      const submitted = await Promise.all(Array.from({ length: 1000 }, () => store.submit(aTask())));
      for (const one of running) assert.equal(await one.hear(), "ready");
      for (const { child } of running) child.send("go");
      const done = await Promise.all(running.map((one) => one.hear<string[]>()));
      assert.deepEqual(done.flat().sort(), submitted.map(({ id }) => id).sort());
      for (const [at, ids] of done.entries()) {
        const { output } = (await store.result(ids.at(-1) as string)) ?? {};
        assert.equal(Buffer.from(output ?? []).toString(), `${running[at]?.child.pid} ran ${ids.at(-1)}`);
      }
      const records = await store.list({ limit: 2000 });
      assert.ok(records.every(({ status, attempt }) => status === "completed" && attempt === 1));
      for (const one of running) await one.ended();
      await store.close();
    });

    it("hears what another process does (LS4, PN1)", async () => {
      const place = engine.createPlace();
      const store = await openPlace(place);
      let onNews: (() => void) | undefined;
      store.watch(() => onNews?.());
      const submitting = new StoreProcess(place, { kind: "submit" });
      while ((await store.list({ limit: 1 })).length === 0) {
        await new Promise<void>((resolve) => {
          onNews = resolve;
        });
      }
      await submitting.kill();
      await store.close();
    });
  });
}
