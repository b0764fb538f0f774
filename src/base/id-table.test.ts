import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { IdTable } from "./id-table.js";

describe("IdTable", () => {
  it("keeps what a Map would, whatever comes and goes", () => {
    const random = new Random(7);
    // Few of them, many with the same low bits, and the ends of the range: they meet, and are pushed on past the last place.
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
});
