import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { RetryBudget } from "./retry.js";

const start = 1_700_000_000_000;

/** Takes all retries that the budget has at that time. @returns Their number. */
function drain(budget: RetryBudget, now = start): number {
  let retries = 0;
  while (budget.tryRetry(now)) retries++;
  return retries;
}

function createEmptyBudget(): RetryBudget {
  const budget = new RetryBudget();
  drain(budget);
  return budget;
}

const addCalls = (budget: RetryBudget, calls: number) => {
  for (let i = 0; i < calls; i++) budget.onCall();
};

describe("RetryBudget", () => {
  it("starts with a reserve, and refuses when it is spent (XB2)", () => {
    const budget = new RetryBudget();
    assert.equal(drain(budget), 256);
    assert.equal(budget.tryRetry(start), false);
  });

  it("gives one retry for every five calls (XB1)", () => {
    const budget = createEmptyBudget();
    addCalls(budget, 4);
    assert.equal(budget.tryRetry(start), false);
    addCalls(budget, 1);
    assert.equal(budget.tryRetry(start), true);
    addCalls(budget, 500);
    assert.equal(drain(budget), 100);
  });

  it("gives ten retries a second to a service that is seldom called (XB1)", () => {
    const budget = createEmptyBudget();
    assert.equal(drain(budget, start + 99), 0);
    assert.equal(drain(budget, start + 100), 1);
    assert.equal(drain(budget, start + 1100), 10);
  });

  it("loses no time to frequent questions", () => {
    const budget = createEmptyBudget();
    let retries = 0;
    for (let ms = 1; ms <= 1000; ms++) retries += drain(budget, start + ms);
    assert.equal(retries, 10);
  });

  it("saves up no more than the reserve, of calls or of time (XB2)", () => {
    const budget = createEmptyBudget();
    addCalls(budget, 1_000_000);
    assert.equal(drain(budget), 256);
    assert.equal(drain(budget, start + 3_600_000), 256);
    addCalls(budget, 1_000_000);
    assert.equal(drain(budget, start + 3_600_001), 256);
  });

  it("pays for no time twice when the clock is set back", () => {
    const budget = createEmptyBudget();
    assert.equal(drain(budget, start - 60_000), 0);
    assert.equal(drain(budget, start - 59_900), 1);
  });

  it("adds a fifth to the load when every call and every retry fails (XB1)", () => {
    const budget = new RetryBudget();
    const seconds = 600;
    const callsPerSecond = 1000;
    let retries = 0;
    for (let i = 0; i < seconds * callsPerSecond; i++) {
      budget.onCall();
      while (budget.tryRetry(start + (i * 1000) / callsPerSecond)) retries++;
    }
    const allowed = (seconds * callsPerSecond) / 5 + seconds * 10 + 256;
    assert.ok(retries <= allowed, `${retries} of ${allowed}`);
    assert.ok(retries >= allowed - 256 - 2, `${retries} of ${allowed}`);
  });

  it("keeps its bound for calls and failures of any rhythm (XB1)", () => {
    const random = new Random(11);
    const budget = new RetryBudget();
    let [now, calls, retries] = [start, 0, 0];
    for (let i = 0; i < 100_000; i++) {
      now += random.chance(0.001) ? random.between(0, 20_000) : random.between(0, 3);
      const burst = random.chance(0.01) ? random.between(1, 50) : 1;
      addCalls(budget, burst);
      calls += burst;
      if (random.chance(0.6) && budget.tryRetry(now)) retries++;
      assert.ok(retries <= calls / 5 + ((now - start) * 10) / 1000 + 256);
    }
    assert.ok(retries > calls / 5);
  });
});
