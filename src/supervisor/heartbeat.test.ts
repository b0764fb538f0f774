import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDeploymentPlan, liveness, SupervisorStage, settled } from "../../test/supervisor/supervisor-stage.js";
import type { Clock, Timer } from "../base/clock.js";
import { Heartbeat } from "./heartbeat.js";

/** The clock of a thread that was busy: time has passed, and every timer that fell due meanwhile runs in one turn. */
class StalledClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  wallTimeOf(instant: number): number {
    return instant;
  }

  setTimer(run: () => void, delayMs: number): Timer {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.push(timer);
    return { clear: () => (this.#timers = this.#timers.filter((own) => own !== timer)), keepAlive: () => {} };
  }

  passUnnoticed(ms: number): void {
    this.#now += ms;
  }

  /** One turn: timers that are set meanwhile wait for the next. */
  runDue(): void {
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter((timer) => !due.includes(timer));
    for (const { run } of due) run();
  }
}

/** A heartbeat of one host, and what it has told: `"pulse 3"` with the calls in flight, `"silent"`, `"stuck"`. */
async function createHeart(residence: "process" | "main" = "process", clock?: Clock) {
  const stage = new SupervisorStage();
  const host = stage.deps.createHost(createDeploymentPlan("A", { residence }), 0);
  const [fake] = stage.hosts;
  assert.ok(fake !== undefined);
  await host.load(new AbortController().signal);
  const told: string[] = [];
  const heartbeat = new Heartbeat(host, {
    settings: liveness,
    clock: clock ?? stage.clock,
    onPulse: ({ inFlight }) => told.push(`pulse ${inFlight}`),
    onSilent: () => told.push("silent"),
    onStuck: (ms, limit) => told.push(`stuck ${ms} by ${limit}`),
  });
  const take = () => told.splice(0);
  return { heartbeat, stage, host: fake, take };
}

describe("Heartbeat", () => {
  it("asks at once and then an interval after each answer, one question at a time", async () => {
    const { heartbeat, stage, host, take } = await createHeart();
    host.inFlight = 3;
    heartbeat.start();
    await settled();
    assert.deepEqual(take(), ["pulse 3"]);
    await stage.pass(999);
    assert.deepEqual(take(), []);
    await stage.pass(1);
    assert.deepEqual(take(), ["pulse 3"]);
    host.isSilent = true;
    await stage.pass(4000);
    assert.deepEqual(take(), []);
    host.wake();
    await settled();
    assert.deepEqual(take(), ["pulse 3"]);
  });

  it("tells a silence, and the answer that ends it", async () => {
    const { heartbeat, stage, host, take } = await createHeart();
    host.isSilent = true;
    heartbeat.start();
    await stage.pass(4999);
    assert.deepEqual(take(), []);
    await stage.pass(1);
    assert.deepEqual(take(), ["silent"]);
    await stage.pass(20_000);
    host.wake();
    await settled();
    assert.deepEqual(take(), ["pulse 0"]);
    await stage.pass(1000);
    assert.deepEqual(take(), ["pulse 0"]);
  });

  it("takes no replica for silent that has answered while the asker itself was busy", async () => {
    const clock = new StalledClock();
    const { heartbeat, host, take } = await createHeart("process", clock);
    host.isSilent = true;
    heartbeat.start();
    // The asker was busy for longer than either limit: its timers are all late, and the answer is there to be read.
    clock.passUnnoticed(60_000);
    clock.runDue();
    host.wake();
    await settled();
    clock.runDue();
    assert.deepEqual(take(), ["pulse 0"]);
    heartbeat.stop();
  });

  it("tells once that a silence has lasted too long, and asks no more", async () => {
    const { heartbeat, stage, host, take } = await createHeart();
    host.isSilent = true;
    heartbeat.start();
    await stage.pass(29_999);
    assert.deepEqual(take(), ["silent"]);
    await stage.pass(60_000);
    assert.deepEqual(take(), ["stuck 30000 by liveness.replaceAfterMs"]);
    assert.equal(stage.clock.pendingTimers, 0);
  });

  it("allows a replica more silence in the first run of an api, also where it hears of that run last", async () => {
    const { heartbeat, stage, host, take } = await createHeart();
    host.isSilent = true;
    heartbeat.start();
    await stage.pass(3000);
    host.isWarmingUp = true;
    await stage.pass(290_000);
    assert.deepEqual(take(), []);
    await stage.pass(7000);
    assert.deepEqual(take(), ["silent", "stuck 300000 by liveness.warmUpMs"]);
  });

  it("allows a replica as much silence as a start in its process may take, until that is over or past its limit", async () => {
    const { heartbeat, stage, host, take } = await createHeart();
    host.isSilent = true;
    host.heldUpMs = 400_000;
    heartbeat.start();
    await stage.pass(399_000);
    assert.deepEqual(take(), []);
    host.wake();
    host.heldUpMs = 0;
    await stage.pass(1000);
    take();
    host.isSilent = true;
    await stage.pass(31_000);
    assert.deepEqual(take(), ["silent", "stuck 30000 by liveness.replaceAfterMs"]);
    heartbeat.stop();
  });

  it("allows a replica three times the longest run of which it has seen the end", async () => {
    const { heartbeat, stage, host, take } = await createHeart();
    host.longestRunMs = 12_000;
    heartbeat.start();
    await settled();
    host.isSilent = true;
    await stage.pass(1000);
    take();
    await stage.pass(35_999);
    assert.deepEqual(take(), []);
    await stage.pass(1);
    assert.deepEqual(take(), ["silent", "stuck 36000 by 3 times its longest run"]);
  });

  it("takes a replica that ends while it is asked for ended, not for stuck", async () => {
    const { heartbeat, stage, host, take } = await createHeart();
    host.isSilent = true;
    heartbeat.start();
    await stage.pass(100);
    host.end();
    await settled();
    assert.deepEqual(take(), []);
    heartbeat.stop();
    assert.equal(stage.clock.pendingTimers, 0);
  });

  it("is quiet once stopped, whether it was asking or waiting to ask", async () => {
    for (const isSilent of [true, false]) {
      const { heartbeat, stage, host, take } = await createHeart();
      host.isSilent = isSilent;
      heartbeat.start();
      await settled();
      take();
      heartbeat.stop();
      assert.equal(stage.clock.pendingTimers, 0);
      host.wake();
      await stage.pass(60_000);
      assert.deepEqual(take(), []);
      assert.equal(stage.clock.pendingTimers, 0);
    }
  });

  it("tells no silence of a replica that is debugged, and reads its pulse all the same", async () => {
    const { heartbeat, stage, host, take } = await createHeart();
    host.isInspected = true;
    heartbeat.start();
    await settled();
    host.isSilent = true;
    await stage.pass(1000);
    take();
    await stage.pass(3_600_000, 10_000);
    assert.deepEqual(take(), []);
    host.wake();
    await settled();
    assert.equal(take().length, 1);
    heartbeat.stop();
    assert.equal(stage.clock.pendingTimers, 0);
  });

  it("does not ask a replica in this very thread", async () => {
    const { heartbeat, stage, take } = await createHeart("main");
    heartbeat.start();
    await stage.pass(60_000);
    assert.deepEqual(take(), []);
    assert.equal(stage.clock.pendingTimers, 0);
  });
});
