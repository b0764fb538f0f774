import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Priority } from "../call/call.js";
import { Admission } from "./admission.js";
import { CallQueue, type QueueEntry } from "./call-queue.js";

// A lane in simulated time: calls come, wait, run and are given up as those of many clients do. What is tested is the
// policy alone; test/conformance has it in replicas, and the bench `overload` with everything around it.

/** Calls of one kind. Times in milliseconds. */
interface Clients {
  /** Milliseconds until the next call. */
  readonly gap: () => number;
  readonly from?: number;
  readonly until: number;
  readonly runMs: () => number;
  /** Its client goes away after so long, by closing. */
  readonly patienceMs: number;
  /** Deadline that the lane sees; default: none. */
  readonly deadlineMs?: number;
  readonly priority?: Priority;
  /** Retries of a refused call, and the pause before each. */
  readonly retries?: number;
  readonly retryMs?: number;
  /** True when each answer or refusal causes the next call at once, as in a load test. */
  readonly isLoop?: boolean;
}

interface Tally {
  came: number;
  /** Answered before its client went away. */
  good: number;
  refused: number;
  left: number;
  readonly tookMs: number[];
}

interface SimulatedCall {
  readonly clients: Clients;
  readonly tally: Tally;
  readonly sentAt: number;
  cameAt: number;
  waitedMs: number;
  tries: number;
  state: "waiting" | "running" | "over";
  isGivenUp: boolean;
  entry: QueueEntry<SimulatedCall> | undefined;
}

class SimulatedLane {
  now = 0;
  readonly admission = new Admission();
  readonly #queue = new CallQueue<SimulatedCall>(this.admission);
  readonly #slots: number;
  readonly #events: { readonly at: number; readonly number: number; readonly run: () => void }[] = [];
  #running = 0;
  #count = 0;

  constructor(slots: number) {
    this.#slots = slots;
  }

  /** @returns What became of each kind. */
  run(kinds: readonly Clients[]): Tally[] {
    const tallies = kinds.map(() => ({ came: 0, good: 0, refused: 0, left: 0, tookMs: [] }));
    for (const [i, clients] of kinds.entries()) {
      this.#at(clients.from ?? 0, () => this.#send(clients, tallies[i] as Tally));
    }
    for (let event = this.#pop(); event !== undefined; event = this.#pop()) {
      this.now = event.at;
      event.run();
    }
    assert.equal(this.#queue.size + this.admission.size + this.#running, 0);
    return tallies;
  }

  #send(clients: Clients, tally: Tally): void {
    if (this.now > clients.until) return;
    const fresh = { clients, tally, sentAt: this.now, cameAt: this.now, waitedMs: 0, tries: 0, isGivenUp: false };
    const call: SimulatedCall = { ...fresh, state: "waiting", entry: undefined };
    tally.came++;
    this.#at(this.now + clients.patienceMs, () => this.#giveUp(call));
    this.#come(call);
    if (!clients.isLoop || tally.came === 1) {
      const gap = clients.gap();
      if (gap < Number.POSITIVE_INFINITY) this.#at(this.now + gap, () => this.#send(clients, tally));
    }
  }

  #come(call: SimulatedCall): void {
    const { priority = "interactive", deadlineMs = 60_000 } = call.clients;
    call.cameAt = this.now;
    if (this.#running < this.#slots && this.#queue.size === 0) {
      if (this.admission.isOverloaded) this.admission.foundRoom(this.now);
      this.#begin(call);
      return;
    }
    const expiresAt = call.sentAt + deadlineMs;
    if (this.admission.refuse({ priority, now: this.now, expiresAt }) === undefined) {
      call.entry = this.#queue.push(call, priority, this.now);
    } else this.#refuse(call);
  }

  #refuse(call: SimulatedCall): void {
    const { retries = 0, retryMs = 0, isLoop } = call.clients;
    if (call.tries++ < retries) {
      this.#at(this.now + retryMs, () => call.state === "waiting" && this.#come(call));
      return;
    }
    call.state = "over";
    call.tally.refused++;
    if (isLoop) this.#at(this.now + 20, () => this.#send(call.clients, call.tally));
  }

  #begin(call: SimulatedCall): void {
    this.#running++;
    call.state = "running";
    call.waitedMs = this.now - call.cameAt;
    const runMs = call.clients.runMs();
    this.#at(this.now + runMs, () => this.#end(call, runMs));
  }

  #end(call: SimulatedCall, runMs: number): void {
    const { admission, now } = this;
    this.#running--;
    if (!call.isGivenUp) {
      call.tally.good++;
      call.tally.tookMs.push(now - call.sentAt);
      if (call.clients.isLoop) this.#at(now, () => this.#send(call.clients, call.tally));
    } else if (call.entry !== undefined) admission.lost(call.entry, now, call.waitedMs);
    call.state = "over";
    admission.pace.ran(runMs);
    admission.answered(now);
    const next = this.#queue.first;
    if (next === undefined) return;
    this.#queue.serve(next.entry as QueueEntry<SimulatedCall>);
    this.#begin(next);
  }

  #giveUp(call: SimulatedCall): void {
    if (call.state === "over") return;
    call.tally.left++;
    call.isGivenUp = true;
    if (call.state === "running") return;
    call.state = "over";
    if (call.entry === undefined) return;
    this.#queue.remove(call.entry);
    this.admission.lost(call.entry, this.now, this.now - call.cameAt);
  }

  #at(at: number, run: () => void): void {
    const event = { at, number: this.#count++, run };
    let low = 0;
    for (let high = this.#events.length; low < high; ) {
      const middle = (low + high) >> 1;
      const other = this.#events[middle] as typeof event;
      if (other.at > at || (other.at === at && other.number > event.number)) low = middle + 1;
      else high = middle;
    }
    this.#events.splice(low, 0, event);
  }

  #pop() {
    return this.#events.pop();
  }
}

/** The same numbers in each run. */
function createRandom(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
}

const draw = createRandom();
const constant = (ms: number) => () => ms;
/** Gaps of many clients that know nothing of one another. */
const random = (ms: number) => () => -ms * Math.log(draw());
/** Thirty at once, then nothing for as long as thirty take. */
const bursty = (ms: number) => {
  let count = 0;
  return () => (++count % 30 === 0 ? 30 * ms : 0);
};
/** Many short gaps and a few that are very long; the mean is `ms`. */
const heavyTailed = (ms: number) => () => ms / 3 / draw() ** (2 / 3);
const once = (count: number) => {
  let sent = 0;
  return () => (++sent < count ? 0 : Number.POSITIVE_INFINITY);
};

const runMs = 10;
const perSecond = 1000 / runMs;
const patienceMs = 1000;

function quantile(values: readonly number[], share: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? Number.NaN;
}

function simulate(kinds: readonly Clients[], slots = 1): Tally[] {
  return new SimulatedLane(slots).run(kinds);
}

describe("Admission, simulated", () => {
  const arrivals = { constant, random, bursty, heavyTailed };
  for (const [name, gaps] of Object.entries(arrivals)) {
    for (const times of [1.2, 2, 10]) {
      for (const deadlineMs of [undefined, patienceMs]) {
        const told = deadlineMs === undefined ? "tell no deadline" : "tell their deadline";
        it(`answers nearly what it can at ${times} times that, ${name} arrivals of clients that ${told}`, () => {
          const until = 8_000;
          const kind = { gap: gaps(runMs / times), until, runMs: constant(runMs), patienceMs };
          const [tally] = simulate([deadlineMs === undefined ? kind : { ...kind, deadlineMs }]);
          const { good, came, refused, left } = tally as Tally;
          // Gaps with a heavy tail may leave nothing to do for longer than any client waits.
          const least = name === "heavyTailed" ? 0.8 : 0.95;
          const could = Math.min(came, perSecond * (until / 1000));
          assert.ok(good >= least * could, `${good} good of ${came}`);
          assert.equal(good + refused + left, came);
        });
      }
    }
    it(`refuses nobody at 0.7 of what it can, ${name} arrivals`, () => {
      const [tally] = simulate([{ gap: gaps(runMs / 0.7), until: 20_000, runMs: constant(runMs), patienceMs }]);
      assert.equal(tally?.good, tally?.came);
    });
  }

  it("answers within a few runs at twice what it can, and refuses at once (LD2, LD3)", () => {
    for (const gaps of [constant, random]) {
      const [tally] = simulate([{ gap: gaps(runMs / 2), until: 8_000, runMs: constant(runMs), patienceMs }]);
      assert.ok(quantile(tally?.tookMs ?? [], 0.5) <= 5 * runMs);
    }
  });

  it("serves in full what comes a second after an overload of ten times has ended", () => {
    const shared = { runMs: constant(runMs), patienceMs };
    const overload = { ...shared, gap: random(runMs / 10), until: 8_000 };
    const [, after] = simulate([overload, { ...shared, gap: random(runMs / 0.7), from: 9_000, until: 17_000 }]);
    assert.equal(after?.good, after?.came);
  });

  it("loses none of a burst that its clients wait for (LD1)", () => {
    const [tally] = simulate([{ gap: once(450), until: 0, runMs: constant(100), patienceMs: 60_000 }]);
    assert.equal(tally?.good, 450);
  });

  it("serves a crowd of loops in turn, and refuses none, though many of them always wait", () => {
    const loop = { gap: constant(Number.POSITIVE_INFINITY), until: 20_000, runMs: constant(runMs), isLoop: true };
    const tallies = simulate(Array.from({ length: 64 }, () => ({ ...loop, patienceMs: 5_000 })));
    const counts = tallies.map(({ good }) => good);
    assert.deepEqual([Math.max(...tallies.map(({ refused }) => refused)), Math.min(...counts) >= 30], [0, true]);
  });

  it("serves loops in turn again when an overload beside them has ended", () => {
    const shared = { runMs: constant(runMs), until: 40_000 };
    const loop = { ...shared, gap: constant(Number.POSITIVE_INFINITY), isLoop: true, patienceMs: 20_000 };
    const loops = Array.from({ length: 32 }, () => loop);
    const others: Clients = { ...shared, gap: random(runMs / 2), until: 4_000, patienceMs: 300 };
    const tallies = simulate([...loops, others]).slice(0, 32);
    assert.ok(Math.min(...tallies.map(({ good }) => good)) > 50);
  });

  it("does its work under clients that come again when they are refused, at once or later", () => {
    for (const retryMs of [2, 100, 1000]) {
      const kind = { gap: random(runMs / 2), until: 8_000, runMs: constant(runMs), patienceMs, retries: 50, retryMs };
      const [tally] = simulate([kind]);
      assert.ok((tally?.good ?? 0) >= 0.95 * perSecond * 8, `${tally?.good} good, again after ${retryMs} ms`);
    }
  });

  it("keeps many slots at work, with runs of all lengths", () => {
    const kind = { until: 8_000, runMs: () => 16 * runMs * -Math.log(draw()), patienceMs };
    for (const times of [2, 10]) {
      const [tally] = simulate([{ ...kind, gap: random(runMs / times) }], 16);
      assert.ok((tally?.good ?? 0) >= 0.85 * perSecond * 8, `${tally?.good} good`);
    }
  });

  it("is as good for an api that runs for half a second, of clients that wait for five", () => {
    const kind = { gap: random(50), until: 60_000, runMs: constant(500), patienceMs: 5_000 };
    const [tally] = simulate([kind]);
    assert.ok((tally?.good ?? 0) >= 0.9 * 2 * 60, `${tally?.good} good`);
  });

  it("gives background calls their turns under an overload of interactive ones, and no more than that", () => {
    const shared = { until: 8_000, runMs: constant(runMs) };
    const interactive = { ...shared, gap: random(runMs / 2), patienceMs };
    const background: Clients = { ...shared, gap: random(30), patienceMs: 20_000, priority: "background" };
    const [first, second] = simulate([interactive, background]) as [Tally, Tally];
    assert.ok(second.good >= 80 && second.good <= 250, `${second.good} background calls`);
    assert.ok(first.good >= 600, `${first.good} interactive calls`);
    assert.ok(second.refused > 0);
  });

  it("loses next to no interactive call to an overload of background ones", () => {
    const shared = { until: 8_000, runMs: constant(runMs) };
    const interactive = { ...shared, gap: random(runMs / 0.4), patienceMs };
    const background: Clients = { ...shared, gap: random(runMs / 2), patienceMs: 3_000, priority: "background" };
    const [first, second] = simulate([interactive, background]) as [Tally, Tally];
    assert.ok(first.good >= 0.95 * first.came, `${first.good} of ${first.came}`);
    assert.ok(first.good + second.good >= 0.95 * perSecond * 8);
  });

  it("goes on so through two minutes of overload, and tries now and then whether clients have become patient (LD4)", () => {
    const [tally] = simulate([{ gap: random(runMs / 2), until: 120_000, runMs: constant(runMs), patienceMs }]);
    assert.ok((tally?.good ?? 0) >= 0.95 * perSecond * 120);
    assert.ok(quantile(tally?.tookMs ?? [], 0.5) <= 5 * runMs);
  });
});

describe("Admission", () => {
  const ask = (admission: Admission, leftMs: number, now: number) =>
    admission.refuse({ priority: "interactive", now, expiresAt: now + leftMs });

  /** A lane with one slot in which `count` calls of `ms` each have been answered while others waited. */
  function learn(admission: Admission, count: number, ms: number, from = 0): number {
    let now = from;
    for (let i = 0; i < count; i++) {
      now += ms;
      admission.pace.ran(ms);
      admission.answered(now);
    }
    return now;
  }

  it("refuses by its pace what would be too late, and lets in what would not", () => {
    const admission = new Admission();
    for (let i = 0; i < 10; i++) admission.came("interactive", 0);
    const now = learn(admission, 20, 10);
    assert.equal(ask(admission, 120, now), undefined);
    const refusal = ask(admission, 100, now);
    assert.deepEqual([refusal?.why, Math.round(refusal?.waitMs ?? 0)], ["late", 100]);
  });

  it("refuses nobody by a pace of which little is known, or that was heard long ago", () => {
    const admission = new Admission();
    for (let i = 0; i < 10; i++) admission.came("interactive", 0);
    const now = learn(admission, 7, 1000);
    assert.equal(ask(admission, 1, now), undefined);
    learn(admission, 20, 1000, now);
    for (let i = 0; i < 10; i++) admission.left("interactive", 0);
    const later = now + 3_600_000;
    for (let i = 0; i < 10; i++) admission.came("interactive", later);
    assert.equal(ask(admission, 1, later), undefined);
  });

  it("takes one very long run for what it is", () => {
    const admission = new Admission();
    for (let i = 0; i < 10; i++) admission.came("interactive", 0);
    let now = learn(admission, 100, 10);
    now = learn(admission, 1, 30_000, now);
    assert.ok((admission.expectWait("interactive") ?? 0) < 150);
    now = learn(admission, 100, 1_000, now);
    assert.ok((admission.expectWait("interactive") ?? 0) > 5_000, "a slower pace is learnt all the same");
  });

  it("counts as losses neither calls that leave without having waited nor many that leave as one (LD1)", () => {
    const admission = new Admission();
    const era = admission.came("interactive", 0);
    for (let i = 0; i < 9; i++) admission.came("interactive", 0);
    let now = learn(admission, 20, 10);
    for (let i = 0; i < 20; i++) {
      admission.lost({ priority: "interactive", era }, now, 5);
      now = learn(admission, 1, 10, now);
    }
    for (let i = 0; i < 500; i++) admission.lost({ priority: "interactive", era }, now, 900);
    learn(admission, 1, 10, now);
    assert.equal(admission.isOverloaded, false);
  });
});
