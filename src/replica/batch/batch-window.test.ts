import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { recordedArrivals } from "../../../test/batching/recorded-arrivals.js";
import { type SimulationResult, simulate } from "../../../test/batching/simulate.js";
import { Random } from "../../../test/http/random.js";
import { BatchWindow } from "./batch-window.js";

/** A sentence encoder: most of a small batch's time goes by batches, not by rows. */
const encoder = (rows: number) => 24 + 4.5 * rows;
/** A small network: over before a timer could fire. */
const network = (rows: number) => 0.5 + 0.04 * rows;
/** Batches save nothing. */
const linear = (rows: number) => 10 * rows;

const runMs = 20_000;
const settings = { maxRows: 64, targetLatencyMs: Number.POSITIVE_INFINITY, windowMs: undefined, maxConcurrent: 1 };
const never = () => Number.POSITIVE_INFINITY;

/** Callers that call again between 0.3 and 1.8 ms after each answer. */
const createCallers = (count: number) => {
  const random = new Random(count);
  return { callers: Array.from({ length: count }, () => ({ thinkMs: () => 0.3 + 1.5 * random.next() })) };
};

/** Calls that come by themselves, one by one: a Poisson process. */
const createArrivals = (perSecond: number) => {
  const random = new Random(perSecond);
  const arrivals: number[] = [];
  for (let at = 0; at < runMs; ) {
    at -= (Math.log(1 - random.next()) * 1000) / perSecond;
    arrivals.push(at);
  }
  return { arrivals };
};

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const perSecond = ({ latencies }: SimulationResult) => latencies.length / (runMs / 1000);

/** The same crowd with what the window learns, and when everything leaves at once. */
function compare(
  costMs: (rows: number) => number,
  crowd: () => Parameters<typeof simulate>[0]["crowd"],
  isBlocking = true,
) {
  const run = (windowMs: number | undefined) =>
    simulate({ costMs, crowd: crowd(), isBlocking, untilMs: runMs, settings: { windowMs } });
  return { learnt: run(undefined), atOnce: run(0) };
}

describe("BatchWindow, simulated", () => {
  for (const isBlocking of [true, false]) {
    const model = isBlocking ? "a model that blocks the event loop" : "a model that lets the event loop turn";

    it(`gathers a crowd of callers into one batch: at least 0.95 of the best there is, with ${model}`, () => {
      for (const count of [2, 8, 16, 64]) {
        const { learnt } = compare(encoder, () => createCallers(count), isBlocking);
        const best = (count / (encoder(count) + 1.8)) * 1000;
        assert.ok(perSecond(learnt) >= 0.95 * best, `${count} callers: ${perSecond(learnt)} of ${best} rows/s`);
      }
    });

    it(`is a quarter faster for eight callers than leaving at once, and answers sooner, with ${model}`, () => {
      const { learnt, atOnce } = compare(encoder, () => createCallers(8), isBlocking);
      assert.ok(perSecond(learnt) > 1.25 * perSecond(atOnce));
      assert.ok(median(learnt.latencies) < median(atOnce.latencies));
    });
  }

  it("lets a single caller go at once, but for a wait now and then that sees whether others come", () => {
    for (const costMs of [encoder, network, linear]) {
      const { learnt, atOnce } = compare(costMs, () => createCallers(1));
      assert.equal(median(learnt.latencies), median(atOnce.latencies));
      const waited = learnt.batches.filter(({ waitedMs }) => waitedMs > 0);
      assert.ok(
        waited.length <= learnt.batches.length / 100,
        `${waited.length} of ${learnt.batches.length} batches waited`,
      );
      assert.ok(waited.every(({ waitedMs }) => waitedMs <= costMs(1) / 8));
    }
  });

  it("never waits where a batch costs nothing but its rows, or less than a timer can wait", () => {
    for (const costMs of [linear, network]) {
      for (const count of [8, 64]) {
        const { learnt, atOnce } = compare(costMs, () => createCallers(count));
        const waited = learnt.batches.filter(({ waitedMs }) => waitedMs > 0).length;
        assert.ok(waited <= 3, `${waited} of ${learnt.batches.length} batches waited`);
        assert.ok(perSecond(learnt) >= 0.99 * perSecond(atOnce));
      }
    }
  });

  it("adds no more than 3 % to the time of calls that come by themselves, at any load", () => {
    for (const costMs of [encoder, network, linear]) {
      for (const rate of [5, 20, 50, 90, 200]) {
        const { learnt, atOnce } = compare(costMs, () => createArrivals(rate));
        const added = mean(learnt.latencies) / mean(atOnce.latencies);
        assert.ok(added <= 1.03, `${rate} calls a second take ${added} times as long`);
      }
    }
  });

  it("adds no more than 3 % to calls that come as they once came to a real server", () => {
    for (const costMs of [encoder, network, linear]) {
      const { learnt, atOnce } = compare(costMs, () => ({ arrivals: recordedArrivals }));
      assert.equal(learnt.latencies.length, recordedArrivals.length);
      const added = mean(learnt.latencies) / mean(atOnce.latencies);
      assert.ok(added <= 1.03, `they take ${added} times as long`);
    }
  });

  it("goes back to leaving at once when the crowd has gone", () => {
    const crowd = createCallers(8).callers.map(({ thinkMs }, caller) => {
      let calls = 0;
      return { thinkMs: () => (caller > 0 && ++calls > 80 ? runMs : thinkMs()) };
    });
    const { batches } = simulate({ costMs: encoder, crowd: { callers: crowd }, isBlocking: true, untilMs: runMs });
    const alone = batches.findIndex(({ rows }, i) => i > 40 && rows === 1);
    const after = batches.slice(alone + 20);
    assert.ok(after.length > 100);
    assert.ok(after.filter(({ waitedMs }) => waitedMs > 0).length < 0.05 * after.length);
  });

  it("keeps the first row within the target where the target can be kept", () => {
    const targetLatencyMs = 60;
    const crowd = createCallers(64);
    const { batches } = simulate({
      costMs: encoder,
      crowd,
      isBlocking: true,
      untilMs: runMs,
      settings: { targetLatencyMs },
    });
    const settled = batches.slice(10);
    assert.ok(settled.every(({ rows, waitedMs }) => waitedMs + encoder(rows) <= targetLatencyMs + 1e-6));
    assert.ok(
      settled.every(({ rows }) => rows === 8 || rows === 7),
      String(settled.map(({ rows }) => rows)),
    );
  });

  it("waits as long as it is told, where it is told", () => {
    const { batches } = simulate({
      costMs: network,
      crowd: createArrivals(50),
      untilMs: runMs,
      settings: { windowMs: 10, maxRows: 3 },
    });
    assert.deepEqual(new Set(batches.map(({ reason }) => reason)), new Set(["window", "full"]));
    for (const { reason, waitedMs, rows } of batches) {
      if (reason === "full") assert.ok(waitedMs <= 10 && rows === 3);
      // What came while a batch ran has waited already.
      else assert.ok(waitedMs <= 10 + 1e-6 && waitedMs >= 10 - network(3), String(waitedMs));
    }
  });

  it("never has more rows than maxRows", () => {
    const { batches } = simulate({
      costMs: encoder,
      crowd: createCallers(50),
      untilMs: runMs,
      settings: { maxRows: 7 },
    });
    assert.equal(Math.max(...batches.map(({ rows }) => rows)), 7);
  });
});

describe("BatchWindow", () => {
  const learn = (window: BatchWindow, costMs: (rows: number) => number) => {
    for (const rows of [1, 1, 8, 3, 16]) window.ended(0, rows, costMs(rows));
  };

  it("leaves before the first deadline could no longer be kept", () => {
    const window = new BatchWindow({ ...settings, windowMs: 1000 });
    learn(window, encoder);
    const waiting = { rows: 4, since: 0, deadline: () => 100 };
    const decision = window.decide({ now: 0, ...waiting });
    const waitUntil = "waitUntil" in decision ? decision.waitUntil : Number.NaN;
    assert.ok(waitUntil + encoder(4) < 100 && waitUntil + encoder(4) > 98, String(waitUntil));
    assert.deepEqual(window.decide({ now: waitUntil, ...waiting }), { leave: "deadline" });
  });

  it("leaves before the target could no longer be kept", () => {
    const window = new BatchWindow({ ...settings, windowMs: 1000, targetLatencyMs: 80 });
    learn(window, encoder);
    const decision = window.decide({ now: 0, rows: 4, since: 0, deadline: never });
    assert.ok("waitUntil" in decision && Math.abs(decision.waitUntil - (80 - encoder(4))) < 1e-6);
    assert.deepEqual(window.decide({ now: 39, rows: 4, since: 0, deadline: never }), { leave: "target" });
  });

  it("is sure of what a batch takes only while that was seen of late", () => {
    const window = new BatchWindow(settings);
    assert.equal(window.expectRecent(0, 4), 0);
    learn(window, encoder);
    assert.ok(Math.abs(window.expectRecent(900, 4) - encoder(4)) < 1e-6);
    assert.equal(window.expectRecent(1100, 4), 0);
  });

  it("takes at least one row, however short the target", () => {
    const window = new BatchWindow({ ...settings, targetLatencyMs: 1 });
    learn(window, encoder);
    assert.equal(window.mostRows, 1);
  });
});
