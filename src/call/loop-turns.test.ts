import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { LoopTurns, longMs, type TurnTaker } from "./loop-turns.js";

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Waits with runs of given lengths, and tells which of them began in which turn. */
class Runs implements TurnTaker {
  usedMs = 0;
  readonly #name: string;
  readonly #runsMs: number[];
  readonly #clock: FakeClock;
  readonly #log: string[];

  constructor(name: string, runsMs: number[], clock: FakeClock, log: string[]) {
    this.#name = name;
    this.#runsMs = runsMs;
    this.#clock = clock;
    this.#log = log;
  }

  get canBegin(): boolean {
    return this.#runsMs.length > 0;
  }

  begin(): void {
    this.#log.push(this.#name);
    this.#clock.advance(this.#runsMs.shift() as number);
  }
}

function open() {
  const clock = new FakeClock();
  const turns = new LoopTurns(clock);
  const log: string[] = [];
  const wait = (name: string, ...runsMs: number[]) => {
    const runs = new Runs(name, runsMs, clock, log);
    turns.await(runs);
    return runs;
  };
  /** Runs until nothing waits; a line for each turn in which something began. */
  const finish = async () => {
    const lines: string[] = [];
    while (turns.isTaken) {
      const before = log.length;
      await turn();
      if (log.length > before) lines.push(log.slice(before).join(" "));
    }
    return lines;
  };
  return { clock, turns, log, wait, finish };
}

describe("LoopTurns", () => {
  it("begins what waits one after another until that was long, and goes on in a later turn (TN1)", async () => {
    const { wait, finish } = open();
    wait("a", 0.4, 0.4, 0.4, 5, 0.1, 0.1);
    assert.deepEqual(await finish(), ["a a a", "a", "a a"]);
  });

  it("reads what came twice between a long run and the next (TN1)", async () => {
    const { wait, log } = open();
    wait("a", 5, 5);
    await turn();
    assert.deepEqual(log, ["a"]);
    await turn();
    await turn();
    assert.deepEqual(log, ["a"]);
    await turn();
    assert.deepEqual(log, ["a", "a"]);
  });

  it("counts what ran by itself, each moment once, until the loop has turned (TN1)", async () => {
    const { turns } = open();
    const outer = turns.spentMs;
    turns.count(turns.spentMs, 0.6);
    turns.count(outer, 0.7);
    assert.equal(turns.isLong, false);
    turns.count(turns.spentMs, 0.4);
    assert.equal(turns.isLong, true);
    for (let i = 0; i < 3; i++) await turn();
    assert.equal(turns.isLong, false);
    turns.count(turns.spentMs, longMs / 2);
    await turn();
    turns.count(turns.spentMs, longMs / 2);
    assert.equal(turns.isLong, false);
  });

  it("gives the loop to whoever has had the least of it, and forgets debts when nobody waits (TN2)", async () => {
    const { wait, finish } = open();
    const slow = wait("slow", 10, 10);
    const fast = wait("fast", 4, 4, 4);
    assert.deepEqual(await finish(), ["slow", "fast", "fast", "fast", "slow"]);
    assert.ok(slow.usedMs > fast.usedMs);
    wait("other", 3, 3);
    wait("slow again", 3);
    assert.deepEqual(await finish(), ["other", "slow again", "other"]);
  });

  it("lets one that had the loop without waiting wait for one that had none of it (TN2)", async () => {
    const { clock, turns, log, finish } = open();
    const had = new Runs("had it", [3], clock, log);
    turns.count(turns.spentMs, 5, had);
    turns.await(had);
    turns.await(new Runs("had none", [3], clock, log));
    assert.deepEqual(await finish(), ["had none", "had it"]);
    // Of what it had while nobody waited only the last run counts.
    for (let i = 0; i < 9; i++) turns.count(0, 5, had);
    assert.ok(had.usedMs <= 3 * 5 + 9 * 5);
    const other = new Runs("other", [3, 3, 3], clock, log);
    turns.await(other);
    assert.ok(had.usedMs - other.usedMs <= 5);
    await finish();
    // Nor is the last run forgotten where nothing waited for a moment.
    const runsMs = [3];
    const stream = new Runs("stream", runsMs, clock, log);
    turns.await(stream);
    await finish();
    runsMs.push(3);
    turns.await(stream);
    turns.await(new Runs("call", [3], clock, log));
    assert.deepEqual(await finish(), ["call", "stream"]);
  });

  it("lets whoever asks for the next such turn go on in it, at once where nothing is long (TN3)", async () => {
    const { turns, wait, log, finish } = open();
    await turns.passed();
    turns.count(0, 5);
    wait("a", 5);
    let hasPassed = false;
    const passed = turns.passed().then(() => {
      hasPassed = true;
      log.push("passed");
    });
    await Promise.resolve();
    assert.equal(hasPassed, false);
    await finish();
    await passed;
    assert.deepEqual(log.sort(), ["a", "passed"]);
  });
});
