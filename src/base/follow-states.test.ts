import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { followStates, leavable } from "./follow-states.js";

interface State {
  readonly at: number;
  readonly isLast?: boolean;
}

/** Reads a source whose connections give what `connect` says, until it ends or is left after `most` pauses. */
async function follow(connect: (count: number) => readonly (State | Error)[], most = 1_000) {
  const pauses: number[] = [];
  const seen: number[] = [];
  let opened = 0;
  const states = followStates<State>({
    open: async function* () {
      for (const state of connect(++opened)) {
        if (state instanceof Error) throw state;
        yield state;
      }
    },
    isLast: (state) => state.isLast === true,
    isPassing: (error) => (error as Error).message !== "for good",
    cutOff: () => new Error("cut off"),
    pause: async (ms) => void pauses.push(ms),
    isLeft: () => pauses.length >= most,
  });
  let failure = "";
  try {
    for await (const { at } of states) seen.push(at);
  } catch (error) {
    failure = (error as Error).message;
  }
  return { opened, pauses, seen, failure };
}

describe("followStates", () => {
  it("goes on over lost connections up to the last state, and tells each state once", async () => {
    const connections = [[{ at: 1 }, new Error("lost")], [], [{ at: 1 }, { at: 2 }], [{ at: 3, isLast: true }]];
    const { seen, failure, pauses } = await follow((count) => connections[count - 1] ?? []);
    assert.deepEqual([seen, failure, pauses], [[1, 2, 3], "", [100, 200, 100]]);
  });

  it("gives up a source that has never given a state, however it ended", async () => {
    assert.deepEqual(await follow(() => []), { opened: 1, pauses: [], seen: [], failure: "cut off" });
    assert.equal((await follow(() => [new Error("lost")])).failure, "lost");
  });

  it("gives up a source that comes back without a state again and again, however it ends", async () => {
    for (const end of [[], [new Error("lost")]]) {
      const { opened, failure } = await follow((count) => (count === 1 ? [{ at: 1 }] : end));
      assert.deepEqual([opened, failure], [25, end.length === 0 ? "cut off" : "lost"]);
    }
    const { opened, failure } = await follow((count) => (count === 1 ? [{ at: 1 }] : [new Error("for good")]));
    assert.deepEqual([opened, failure], [2, "for good"]);
  });

  it("asks a source that ends after the same state less and less often, as long as it is read", async () => {
    const { seen, failure, pauses } = await follow(() => [{ at: 1 }], 40);
    assert.deepEqual([seen, failure], [[1], ""]);
    assert.deepEqual(pauses.slice(0, 7), [100, 200, 400, 800, 1600, 3200, 5000]);
    assert.deepEqual(new Set(pauses.slice(6)), new Set([5000]));
  });
});

describe("leavable", () => {
  it("lets a reader leave while an item is awaited, and ends the generator in order", async () => {
    let release = () => {};
    let hasEnded = false;
    const wait = new Promise<void>((resolve) => (release = resolve));
    async function* items() {
      try {
        yield 1;
        await wait;
      } finally {
        hasEnded = true;
      }
    }
    const read = leavable(items(), () => release());
    assert.deepEqual(await read.next(), { done: false, value: 1 });
    const next = read.next();
    assert.equal((await read.return?.())?.done, true);
    assert.deepEqual([(await next).done, hasEnded], [true, true]);
  });
});
