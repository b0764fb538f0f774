import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServingError } from "../../src/failure/serving-error.js";
import { packValue, unpackValue } from "../../src/transport/stored-value.js";
import { createLargeOldValue, oldValues } from "./old-values.js";
import { begin, type StoreEngine, TestStores } from "./test-stores.js";

export function testValues(engine: StoreEngine): void {
  describe("stored values", () => {
    it("without a version, as an earlier ekiben stored them, are read: as inputs and results, in rows and as files", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      for (const { name, value, bytes } of [...oldValues, createLargeOldValue()]) {
        const { lease, input } = await begin(store, { input: bytes });
        assert.deepEqual(unpackValue(input), value, name);
        assert.ok(await store.finish(lease, { status: "completed", output: bytes }));
        const result = await store.result(lease.id);
        assert.deepEqual(unpackValue(result?.output as Uint8Array), value, name);
      }
    });

    it("of this version are read, and those of a newer one are refused and stay as they are", async () => {
      await using testStores = TestStores.create(engine);
      const store = await testStores.open();
      for (const { value } of [...oldValues, createLargeOldValue()]) {
        const bytes = await packValue(value, "output");
        const newer = Uint8Array.from(bytes);
        newer[4] = 0x80 + 2;
        const { lease, input } = await begin(store, { input: bytes });
        assert.deepEqual(unpackValue(input), value);
        assert.ok(await store.finish(lease, { status: "completed", output: newer }));
        const output = (await store.result(lease.id))?.output as Uint8Array;
        assert.throws(
          () => unpackValue(output),
          ({ id, details }: ServingError) =>
            id === "stored_value_newer" && details.version === 2 && details.known === 1,
        );
        assert.deepEqual(Buffer.from(output), Buffer.from(newer));
      }
    });
  });
}
