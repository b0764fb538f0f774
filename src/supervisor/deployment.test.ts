import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createDeploymentPlan,
  type PlanWish,
  SupervisorStage,
  settled,
  targetInFlight,
} from "../../test/supervisor/supervisor-stage.js";
import { fail } from "../failure/failures.js";
import type { LinkUpdate } from "../placement/control.js";
import { Deployment } from "./deployment.js";
import { noEnds } from "./replica-state.js";

/** The replicas of service A, on a stage that watches them. */
async function createStarted(wish: PlanWish = {}) {
  const stage = new SupervisorStage();
  const deployment = new Deployment(createDeploymentPlan("A", wish), stage.deps);
  await deployment.start(Promise.resolve());
  stage.watch("A");
  await settled();
  stage.takeJournal();
  return { stage, deployment };
}

/** So many calls in flight, shared by all replicas there are. */
function setLoad(stage: SupervisorStage, inFlight: number): void {
  const running = stage.hosts.filter((host) => host.isRunning);
  for (const host of running) host.inFlight = inFlight / running.length;
}

const scaling = { replicas: { min: 1, max: 3 } };

describe("Deployment", () => {
  it("starts every replica at once", async () => {
    const stage = new SupervisorStage();
    const deployment = new Deployment(createDeploymentPlan("A", { replicas: 2 }), stage.deps);
    stage.held.add("start");
    const started = deployment.start(Promise.resolve());
    await settled();
    assert.deepEqual(stage.takeJournal(), ["load A#0/0", "load A#1/0", "start A#0/0", "start A#1/0"]);
    assert.deepEqual(deployment.hosts, []);
    for (const host of stage.hosts) host.steps.start.resolve();
    await started;
    assert.deepEqual(
      deployment.hosts.map(({ id }) => id),
      ["A#0", "A#1"],
    );
    await deployment.stop();
  });

  it("throws the first failure at once; what has started, or still starts, is left to stop()", async () => {
    const stage = new SupervisorStage();
    const deployment = new Deployment(createDeploymentPlan("A", { replicas: 3 }), stage.deps);
    stage.held.add("start");
    const started = assert.rejects(deployment.start(Promise.resolve()), { message: /no model/ });
    await settled();
    stage.host("A#0/0").steps.start.resolve();
    stage.host("A#1/0").steps.start.reject(fail("start_failed", { hook: "start", error: "no model" }));
    await started;
    assert.deepEqual(stage.running, ["A#0/0", "A#2/0"]);
    await deployment.stop();
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });

  it("tells the registry how many replicas there are to be", async () => {
    const stage = new SupervisorStage();
    const deployment = new Deployment(createDeploymentPlan("A", { replicas: 2 }), stage.deps);
    const known: LinkUpdate[] = [];
    stage.registry.subscribe({ residence: "process", notify: (notice) => known.push(notice) }, ["A"]);
    assert.deepEqual(known, [{ kind: "planned", service: "A", replicas: 2 }]);
    await deployment.stop();
  });

  it("takes each replica off the registry before it is asked to drain, and says that none will come (JD1)", async () => {
    const { stage, deployment } = await createStarted({ replicas: 2 });
    stage.held.add("drain");
    const notify = (notice: LinkUpdate) =>
      stage.journal.push(notice.kind === "remove" ? `remove ${notice.replica}` : notice.kind);
    stage.registry.subscribe({ residence: "process", notify }, ["A"]);
    stage.takeJournal();
    await deployment.drain();
    assert.deepEqual(stage.takeJournal(), ["remove A#0", "drain A#0/0", "remove A#1", "drain A#1/0", "draining"]);
    await deployment.stop();
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });

  it("ends one replica on request, and waits for the next in its place", async () => {
    const { stage, deployment } = await createStarted({ replicas: 2 });
    await deployment.replaceReplica(1);
    assert.deepEqual(stage.announced("A"), ["A#0/0", "A#1/1"]);
    await deployment.replaceReplica(7);
    assert.deepEqual(stage.takeJournal(), ["kill A#1/0", "load A#1/1", "start A#1/1"]);
    await deployment.stop();
  });
});

describe("Deployment.readiness", () => {
  it("has nothing to explain while every replica is ready", async () => {
    const { deployment } = await createStarted({ replicas: 2 });
    assert.deepEqual(await deployment.readiness(), { name: "A", isReady: true, readyReplicas: 2, replicas: 2 });
    await deployment.stop();
  });

  it("says how many are ready and what stands in the way of each other one", async () => {
    const { stage, deployment } = await createStarted({ replicas: 4, restart: { giveUpAfter: 2 } });
    stage.host("A#1/0").end("was ended by SIGKILL");
    await settled();
    stage.held.add("start");
    stage.host("A#2/0").isSilent = true;
    stage.host("A#3/0").end();
    await stage.pass(7000);
    stage.host("A#1/1").end("ended with exit code 3");
    await settled();
    const readiness = await deployment.readiness();
    assert.deepEqual([readiness.isReady, readiness.readyReplicas, readiness.replicas], [true, 1, 4]);
    assert.equal(
      readiness.detail,
      "1 of 4 replicas are ready; A#1 is down after 2 failures in a row (restart.giveUpAfter): ended with exit code 3; is started again after 30000 ms; " +
        "A#2 does not answer, its event loop is busy; A#3 is starting",
    );
    await deployment.stop();
  });

  it("is not ready while the authors' ready() says so, and names the replicas", async () => {
    const { stage, deployment } = await createStarted({ replicas: 2 });
    stage.host("A#0/0").isReplicaReady = false;
    const one = "A#0 did not answer in time whether it is ready";
    assert.deepEqual(await deployment.readiness(), {
      ...{ name: "A", isReady: true, readyReplicas: 1, replicas: 2, detail: `1 of 2 replicas are ready; ${one}` },
    });
    stage.host("A#1/0").isReplicaReady = false;
    const detail = `0 of 2 replicas are ready; ${one}; A#1 did not answer in time whether it is ready`;
    assert.deepEqual(await deployment.readiness(), {
      ...{ name: "A", isReady: false, readyReplicas: 0, replicas: 2, detail },
    });
    await deployment.stop();
  });

  it("tells which apis of which replicas answer less than is asked of them, and stays ready", async () => {
    const { stage, deployment } = await createStarted({ replicas: 2 });
    stage.host("A#1/0").strains = ["A.run: calls arrive faster than they are answered"];
    await stage.pass(1000);
    assert.deepEqual(await deployment.readiness(), {
      ...{ name: "A", isReady: true, readyReplicas: 2, replicas: 2 },
      strains: ["A#1: A.run: calls arrive faster than they are answered"],
    });
    stage.host("A#1/0").strains = undefined;
    await stage.pass(1000);
    assert.equal((await deployment.readiness()).strains, undefined);
    await deployment.stop();
  });

  it("is down only while every place is, with the reason of the last, until one is filled again (JD3)", async () => {
    const { stage, deployment } = await createStarted({ replicas: 2, restart: { giveUpAfter: 1 } });
    stage.host("A#1/0").end();
    await stage.pass(1000);
    assert.equal(
      stage.lines.some((line) => line.startsWith("failed")),
      false,
    );
    stage.host("A#0/0").end("was ended by SIGKILL");
    await settled();
    assert.deepEqual(
      stage.lines.filter((line) => line.startsWith("failed")),
      ["failed A after 1"],
    );
    const known: LinkUpdate[] = [];
    stage.registry.subscribe({ residence: "process", notify: (notice) => known.push(notice) }, ["A"]);
    const why = { reason: "was ended by SIGKILL", attempts: 1 };
    assert.deepEqual(known[1], { kind: "failed", service: "A", ...why, retryAfterMs: 30_000 });
    assert.deepEqual(deployment.down, { ...why, delayMs: 30_000 });
    assert.deepEqual(deployment.figures, {
      ...{ service: "A", isDown: true, restarts: 0, demand: 0, memory: [] },
      states: { ready: 0, out: 0, starting: 0, waiting: 0, down: 2, draining: 0 },
      ends: { ...noEnds(), crashed: 2 },
    });
    // A#1 went down a second before A#0.
    await stage.pass(29_500);
    assert.deepEqual([stage.announced("A"), deployment.down], [["A#1/1"], undefined]);
    assert.deepEqual(deployment.figures.states, { ready: 1, out: 0, starting: 0, waiting: 0, down: 1, draining: 0 });
    await stage.pass(1_000);
    assert.deepEqual([stage.announced("A"), deployment.figures.restarts], [["A#0/1", "A#1/1"], 2]);
    await deployment.stop();
  });
});

describe("Deployment, with a range of replicas", () => {
  it("adds replicas for a load that stays, and takes them back once it has been gone for a whole window", async () => {
    const { stage, deployment } = await createStarted(scaling);
    setLoad(stage, 3 * targetInFlight);
    await stage.pass(4000);
    assert.deepEqual(stage.announced("A"), ["A#0/0", "A#1/0", "A#2/0"]);
    assert.equal(stage.lines.at(-1), "planned 3 of A");
    setLoad(stage, 0);
    await stage.pass(20_000);
    assert.equal(stage.running.length, 3);
    stage.held.add("drain");
    await stage.pass(20_000);
    assert.deepEqual([stage.announced("A"), stage.running], [["A#0/0"], ["A#0/0"]]);
    assert.equal(stage.lines.at(-1), "planned 1 of A");
    const { ends, memory } = deployment.figures;
    assert.deepEqual([ends, memory], [{ ...noEnds(), scaled_in: 2 }, [{ replica: "A#0", bytes: 1 }]]);
    await deployment.stop();
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });

  it("adds replicas for calls that callers have in flight, also where a replica is too busy to say or to read them", async () => {
    const { stage, deployment } = await createStarted(scaling);
    const front = new Deployment(createDeploymentPlan("Front"), stage.deps);
    await front.start(Promise.resolve());
    const caller = stage.host("Front#0/0");
    stage.host("A#0/0").inFlight = 1;
    await stage.pass(1000);
    stage.host("A#0/0").caller.isSilent = true;
    caller.callsInFlight = { A: targetInFlight };
    stage.callsInFlight["A"] = 1;
    await stage.pass(3000);
    assert.equal(deployment.figures.demand, targetInFlight + 1);
    assert.deepEqual(stage.running, ["A#0/0", "Front#0/0", "A#1/0"]);
    // What was in flight from a caller that has ended is so no more.
    await front.stop();
    assert.equal(deployment.figures.demand, 1);
    await deployment.stop();
  });

  it("adds replicas for tasks that wait, which one replica counts for all", async () => {
    const { stage, deployment } = await createStarted(scaling);
    stage.host("A#0/0").waitingTasks = targetInFlight + 1;
    await stage.pass(4000);
    assert.deepEqual(stage.announced("A"), ["A#0/0", "A#1/0"]);
    setLoad(stage, targetInFlight);
    await stage.pass(4000);
    assert.equal(stage.running.length, 3);
    await deployment.stop();
  });

  it("never passes its bounds (JD2)", async () => {
    const { stage, deployment } = await createStarted(scaling);
    setLoad(stage, 1000);
    await stage.pass(60_000);
    assert.equal(stage.running.length, 3);
    setLoad(stage, 0);
    await stage.pass(120_000);
    assert.deepEqual(stage.running, ["A#0/0"]);
    await deployment.stop();
  });

  it("takes a replica off the registry before it drains one there is no more need for (JD1)", async () => {
    const { stage, deployment } = await createStarted(scaling);
    stage.held.add("drain");
    setLoad(stage, 2 * targetInFlight);
    await stage.pass(4000);
    setLoad(stage, 0);
    await stage.pass(40_000);
    assert.deepEqual([stage.announced("A"), stage.running], [["A#0/0"], ["A#0/0", "A#1/0"]]);
    assert.deepEqual(stage.takeJournal().slice(-1), ["drain A#1/0"]);
    stage.host("A#1/0").steps.drain.resolve();
    await settled();
    assert.deepEqual(stage.running, ["A#0/0"]);
    await deployment.stop();
  });

  it("gives no number to two replicas at a time: while one drains, others are had, and no more than allowed (JD2, JD5)", async () => {
    const { stage, deployment } = await createStarted(scaling);
    stage.held.add("drain");
    setLoad(stage, 2 * targetInFlight);
    await stage.pass(4000);
    setLoad(stage, 0);
    const [first, second] = [stage.host("A#0/0"), stage.host("A#1/0")];
    await stage.pass(40_000);
    assert.deepEqual([stage.announced("A"), second.isDraining], [["A#0/0"], true]);
    first.inFlight = 3 * targetInFlight;
    await stage.pass(4000);
    assert.deepEqual(stage.running, ["A#0/0", "A#1/0", "A#2/0"]);
    second.steps.drain.resolve();
    await stage.pass(1000);
    assert.deepEqual(stage.announced("A"), ["A#0/0", "A#1/1", "A#2/0"]);
    for (const host of stage.hosts) host.steps.drain.resolve();
    await deployment.stop();
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });

  it("leaves the others of its group where they are when it shrinks and grows again (JD5)", async () => {
    const stage = new SupervisorStage();
    const a = new Deployment(createDeploymentPlan("A", { replicas: { min: 1, max: 2 }, group: "g" }), stage.deps);
    const b = new Deployment(createDeploymentPlan("B", { replicas: 2, group: "g" }), stage.deps);
    await Promise.all([a.start(Promise.resolve()), b.start(Promise.resolve())]);
    stage.host("A#0/0").inFlight = 2 * targetInFlight;
    stage.held.add("drain");
    await stage.pass(4000);
    stage.host("A#0/0").inFlight = 0;
    await stage.pass(40_000);
    assert.equal(stage.host("A#1/0").isDraining, true);
    stage.host("A#0/0").inFlight = 2 * targetInFlight;
    await stage.pass(10_000);
    const place = stage.host("B#1/0").caller;
    assert.deepEqual([place.isSuperseded, stage.hosts.length], [false, 4]);
    stage.host("A#1/0").steps.drain.resolve();
    await stage.pass(2000);
    assert.deepEqual([stage.host("A#1/1").caller === place, place.isSuperseded], [true, false]);
    stage.held.clear();
    for (const host of stage.hosts) host.steps.drain.resolve();
    await Promise.all([a.stop(), b.stop()]);
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });

  it("stops one that is still draining, too, when it is stopped itself (JD4)", async () => {
    const { stage, deployment } = await createStarted(scaling);
    stage.held.add("drain");
    setLoad(stage, 2 * targetInFlight);
    await stage.pass(4000);
    setLoad(stage, 0);
    await stage.pass(40_000);
    let isDrained = false;
    const drained = deployment.drain().then(() => {
      isDrained = true;
    });
    stage.host("A#0/0").steps.drain.resolve();
    await settled();
    assert.deepEqual([stage.running, isDrained], [["A#0/0", "A#1/0"], false]);
    await deployment.stop();
    await drained;
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });

  it("goes on without a replica that could not be added, and tries again after the longest wait", async () => {
    const { stage, deployment } = await createStarted({ replicas: { min: 1, max: 2 } });
    stage.held.add("start");
    setLoad(stage, 2 * targetInFlight);
    await stage.pass(4000);
    assert.equal((await deployment.readiness()).detail, "1 of 2 replicas are ready; A#1 is starting");
    stage.host("A#1/0").steps.start.reject(fail("start_failed", { hook: "start", error: "no memory" }));
    await settled();
    assert.deepEqual([stage.running, stage.announced("A")], [["A#0/0"], ["A#0/0"]]);
    assert.deepEqual(stage.lines.slice(-2), ["error A#1 not added: its start failed", "planned 1 of A"]);
    assert.equal(deployment.figures.ends.start_failed, 1);
    assert.equal((await deployment.readiness()).detail, undefined);
    await stage.pass(9000);
    assert.equal(stage.hosts.length, 2);
    stage.held.clear();
    await stage.pass(2000);
    assert.deepEqual(stage.announced("A"), ["A#0/0", "A#1/1"]);
    await deployment.stop();
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });

  it("calls off the start of one there is no more need for, and keeps the others", async () => {
    const { stage, deployment } = await createStarted({ replicas: { min: 1, max: 2 } });
    stage.held.add("start");
    setLoad(stage, 2 * targetInFlight);
    await stage.pass(4000);
    setLoad(stage, 0);
    stage.host("A#0/0").inFlight = 0;
    await stage.pass(40_000);
    assert.deepEqual([stage.running, stage.announced("A")], [["A#0/0"], ["A#0/0"]]);
    assert.deepEqual(
      stage.lines.filter((line) => line.startsWith("error")),
      [],
    );
    assert.deepEqual((await deployment.readiness()).replicas, 1);
    await deployment.stop();
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });

  it("adds none after it was asked to stop, also when that was during its start", async () => {
    const stage = new SupervisorStage();
    const deployment = new Deployment(createDeploymentPlan("A", scaling), stage.deps);
    stage.held.add("start");
    const started = deployment.start(Promise.resolve()).catch(() => {});
    await settled();
    const stopped = deployment.stop();
    await started;
    await stopped;
    await stage.pass(60_000);
    assert.deepEqual([stage.hosts.length, stage.running, stage.clock.pendingTimers], [1, [], 0]);
  });

  it("keeps the number it starts with in the app's own thread", async () => {
    const { stage, deployment } = await createStarted({ ...scaling, residence: "main" });
    assert.equal(stage.clock.pendingTimers, 0);
    await deployment.stop();
  });
});
