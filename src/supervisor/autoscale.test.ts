import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { type AutoscaleState, decideReplicas, emptyAutoscaleState } from "./autoscale.js";

const range = { min: 1, max: 10, targetInFlight: 8 };

interface Simulation {
  readonly seconds: number;
  /** Calls in flight at a second. */
  readonly load: (second: number) => number;
  readonly stepMs?: number;
  readonly range?: typeof range;
  /** Replicas there are at the start. */
  readonly replicas?: number;
}

interface Decision {
  readonly second: number;
  readonly inFlight: number;
  readonly wanted: number;
}

/** Decides every step, each decision carried out at once. */
function simulate({ seconds, load, stepMs = 500, range: within = range, replicas = 1 }: Simulation): Decision[] {
  const decisions: Decision[] = [];
  let state: AutoscaleState = emptyAutoscaleState;
  let running = replicas;
  for (let now = 0; now <= seconds * 1000; now += stepMs) {
    const second = now / 1000;
    const inFlight = load(second);
    const decided = decideReplicas(state, { now: 5_000_000 + now, inFlight, replicas: running }, within);
    state = decided.state;
    running = decided.wanted;
    decisions.push({ second, inFlight, wanted: running });
  }
  return decisions;
}

/** Each number wanted, and the second from which on it was. */
function changesOf(decisions: readonly Decision[]): [second: number, wanted: number][] {
  return decisions
    .filter(({ wanted }, i) => wanted !== decisions[i - 1]?.wanted)
    .map(({ second, wanted }) => [second, wanted]);
}

const wantedAt = (decisions: readonly Decision[], at: number) =>
  decisions.findLast(({ second }) => second <= at)?.wanted;

describe("decideReplicas", () => {
  it("wants the lower bound while nothing is in flight", () => {
    assert.deepEqual(changesOf(simulate({ seconds: 300, load: () => 0 })), [[0, 1]]);
    assert.deepEqual(changesOf(simulate({ seconds: 60, load: () => 0, range: { ...range, min: 3 } })), [[0, 3]]);
  });

  it("wants one replica for every targetInFlight calls, one more from the first call above (JA2)", () => {
    for (const [inFlight, wanted] of [
      [8, 1],
      [9, 2],
      [16, 2],
      [17, 3],
      [80, 10],
      [81, 10],
      [100_000, 10],
    ] as const) {
      assert.equal(simulate({ seconds: 10, load: () => inFlight }).at(-1)?.wanted, wanted, `${inFlight} in flight`);
    }
  });

  it("wants all that a burst needs within two seconds, in one step (JA2)", () => {
    for (const stepMs of [100, 250, 500, 1000]) {
      const changes = changesOf(simulate({ seconds: 20, load: (second) => (second < 10 ? 1 : 60), stepMs }));
      assert.deepEqual(
        changes.map(([, wanted]) => wanted),
        [1, 8],
      );
      assert.ok((changes[1]?.[0] ?? 0) <= 12, `a sample every ${stepMs} ms: at ${changes[1]?.[0]} s`);
    }
  });

  it("follows a ramp up step by step, and never down on the way", () => {
    const changes = changesOf(simulate({ seconds: 80, load: (second) => second }));
    assert.deepEqual(
      changes.map(([, wanted]) => wanted),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
    for (const [second, wanted] of changes.slice(1)) {
      assert.ok(second - (wanted - 1) * 8 <= 2, `${wanted} wanted at ${second} s`);
    }
  });

  it("lets one sample that stands out change nothing, however far apart samples are (JA1)", () => {
    for (const stepMs of [250, 500, 1000, 5000]) {
      const load = (second: number) => (second === 0 || second === 20 || second === 40 ? 1000 : 8);
      assert.deepEqual(changesOf(simulate({ seconds: 60, load, stepMs })), [[0, 1]], `every ${stepMs} ms`);
    }
  });

  it("wants fewer once the load has fitted fewer for the whole window, straight down to what it needs (JA3)", () => {
    const changes = changesOf(simulate({ seconds: 90, load: (second) => (second < 20 ? 60 : 9) }));
    assert.deepEqual(
      changes.map(([, wanted]) => wanted),
      [1, 8, 2],
    );
    const secondsHeld = (changes[2]?.[0] ?? 0) - 20;
    assert.ok(secondsHeld >= 30 && secondsHeld <= 32, `held for ${secondsHeld} s`);
  });

  it("goes down by steps as the needs of the window fall behind (JA3)", () => {
    const load = (second: number) => Math.max(0, 80 - second);
    const changes = changesOf(simulate({ seconds: 130, load, replicas: 10 }));
    assert.deepEqual(
      changes.map(([, wanted]) => wanted),
      [10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
    );
  });

  it("keeps still for a load that swings faster than the window (JA3)", () => {
    const sawtooth = (second: number) => 4 + (second % 20) * 3;
    const blocks = (second: number) => (second % 25 < 12 ? 70 : 0);
    for (const load of [sawtooth, blocks]) {
      const later = simulate({ seconds: 600, load }).filter(({ second }) => second > 40);
      assert.equal(new Set(later.map(({ wanted }) => wanted)).size, 1, load.name);
    }
  });

  it("goes up once and down once for each swing that is slower than the window", () => {
    const decisions = simulate({ seconds: 599, load: (second) => (second % 120 < 60 ? 40 : 0) });
    assert.deepEqual(
      changesOf(decisions).map(([, wanted]) => wanted),
      [1, 5, 1, 5, 1, 5, 1, 5, 1, 5, 1],
    );
  });

  it("keeps the replicas it finds until a window has been watched (JA3)", () => {
    const decisions = simulate({ seconds: 60, load: () => 0, replicas: 6 });
    assert.deepEqual([wantedAt(decisions, 29), wantedAt(decisions, 30)], [6, 1]);
  });

  it("takes a time in which nobody looked for one that needed what was there before (JA3)", () => {
    let state: AutoscaleState = emptyAutoscaleState;
    const decide = (now: number, inFlight: number) => {
      const decided = decideReplicas(state, { now, inFlight, replicas: 1 }, range);
      state = decided.state;
      return decided.wanted;
    };
    for (const now of [0, 1000, 2000]) decide(now, 40);
    const afterGap = [602_000, 603_000, 604_000, 605_000].map((now) => decide(now, 0));
    assert.deepEqual(afterGap, [5, 5, 5, 5]);
    assert.equal(decide(640_000, 0), 1);
  });

  it("stays within its bounds, also where they leave no choice (JA4)", () => {
    const fixed = { min: 2, max: 2, targetInFlight: 1 };
    const load = (second: number) => (second < 30 ? 500 : 0);
    assert.deepEqual(changesOf(simulate({ seconds: 120, load, range: fixed })), [[0, 2]]);
    assert.deepEqual(changesOf(simulate({ seconds: 10, load: () => 0, replicas: 40 })), [[0, 10]]);
  });

  it("keeps JA1 to JA4 for loads of every kind", () => {
    const random = new Random(3);
    for (let run = 0; run < 30; run++) {
      const level = random.next() * 100;
      let walk = level;
      const load = () => {
        walk = Math.max(0, walk + (random.next() - 0.5) * level + (random.chance(0.02) ? 80 : 0));
        return Math.round(random.chance(0.1) ? walk * 5 : walk);
      };
      const decisions = simulate({ seconds: 300, load });
      for (const [i, { second, wanted }] of decisions.entries()) {
        assert.ok(wanted >= range.min && wanted <= range.max);
        const before = decisions[i - 1]?.wanted ?? wanted;
        const recent = decisions.slice(Math.max(0, i - 4), i + 1).map(({ inFlight }) => inFlight);
        if (wanted > before)
          assert.ok(recent.filter((inFlight) => inFlight > before * 8).length >= 2, `up at ${second}`);
        if (wanted < before) {
          const lastRise = decisions.findLast((one, j) => j < i && one.wanted > (decisions[j - 1]?.wanted ?? 0));
          assert.ok(second - (lastRise?.second ?? 0) >= 30, `down at ${second}`);
        }
      }
    }
  });

  it("remembers little, however long it runs", () => {
    let state: AutoscaleState = emptyAutoscaleState;
    for (let i = 0; i < 10_000; i++) {
      const inFlight = Math.round(40 + 40 * Math.sin(i / 50));
      state = decideReplicas(state, { now: i * 250, inFlight, replicas: 1 }, range).state;
      assert.ok(state.samples.length <= 9 && state.needs.length <= range.max);
    }
  });
});
