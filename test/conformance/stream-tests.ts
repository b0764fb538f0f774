import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tensor } from "ekiben";
import { formatValue } from "./describe-value.js";
import { Middle } from "./services/middle.js";
import { Source } from "./services/source.js";
import { collect, collectFailing, failureOf, newName, type Suite, withinLimits } from "./suite.js";

/** Number of items that a producer may be ahead of its reader per hop: a window, and the items that both ends hold. */
const maxAhead = 264;
/** Same number for items of 1 MB, of which two fill a window. */
const maxAheadLarge = 6;

const count = (to: number) => Array.from({ length: to }, (_, i) => i);

interface Way {
  readonly hops: number;
  /** Caller of the producer. */
  readonly caller: string;
  readonly open: (api: string, input: unknown, options?: object) => AsyncIterable<any>;
}

export function testStreams({ app }: Suite): void {
  const source = () => app().service(Source);

  /**
   * Ways in which a reader gets a stream: from its service, or through two more services that forward or re-read it.
   */
  const ways: Readonly<Record<string, Way>> = {
    "over one hop": {
      ...{ hops: 1, caller: "local." },
      open: (api, input, options) =>
        (source() as never as Record<string, (input: unknown, options?: object) => any>)[api]?.(input, options),
    },
    "forwarded unread over three hops": {
      ...{ hops: 3, caller: "Middle.relayItems" },
      open: (api, input, options) => app().entry.relayItems({ to: "source", api, input }, options),
    },
    "read and yielded again by each of three hops": {
      ...{ hops: 3, caller: "Middle.rereadItems" },
      open: (api, input, options) => app().entry.rereadItems({ to: "source", api, input }, options),
    },
  };

  describe("streams", () => {
    for (const [way, { hops, caller, open }] of Object.entries(ways)) {
      it(`bring their items in order, ${way}`, async () => {
        assert.deepEqual(await collect(open("numbers", 1000)), count(1000));
        assert.deepEqual(await collect(open("numbers", 0)), []);
      });

      it(`bring tensors and bytes, ${way}`, async () => {
        const tensors = await collect(open("tensors", 40));
        const wanted = count(40).map((i) => new Tensor("float32", [i], new Float32Array(i).fill(i)));
        assert.equal(formatValue(tensors), formatValue(wanted));
        const bytes = await collect(open("produce", { name: newName("bytes"), items: 4, bytes: 300_000 }));
        assert.deepEqual(
          bytes,
          count(4).map((i) => new Uint8Array(300_000).fill(i)),
        );
      });

      it(`abort their callee's signal while it waits and their reader leaves, and free its place, ${way}`, async () => {
        for (const [isCancelled, isLater] of [
          [false, false],
          [true, false],
          [false, true],
        ]) {
          if (isLater && hops > 1) continue;
          const name = newName("left");
          const controller = new AbortController();
          const items = open("stallNarrow", isLater ? Promise.resolve(name) : name, {
            signal: controller.signal,
          })[Symbol.asyncIterator]();
          for (const item of [1, 2, 3]) assert.deepEqual(await items.next(), { done: false, value: item });
          const waiting = items.next();
          waiting.catch(() => {});
          if (isCancelled) controller.abort();
          else await items.return?.();
          await source().seen(`${name} cancelled`);
          await source().seen(`${name} finally`);
        }
      });

      it(`are read beside each other, ${way}`, async () => {
        const streams = count(12).map((i) => collect(open("numbers", i * 20)));
        assert.deepEqual(
          (await Promise.all(streams)).map((items) => items.length),
          count(12).map((i) => i * 20),
        );
      });

      it(`let a producer run no further ahead than a window of items, ${way}`, async () => {
        const name = newName("slow");
        const items = open("produce", { name })[Symbol.asyncIterator]();
        let read = 0;
        for (const wanted of [1, 2, 100]) {
          for (; read < wanted; read++) await items.next();
          const produced = await source().produced(name);
          assert.ok(produced >= read && produced <= read + hops * maxAhead, `${produced} produced, ${read} read`);
        }
        await items.return?.();
        await source().seen(`${name} finally`);
      });

      it(`let a producer run no further ahead than a window of bytes, ${way}`, async () => {
        const name = newName("heavy");
        const items = open("produce", { name, bytes: 1_000_000 })[Symbol.asyncIterator]();
        for (let i = 0; i < 8; i++) await items.next();
        const produced = await source().produced(name);
        assert.ok(produced >= 8 && produced <= 8 + hops * maxAheadLarge, `${produced} produced, 8 read`);
        await items.return?.();
        await source().seen(`${name} finally`);
      });

      it(`end their producer when the reader leaves, ${way}`, async () => {
        const name = newName("left");
        for await (const item of open("produce", { name })) if (item === 3) break;
        await source().seen(`${name} finally`);
        assert.equal(await source().count(`${name} complete`), 0);
        assert.equal(await source().count(`${name} finally`), 1);
      });

      it(`are complete where nobody left, and no one is cancelled, ${way}`, async () => {
        const name = newName("whole");
        assert.equal((await collect(open("produce", { name, items: 100 }))).length, 100);
        await source().seen(`${name} finally, not aborted`);
        assert.equal(await source().count(`${name} complete`), 1);
        assert.equal(await source().count(`${name} cancelled`), 0);
      });

      it(`check each item, and end at the first that is wrong, ${way}`, async () => {
        const { items, error } = await collectFailing(open("strict", "x"));
        assert.deepEqual(items, [{ n: 1 }, { n: 2 }]);
        assert.deepEqual(
          [error.id, error.code, error.service, error.api],
          ["invalid_output", "internal", "Source", "strict"],
        );
        assert.equal((error.details["issues"] as { path: string }[])[0]?.path, "n");
      });

      it(`refuse an item that can't cross, after those that can, ${way}`, async () => {
        const { items, error } = await collectFailing(open("odd", undefined));
        assert.deepEqual(items, [1]);
        assert.deepEqual(
          [error.id, error.service, error.api, error.details["path"]],
          ["output_not_transferable", "Source", "odd", "output"],
        );
      });

      it(`show every item's producer one call, ${way}`, async () => {
        const seen = await collect(open("callers", 5));
        assert.equal(seen.length, 5);
        assert.equal(new Set(seen.map(formatValue)).size, 1);
        assert.equal(seen[0].caller, caller);
      });
    }

    it("are checked once by one schema where they are handed on unread, and by each other schema", async () => {
      const middle = app().service(Middle);
      assert.deepEqual(await collect(source().marked(2)), ["0!", "1!"]);
      assert.deepEqual(await collect(middle.markedOnce(2)), ["0!", "1!"]);
      assert.deepEqual(await collect(middle.markedTwice(2)), ["0!!", "1!!"]);
      assert.deepEqual(await collect(middle.markedAgain(2)), ["0!!", "1!!"]);
    });

    it("run nothing before they are read", async () => {
      const name = newName("unread");
      const items = source().produce({ name });
      assert.equal(await source().produced(name), 0);
      for await (const item of items) if (item === 0) break;
      await source().seen(`${name} finally`);
    });

    it("refuse an input that is invalid or can't cross when they are read", async () => {
      const invalid = source().numbers("ten" as never);
      const { items, error } = await collectFailing(invalid);
      assert.deepEqual([items, error.id, error.service, error.api], [[], "invalid_input", "Source", "numbers"]);
      const refused = await collectFailing(source().values([() => 1]));
      assert.deepEqual([refused.items, refused.error.id], [[], "not_transferable"]);
      assert.deepEqual([refused.error.service, refused.error.api], ["Source", "values"]);
    });

    it("answer in order to a reader that asks for several items at once", async () => {
      const items = source().numbers(3)[Symbol.asyncIterator]();
      const steps = await Promise.all([items.next(), items.next(), items.next(), items.next(), items.next()]);
      assert.deepEqual(
        steps.map(({ value }) => value),
        [0, 1, 2, undefined, undefined],
      );
    });

    it("are over for a reader that has left", async () => {
      const items = source().numbers(100)[Symbol.asyncIterator]();
      await items.next();
      assert.equal((await items.return?.())?.done, true);
      assert.equal((await items.next()).done, true);
    });

    it("may come from an iterator that is no generator", async () => {
      assert.deepEqual(await collect(source().plain(70)), count(70));
      for await (const item of source().plain(1_000_000)) if (item === 2) break;
      assert.deepEqual(await collect(source().plain(1)), [0]);
    });

    it("end at once by the reader's signal, and the producer hears of it", async () => {
      for (const api of ["stall", "deaf"] as const) {
        const name = newName(api);
        const controller = new AbortController();
        const items = source()[api](name, { signal: controller.signal })[Symbol.asyncIterator]();
        for (const wanted of [1, 2, 3]) assert.equal((await items.next()).value, wanted);
        const pending = failureOf(items.next());
        controller.abort();
        assert.equal((await pending).code, "cancelled");
        assert.equal((await items.next()).done, true);
        await source().seen(`${name} cancelled by cancelled`);
        if (api === "stall") await source().seen(`${name} finally`);
        else await source().note(`${name} released`);
      }
    });

    it("end by a signal over three hops", async () => {
      const name = newName("stall");
      const controller = new AbortController();
      const call = { to: "source", api: "stall", input: name } as const;
      const items = app().entry.rereadItems(call, { signal: controller.signal })[Symbol.asyncIterator]();
      for (const wanted of [1, 2, 3]) assert.equal((await items.next()).value, wanted);
      const pending = failureOf(items.next());
      controller.abort();
      assert.equal((await pending).code, "cancelled");
      await source().seen(`${name} cancelled`);
      await source().seen(`${name} finally`);
    });

    it("end by their deadline, after the items that came in time", async () => {
      await withinLimits(async (limitMs, name) => {
        const { items, error } = await collectFailing(source().stall(name, { timeoutMs: limitMs }));
        assert.equal(error.code, "deadline_exceeded");
        assert.deepEqual(items, [1, 2, 3].slice(0, items.length));
        if (items.length < 3) return false;
        await source().seen(`${name} cancelled by deadline_exceeded`);
        await source().seen(`${name} finally`);
        return true;
      });
    });
  });
}
