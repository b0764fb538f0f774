import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type SharedHome, SharedHomes } from "./remote-runtimes.js";

class Home implements SharedHome {
  isOpen = true;
  isSuperseded = false;
  readonly ids = new Set<string>();

  has(id: string): boolean {
    return this.ids.has(id);
  }

  supersede(): void {
    this.isSuperseded = true;
  }
}

function createHomes() {
  const homes = new SharedHomes<Home>();
  const take = (service: string, index = 0, group = "g") => {
    const id = `${service}#${index}`;
    const home = homes.take(group, { id, index }, () => new Home());
    home.ids.add(id);
    return home;
  };
  return { take };
}

describe("SharedHomes", () => {
  it("has replicas of one number and group together, and no others", () => {
    const { take } = createHomes();
    const first = take("A");
    assert.equal(take("B"), first);
    const second = take("A", 1);
    assert.notEqual(second, first);
    assert.equal(take("B", 1), second);
    assert.notEqual(take("A", 0, "h"), first);
  });

  it("has one that ended followed by one, whoever comes first", () => {
    const { take } = createHomes();
    const first = take("A");
    take("B");
    first.isOpen = false;
    const next = take("B");
    assert.notEqual(next, first);
    assert.equal(take("A"), next);
    assert.equal(first.isSuperseded, false);
  });

  it("has all move to the same other one when one of them moves", () => {
    const { take } = createHomes();
    const old = take("A");
    take("B");
    const next = take("A");
    assert.deepEqual([next === old, old.isSuperseded, take("B") === next], [false, true, true]);
    const third = take("A");
    assert.deepEqual([third === old, third === next, next.isSuperseded], [false, false, true]);
  });

  it("takes back a replica that has left", () => {
    const { take } = createHomes();
    const home = take("A");
    take("B");
    home.ids.delete("B#0");
    assert.equal(take("B"), home);
  });
});
