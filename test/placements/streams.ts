import assert from "node:assert/strict";
import { it } from "node:test";
import type { ComposedApp } from "ekiben/testing";
import { Leaf, type Top } from "./services.js";

/** How far a producer may be ahead of its reader over one hop: a window of items, and what is on its way. */
const maxAhead = 40;

async function collect<T>(items: AsyncIterable<T>, into: T[] = []): Promise<T[]> {
  for await (const item of items) into.push(item);
  return into;
}

export function testStreams(app: ComposedApp<Top>): void {
  const leaf = app.service(Leaf);

  it("brings a thousand items in order, over one hop and over three", async () => {
    const wanted = Array.from({ length: 1000 }, (_, i) => i);
    assert.deepEqual(await collect(leaf.count(1000)), wanted);
    assert.deepEqual(await collect(app.entry.count(1000)), wanted);
    assert.deepEqual(await collect(leaf.count(0)), []);
  });

  it("reads two streams at once", async () => {
    const [first, second] = await Promise.all([collect(leaf.count(300)), collect(app.entry.count(200))]);
    assert.deepEqual([first.length, second.length], [300, 200]);
  });

  it("lets the producer run no further ahead than a window, by items and by bytes", async () => {
    for (const [bytes, limit] of [
      [0, maxAhead],
      [1_000_000, 6],
    ] as const) {
      const items = leaf.produce(bytes)[Symbol.asyncIterator]();
      await items.next();
      await leaf.echo("what was on its way has come by now");
      const { produced } = await leaf.produced();
      assert.ok(produced >= 1 && produced <= limit, `${produced} items of ${bytes} bytes`);
      for (let i = 0; i < 100; i++) await items.next();
      const later = (await leaf.produced()).produced;
      assert.ok(later >= 101 && later <= 101 + limit, `${later} items of ${bytes} bytes after 101`);
      await items.return?.();
    }
  });

  it("ends the producer when its reader leaves, also over three hops", async () => {
    for (const items of [leaf.produce(0), app.entry.produce(0)]) {
      const ended = leaf.ended();
      for await (const item of items) if (item === 5) break;
      await ended;
    }
  });

  it("carries tensors and bytes as items", async () => {
    const items = leaf.produce(200_000)[Symbol.asyncIterator]();
    const step = await items.next();
    assert.equal((step.value as Uint8Array).byteLength, 200_000);
    await items.return?.();
  });

  it("shows a failure after items as a failure, after the items", async () => {
    for (const open of [() => leaf.failing(3), () => app.entry.failing(3)]) {
      const seen: number[] = [];
      await assert.rejects(collect(open(), seen), { id: "torn", code: "data_loss", service: "Leaf" });
      assert.deepEqual(seen, [0, 1, 2]);
    }
    await assert.rejects(collect(leaf.failing(0)), { id: "torn" });
  });

  it("checks every item", async () => {
    const seen: number[] = [];
    await assert.rejects(collect(leaf.wrong(), seen), { id: "invalid_output" });
    assert.deepEqual(seen, [1]);
  });

  it("ends by the reader's signal and by the deadline, and the producer hears of it", async () => {
    const controller = new AbortController();
    const items = leaf.stuck(undefined, { signal: controller.signal })[Symbol.asyncIterator]();
    assert.equal((await items.next()).value, 1);
    const pending = items.next();
    controller.abort();
    await assert.rejects(pending, { id: "cancelled" });
    await leaf.aborted("stuck");
    await assert.rejects(collect(leaf.stuck(undefined, { timeoutMs: 30 })), { id: "deadline_exceeded" });
  });
}
