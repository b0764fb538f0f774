import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatValue } from "./describe-value.js";
import { createSpoilable, Echo, spoil } from "./services/echo.js";
import { Faulty } from "./services/faulty.js";
import { Middle } from "./services/middle.js";
import { Source } from "./services/source.js";
import { collect, failureOf, newName, type Suite } from "./suite.js";

const fresh = (bytes?: number) => formatValue(createSpoilable(bytes));
/** Size that one write to a pipe or socket cannot take: the rest must not be read from the caller's memory later. */
const largeBytes = 3_000_000;

export function testMutations({ app }: Suite): void {
  const echo = () => app().service(Echo);

  describe("changes to a value", () => {
    for (const bytes of [3, 100_000, largeBytes]) {
      it(`by the caller in the tick of the call are not seen by the callee (${bytes} bytes)`, async () => {
        const value = createSpoilable(bytes);
        const call = echo().describe(value);
        spoil(value);
        assert.equal(await call, fresh(bytes));
      });

      it(`by the callee right after it returned are not seen by the caller (${bytes} bytes)`, async () => {
        assert.equal(formatValue(await echo().lendBriefly(bytes)), fresh(bytes));
      });
    }

    it("by the caller are not seen by the callee while a Blob beside them is still being read", async () => {
      const make = () => ({ ...createSpoilable(1000), blob: new Blob(["x"]) });
      const value = make();
      const call = echo().describe(value);
      spoil(value);
      assert.equal(await call, formatValue(make()));
    });

    it("by the caller after the answer are not seen by the callee", async () => {
      const name = newName("kept");
      const value = createSpoilable();
      assert.equal(await echo().keep({ name, value }), fresh());
      spoil(value);
      assert.equal(await echo().kept(name), fresh());
    });

    it("by the caller after the call are not seen by any of three hops", async () => {
      const name = newName("kept");
      const value = createSpoilable();
      const call = app().entry.relay({ to: "echo", api: "keep", input: { name, value } });
      spoil(value);
      assert.equal(await call, fresh());
      assert.equal(await echo().kept(name), fresh());
    });

    it("by the callee to its input are not seen by the caller", async () => {
      const value = createSpoilable();
      assert.equal(await echo().spoil(value), "spoiled");
      assert.equal(formatValue(value), fresh());
      assert.equal(await app().service(Middle).afterSpoil(), fresh());
    });

    it("by the callee to what it returned before are not seen by the caller", async () => {
      const lent = await echo().lend();
      const before = formatValue(lent);
      assert.notEqual(await echo().spoilLent(), before);
      assert.equal(formatValue(lent), before);
    });

    it("by the caller to a result are not seen by the callee", async () => {
      const before = await echo().lent();
      spoil(await echo().lend());
      spoil(await app().entry.relay({ to: "echo", api: "lend" }));
      assert.equal(await echo().lent(), before);
    });

    it("are not seen between two services that were given the same object, nor by their caller", async () => {
      assert.equal(await app().entry.spoilTwice(), fresh());
      const value = createSpoilable();
      const name = newName("kept");
      await Promise.all([echo().spoil(value), echo().keep({ name, value }), app().service(Middle).spoil(value)]);
      assert.equal(await echo().kept(name), fresh());
      assert.equal(formatValue(value), fresh());
    });

    it("by the producer of a stream to an item it yielded are not seen by the reader", async () => {
      for (const bytes of [2, 100_000]) {
        const items = await collect(app().service(Source).reuse({ items: 8, bytes }));
        assert.deepEqual(
          items.map(({ data, list }) => [data.length, new Set(data), list]),
          Array.from({ length: 8 }, (_, i) => [bytes, new Set([i]), [i]]),
        );
      }
    });

    it("by the reader of a stream are not seen by its producer", async () => {
      const seen: string[] = [];
      for await (const item of app().entry.relayItems({ to: "source", api: "reuse", input: { items: 3, bytes: 2 } })) {
        seen.push(formatValue(item));
        spoil(item);
      }
      assert.deepEqual(
        seen,
        [0, 1, 2].map((i) => `{"data":Uint8Array(${i},${i}),"list":[${i}]}`),
      );
    });

    it("by the caller are not seen by a stream that is opened but not read yet", async () => {
      const list = [createSpoilable()];
      const source = app().service(Source);
      const argument = source.values(Promise.resolve(list));
      const items = source.values(list);
      await Promise.resolve();
      spoil(list);
      for (const stream of [items, argument]) assert.deepEqual((await collect(stream)).map(formatValue), [fresh()]);
    });

    it("by the caller are not seen by a call that is held back before it is sent", async () => {
      app().delay(Echo, { ms: 1, times: 1, api: "describe" });
      try {
        const value = createSpoilable();
        const call = echo().describe(value);
        spoil(value);
        assert.equal(await call, fresh());
      } finally {
        app().clearFaults();
      }
    });

    it("by the caller to the details of a failure are not seen by whoever threw it", async () => {
      const faulty = app().service(Faulty);
      const before = await faulty.details();
      const error = await failureOf(faulty.fail("kept"));
      (error.details["list"] as number[]).push(99);
      assert.equal(await faulty.details(), before);
    });
  });
}
