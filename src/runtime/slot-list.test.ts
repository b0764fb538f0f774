import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SlotList } from "./local-host.js";

describe("SlotList", () => {
  it("keeps just its members, removed in any order, and forgives a second removal", () => {
    const list = new SlotList<{ slot: number; name: string }>();
    const members = ["a", "b", "c", "d"].map((name) => ({ name, slot: -1 }));
    for (const member of members) list.add(member);
    const [a, b, c, d] = members as [
      (typeof members)[0],
      (typeof members)[0],
      (typeof members)[0],
      (typeof members)[0],
    ];
    list.remove(b);
    list.remove(b);
    list.remove(d);
    assert.deepEqual(
      list
        .toArray()
        .map((member) => member.name)
        .sort(),
      ["a", "c"],
    );
    list.remove(a);
    list.remove(c);
    assert.equal(list.size, 0);
    list.add(b);
    assert.deepEqual(list.toArray(), [b]);
  });
});
