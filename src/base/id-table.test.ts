import assert from "node:assert/strict";
import { describe, it } from "node:test";
import v8 from "node:v8";
import vm from "node:vm";
import { Random } from "../../test/http/random.js";
import { IdTable } from "./id-table.js";

v8.setFlagsFromString("--expose-gc");
const collect = vm.runInNewContext("gc") as (options?: { type: "minor" }) => void;

/** MiB that are in the heap, of the 4 that were in the table, 64 values at a time. */
function keptBy(table: Pick<IdTable<object>, "set" | "delete">): number {
  collect();
  const before = v8.getHeapStatistics().used_heap_size;
  for (let id = 1; id <= 4000; id++) {
    table.set(id, new Array(128).fill(id));
    if (id > 64) table.delete(id - 64);
    if (id % 200 === 0) collect({ type: "minor" });
  }
  return (v8.getHeapStatistics().used_heap_size - before) / 1024 ** 2;
}

describe("IdTable", () => {
  it("keeps what a Map would, whatever comes and goes", () => {
    const random = new Random(7);
    // Few of them, many with the same low bits, and the ends of the range: they meet, and are pushed on past the last
    // place.
    const ids = [1, 2, 3, 15, 16, 17, 31, 47, 63, 0x1000_000f, 0x2000_000f, 0xf000_000f, 0xffff_ffff];
    for (let run = 0; run < 200; run++) {
      const table = new IdTable<number>();
      const model = new Map<number, number>();
      for (let step = 0; step < 200; step++) {
        const id = random.chance(0.25) ? random.between(1, 200) : random.pick(ids);
        if (random.chance(0.5)) {
          table.set(id, step);
          model.set(id, step);
        } else {
          table.delete(id);
          model.delete(id);
        }
        assert.equal(table.size, model.size);
        for (const each of [...ids, id]) {
          assert.equal(table.get(each), model.get(each));
          assert.equal(table.has(each), model.has(each));
        }
      }
      assert.deepEqual(table.values().sort(), [...model.values()].sort());
      table.clear();
      assert.deepEqual([table.size, table.values(), table.has(1)], [0, [], false]);
    }
  });

  it("keeps nothing alive that was taken out, though only the young generation is collected", () => {
    // Up to Node 24 a Map keeps nearly all of it. Once no supported Node does, a Map may replace the table.
    if (Number(process.versions.node.split(".")[0]) <= 24) assert.ok(keptBy(new Map()) > 3);
    assert.ok(keptBy(new IdTable()) < 1);
  });
});
