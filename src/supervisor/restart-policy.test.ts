import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import type { RestartSettings } from "../options/settings.js";
import { emptyHistory, nextRestart, type RestartHistory } from "./restart-policy.js";

const settings: RestartSettings = {
  backoffMs: 100,
  maxBackoffMs: 1000,
  resetAfterMs: 10_000,
  giveUpAfter: 0,
  slowBackoffMs: 30_000,
};
const failedStart = undefined;

/** The waits after each of these lives; as a text where the place is down. */
function waitsAfter(lives: readonly (number | undefined)[], over: Partial<RestartSettings> = {}, random = 0) {
  const waits: (number | string)[] = [];
  let history: RestartHistory = emptyHistory;
  for (const readyForMs of lives) {
    const next = nextRestart({ ...settings, ...over }, history, { readyForMs, random });
    waits.push(next.isDown ? `down for ${next.delayMs}` : next.delayMs);
    history = next.history;
  }
  return waits;
}

const repeat = <T>(value: T, times: number): T[] => new Array<T>(times).fill(value);

describe("nextRestart", () => {
  it("restarts at once, then waits twice as long each time, up to the bound (JP1, JP2)", () => {
    assert.deepEqual(waitsAfter(repeat(failedStart, 8)), [0, 100, 200, 400, 800, 1000, 1000, 1000]);
    assert.deepEqual(waitsAfter(repeat(50, 4)), [0, 100, 200, 400]);
  });

  it("restarts at once after a healthy life, however many short ones were before it (JP1)", () => {
    assert.deepEqual(waitsAfter([10_000, 10_000, 1e9]), [0, 0, 0]);
    assert.deepEqual(waitsAfter([50, 50, 50, 10_000, 50, 50]), [0, 100, 200, 0, 100, 200]);
  });

  it("takes a life for healthy only from the bound on, and a start that failed never (JP3)", () => {
    assert.deepEqual(waitsAfter([50, 50, 9999, 50]), [0, 100, 200, 400]);
    assert.deepEqual(waitsAfter([50, 50, failedStart, 50]), [0, 100, 200, 400]);
  });

  it("is down after so many short lives in a row, failed starts included, and goes on slowly for ever (JP5, JP6)", () => {
    const down = "down for 30000";
    assert.deepEqual(waitsAfter([1, failedStart, 1, 1, 1], { giveUpAfter: 3 }), [0, 100, down, down, down]);
    assert.deepEqual(waitsAfter([failedStart], { giveUpAfter: 1 }), [down]);
    const waits = waitsAfter(repeat(failedStart, 5000), { giveUpAfter: 8 });
    assert.deepEqual(new Set(waits.slice(7)), new Set([down]));
  });

  it("spreads slow waits over a quarter more, and never waits less than the longest other wait (JP6)", () => {
    const over = { giveUpAfter: 1 };
    assert.deepEqual(waitsAfter([1], over, 1), ["down for 37500"]);
    assert.deepEqual(waitsAfter([1], over, 0.5), ["down for 33750"]);
    assert.deepEqual(waitsAfter([1], { ...over, maxBackoffMs: 60_000 }), ["down for 60000"]);
  });

  it("counts short lives anew after a healthy one, also after one that was down (JP5)", () => {
    const lives = [1, 1, 10_000, 1, 1, 1, 10_000, 1];
    assert.deepEqual(waitsAfter(lives, { giveUpAfter: 3 }), [0, 100, 0, 100, 200, "down for 30000", 0, 100]);
  });

  it("is never down where 0 is set, and never waits longer than the bound", () => {
    const waits = waitsAfter(repeat(failedStart, 5000));
    assert.equal(waits.length, 5000);
    assert.equal(waits.at(-1), 1000);
    assert.deepEqual(waitsAfter([1, 1, 1], { backoffMs: 5000 }), [0, 1000, 1000], "the bound is below the first wait");
  });

  it("starts few processes in an hour of failed starts (JP4)", () => {
    let now = 0;
    let starts = 0;
    for (let history: RestartHistory = emptyHistory; now < 3_600_000; starts++) {
      const next = nextRestart({ ...settings, maxBackoffMs: 10_000 }, history, { readyForMs: failedStart, random: 0 });
      now += next.delayMs;
      history = next.history;
    }
    assert.ok(starts <= 370, `${starts} starts`);
  });

  it("never restarts twice at once within the time of a healthy life, whatever the lives are like (JP4)", () => {
    const random = new Random(7);
    let now = 0;
    let startedAt = 0;
    let history: RestartHistory = emptyHistory;
    for (let i = 0; i < 20_000; i++) {
      const startMs = random.next() * 5000;
      const readyForMs = random.chance(0.3) ? failedStart : random.next() * 20_000;
      now += startMs + (readyForMs ?? 0);
      const next = nextRestart(settings, history, { readyForMs, random: 0 });
      const sinceStart = now + next.delayMs - startedAt;
      if (i > 0 && sinceStart < settings.resetAfterMs) assert.ok(next.delayMs >= settings.backoffMs, `life ${i}`);
      now += next.delayMs;
      startedAt = now;
      history = next.history;
    }
  });
});
