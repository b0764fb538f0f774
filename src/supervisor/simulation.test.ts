import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import type { FakeHost, Step } from "../../test/supervisor/fake-host.js";
import {
  createDeploymentPlan,
  liveness,
  type PlanWish,
  restart,
  SupervisorStage,
  settled,
} from "../../test/supervisor/supervisor-stage.js";
import { fail } from "../failure/failures.js";
import type { Plan } from "../graph/plan.js";
import { Supervisor } from "./supervisor.js";

// Apps to which anything happens at any moment. What must hold after each step, and what must come of it once nothing
// happens any more, is said by the invariants of supervisor.ts, deployment.ts and replica-seat.ts.

const runs = 150;
const stepsOfRun = 60;
const bound = 1000;
/** Time moves in steps of so long. */
const stepMs = 250;

/** Front calls Wide, which scales, and Model; both call Base. */
const alone: Readonly<Record<string, PlanWish>> = {
  Base: { memoryBytes: bound, restart: { giveUpAfter: 0 } },
  Wide: { callees: ["Base"], replicas: { min: 1, max: 4 }, restart: { giveUpAfter: 0 } },
  Model: { callees: ["Base"], replicas: 2, memoryBytes: bound, restart: { giveUpAfter: 0 } },
  Front: { callees: ["Wide", "Model"], restart: { giveUpAfter: 0 } },
};
const names = Object.keys(alone);
/** All but Front in one group. */
const grouped: typeof alone = Object.fromEntries(
  Object.entries(alone).map(([name, wish]) => [
    name,
    name === "Front" ? wish : { ...wish, group: "g", memoryBytes: bound },
  ]),
);
const steps: readonly Step[] = ["load", "start", "drain", "stop"];

/** One run: an app, what happens to it, and what must hold. */
class World {
  readonly random: Random;
  readonly services: typeof alone;
  readonly stage = new SupervisorStage();
  readonly supervisor: Supervisor;
  /** Time at which each silent host became silent. */
  readonly silentSince = new Map<FakeHost, number>();
  /** Time at which each host was first seen started. */
  readonly startedAt = new Map<FakeHost, number>();
  started: Promise<"started" | "failed">;
  stopped: Promise<void> | undefined;
  isStopped = false;

  constructor(seed: number, services: typeof alone) {
    this.random = new Random(seed);
    this.services = services;
    const deployments = Object.entries(services).map(([name, wish]) => createDeploymentPlan(name, wish));
    this.supervisor = new Supervisor({ deployments, notices: [] } as unknown as Plan, this.stage.deps);
    this.stage.watch(...names);
    if (this.random.chance(0.5)) this.hold();
    this.started = this.supervisor.start().then(
      () => "started",
      () => "failed",
    );
  }

  hold(): void {
    for (const step of steps) {
      if (this.random.chance(0.3)) this.stage.held.add(step);
      else this.stage.held.delete(step);
    }
  }

  /** Something happens. */
  async act(): Promise<void> {
    const host = this.random.pick(this.stage.hosts);
    const ms = this.random.pick([1, 50, 500, 3000, 12_000, 40_000]);
    const acts: Readonly<Record<string, () => unknown>> = {
      "a host ends": () => host.end(),
      "a host falls silent": () => {
        host.isSilent = true;
        const now = this.stage.clock.now();
        for (const own of host.caller.hosts) if (!this.silentSince.has(own)) this.silentSince.set(own, now);
      },
      "a host wakes": () => this.wake(host),
      "a host grows": () => {
        host.residentBytes = this.random.pick([1, bound + 1]);
      },
      "load changes": () => {
        for (const own of this.stage.hosts) own.inFlight = this.random.pick([0, 4, 20]);
      },
      "a step ends": () => host.steps[this.random.pick(steps)].resolve(),
      "a step fails": () =>
        host.steps[this.random.pick(["load", "start"] as const)].reject(
          fail("start_failed", { hook: "start", error: "as told" }),
        ),
      "steps take time, or not": () => this.hold(),
      "a replica is taken away": () => {
        const service = this.random.pick(names);
        void this.supervisor.replaceReplica(service, this.random.pick([0, 1]));
      },
      "time passes": () => this.stage.pass(ms, stepMs),
      "more time passes": () => this.stage.pass(ms, stepMs),
    };
    await this.random.pick(Object.values(acts))();
    await settled();
  }

  wake(host: FakeHost): void {
    for (const own of host.caller.hosts) this.silentSince.delete(own);
    host.wake();
  }

  stop(): void {
    const limit = new AbortController();
    if (this.random.chance(0.5)) limit.abort();
    this.stopped ??= this.supervisor.stop(limit.signal).then(() => {
      this.isStopped = true;
    });
  }

  check(): void {
    const { stage, silentSince, startedAt } = this;
    const now = stage.clock.now();
    for (const host of stage.hosts) if (host.hasStarted && !startedAt.has(host)) startedAt.set(host, now);
    for (const service of names) {
      const own = stage.hosts.filter((host) => host.id.startsWith(`${service}#`));
      for (const name of stage.announced(service)) {
        const host = stage.host(name);
        assert.ok(host.isRunning && host.hasStarted && !host.isDraining, `${name} is called and can't answer (JS1)`);
        const silentMs = now - Math.max(silentSince.get(host) ?? now, startedAt.get(host) ?? now);
        const outMs = liveness.intervalMs + liveness.suspendAfterMs;
        assert.ok(silentMs <= outMs, `${name} is called though silent for ${silentMs} ms (JS1)`);
      }
      for (const host of own) {
        const others = own.filter((other) => other.id === host.id && other.isRunning && !other.isDraining);
        // One in the place and one that is to take it; others of the name are on their way out.
        assert.ok(others.length <= 2, `${others.map(({ name }) => name)} share one place (JS4)`);
      }
    }
    this.checkProcesses();
    if (this.isStopped)
      assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0], "something is left (JS3)");
  }

  /** Checks which replicas share a process, and how many do. */
  checkProcesses(): void {
    const running = this.stage.hosts.filter((host) => host.isRunning);
    for (const site of new Set(running.map((host) => host.caller))) {
      const own = running.filter((host) => host.caller === site);
      const ids = own.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, `a process has two replicas of one name: ${ids}`);
      const numbers = new Set(ids.map((id) => id.slice(id.indexOf("#"))));
      const isShared = this.services[ids[0]?.slice(0, ids[0].indexOf("#")) ?? ""]?.group !== undefined;
      assert.equal(numbers.size, 1, `replicas of different numbers share a process: ${ids}`);
      if (!isShared) assert.equal(own.length, 1, `${ids} share a process and no group`);
    }
  }

  /** Lets every host do each step at once, and lets nothing else happen. */
  async calm(): Promise<void> {
    this.stage.held.clear();
    for (let round = 0; round < 20; round++) {
      for (const host of this.stage.hosts) {
        for (const step of steps) host.steps[step].resolve();
        host.residentBytes = 1;
        host.inFlight = 0;
        this.wake(host);
      }
      await this.stage.pass(round < 5 ? 100 : 0, stepMs);
      await settled();
    }
    await this.stage.pass(2 * restart.maxBackoffMs + 40_000, stepMs);
  }

  /** Checks that everything is as planned once nothing happens any more (JS2). */
  async assertWhole(): Promise<void> {
    const wanted = { Base: ["Base#0"], Wide: ["Wide#0"], Model: ["Model#0", "Model#1"], Front: ["Front#0"] };
    for (const [service, ids] of Object.entries(wanted)) {
      const announced = this.stage.announced(service).map((name) => name.slice(0, name.indexOf("/")));
      assert.deepEqual(announced, ids, `${service} has its replicas`);
    }
    assert.equal(this.stage.running.length, 5, `these run: ${this.stage.running}`);
    const running = this.stage.hosts.filter((host) => host.isRunning);
    const processes = new Set(running.map((host) => host.caller)).size;
    // Those of the group in the processes of its largest member.
    assert.equal(processes, this.services === grouped ? 3 : 5, `they live in ${processes} processes`);
    assert.equal((await this.supervisor.readiness()).isReady, true);
    for (const host of this.stage.hosts.filter((own) => own.isRunning)) this.assertInformed(host);
  }

  /** Returns the name of the run of a replica in a process. */
  nameIn(site: FakeHost["caller"], id: string): string {
    return [...site.hosts].find((host) => host.id === id)?.name ?? `no ${id}`;
  }

  /** Checks that the last updates to a replica match the state (JR1, JR2). */
  assertInformed(host: FakeHost): void {
    const known = new Map<string, string>();
    for (const notice of host.notices) {
      if (notice.kind === "add") known.set(notice.replica, notice.address);
      if (notice.kind === "add-local") known.set(notice.replica, this.nameIn(host.caller, notice.replica));
      if (notice.kind === "remove") known.delete(notice.replica);
      if (notice.kind !== "forget") continue;
      for (const replica of known.keys()) if (replica.startsWith(`${notice.service}#`)) known.delete(replica);
    }
    const living = [...host.caller.hosts].filter((own) => own.isRunning);
    const callees = living.flatMap(({ id }) => this.services[id.slice(0, id.indexOf("#"))]?.callees ?? []);
    const there = [...new Set(callees)].flatMap((callee) => this.stage.announced(callee));
    assert.deepEqual([...known.values()].sort(), there.sort(), `${host.name} knows whom it may call`);
  }
}

/** Lives of places that end at random, from start to whatever comes last. */
async function live(seed: number, services: typeof alone): Promise<void> {
  const world = new World(seed, services);
  const stopsAt = world.random.chance(0.6) ? world.random.between(0, stepsOfRun - 1) : undefined;
  for (let step = 0; step < stepsOfRun; step++) {
    if (step === stopsAt) world.stop();
    await world.act();
    world.check();
  }
  await world.calm();
  world.check();
  const outcome = await world.started;
  if (world.stopped === undefined && outcome === "started") await world.assertWhole();
  world.stop();
  await world.calm();
  await world.stopped;
  const { length } = world.stage.hosts;
  await world.stage.pass(60_000, stepMs);
  world.check();
  assert.equal(world.stage.hosts.length, length, "nothing is begun after the end (JS3)");
}

describe("an app to which anything happens", () => {
  const first = Number(process.env["EKIBEN_SEED"] ?? 1);
  for (const [how, services] of Object.entries({ "on their own": alone, "some of them in a group": grouped })) {
    it(`keeps its invariants after each step, comes to rest, and leaves nothing behind, services ${how} (${runs} runs from seed ${first})`, async () => {
      for (let seed = first; seed < first + runs; seed++) {
        try {
          await live(seed, services);
        } catch (error) {
          (error as Error).message += ` — in the run of EKIBEN_SEED=${seed}`;
          throw error;
        }
      }
    });
  }
});
