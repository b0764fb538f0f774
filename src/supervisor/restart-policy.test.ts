import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import type { RestartSettings } from "../options/settings.js";
import { emptyHistory, nextRestart, type RestartHistory } from "./restart-policy.js";

const settings: RestartSettings = { backoffMs: 100, maxBackoffMs: 1000, resetAfterMs: 10_000, giveUpAfter: 0 };
const failedStart = undefined;

/** The waits after each of these lives, and `"give up"` where it ends. */
function waitsAfter(lives: readonly (number | undefined)[], over: Partial<RestartSettings> = {}) {
  const waits: (number | string)[] = [];
  let history: RestartHistory = emptyHistory;
  for (const readyForMs of lives) {
    const next = nextRestart({ ...settings, ...over }, history, { readyForMs });
    if (next.kind === "give-up") return [...waits, `gave up after ${next.attempts}`];
    waits.push(next.delayMs);
    history = next.history;
  }
  return waits;
}

const repeat = <T>(value: T, times: number): T[] => new Array<T>(times).fill(value);

describe("nextRestart", () => {
  it("restarts at once, then waits twice as long each time, up to the bound (R1, R2)", () => {
    assert.deepEqual(waitsAfter(repeat(failedStart, 8)), [0, 100, 200, 400, 800, 1000, 1000, 1000]);
    assert.deepEqual(waitsAfter(repeat(50, 4)), [0, 100, 200, 400]);
  });

  it("restarts at once after a healthy life, however many short ones were before it (R1)", () => {
    assert.deepEqual(waitsAfter([10_000, 10_000, 1e9]), [0, 0, 0]);
    assert.deepEqual(waitsAfter([50, 50, 50, 10_000, 50, 50]), [0, 100, 200, 0, 100, 200]);
  });

  it("takes a life for healthy only from the bound on, and a start that failed never (R3)", () => {
    assert.deepEqual(waitsAfter([50, 50, 9999, 50]), [0, 100, 200, 400]);
    assert.deepEqual(waitsAfter([50, 50, failedStart, 50]), [0, 100, 200, 400]);
  });

  it("gives up after so many short lives in a row, failed starts included, and says how many (R5)", () => {
    assert.deepEqual(waitsAfter([1, failedStart, 1, 1], { giveUpAfter: 3 }), [0, 100, "gave up after 3"]);
    assert.deepEqual(waitsAfter([failedStart], { giveUpAfter: 1 }), ["gave up after 1"]);
  });

  it("counts short lives anew after a healthy one (R5)", () => {
    assert.deepEqual(waitsAfter([1, 1, 10_000, 1, 1, 1], { giveUpAfter: 3 }), [0, 100, 0, 100, 200, "gave up after 3"]);
  });

  it("never gives up where 0 is set, and never waits longer than the bound", () => {
    const waits = waitsAfter(repeat(failedStart, 5000));
    assert.equal(waits.length, 5000);
    assert.equal(waits.at(-1), 1000);
    assert.deepEqual(waitsAfter([1, 1, 1], { backoffMs: 5000 }), [0, 1000, 1000], "the bound is below the first wait");
  });

  it("starts few processes in an hour of failed starts (R4)", () => {
    let now = 0;
    let starts = 0;
    for (let history: RestartHistory = emptyHistory; now < 3_600_000; starts++) {
      const next = nextRestart({ ...settings, maxBackoffMs: 10_000 }, history, { readyForMs: failedStart });
      assert.equal(next.kind, "restart");
      if (next.kind !== "restart") return;
      now += next.delayMs;
      history = next.history;
    }
    assert.ok(starts <= 370, `${starts} starts`);
  });

  it("never restarts twice at once within the time of a healthy life, whatever the lives are like (R4)", () => {
    const random = new Random(7);
    let now = 0;
    let startedAt = 0;
    let history: RestartHistory = emptyHistory;
    for (let i = 0; i < 20_000; i++) {
      const startMs = random.next() * 5000;
      const readyForMs = random.chance(0.3) ? failedStart : random.next() * 20_000;
      now += startMs + (readyForMs ?? 0);
      const next = nextRestart(settings, history, { readyForMs });
      if (next.kind !== "restart") return assert.fail("gave up");
      const sinceStart = now + next.delayMs - startedAt;
      if (i > 0 && sinceStart < settings.resetAfterMs) assert.ok(next.delayMs >= settings.backoffMs, `life ${i}`);
      now += next.delayMs;
      startedAt = now;
      history = next.history;
    }
  });
});
