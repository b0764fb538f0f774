import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createDeploymentPlan,
  type PlanWish,
  SupervisorStage,
  settled,
} from "../../test/supervisor/supervisor-stage.js";
import { fail } from "../failure/failures.js";
import type { Plan } from "../graph/plan.js";
import { Supervisor } from "./supervisor.js";

/** Front calls A and B, both call Base; A has two replicas. */
const wishes: Readonly<Record<string, PlanWish>> = {
  Base: {},
  A: { callees: ["Base"], replicas: 2 },
  B: { callees: ["Base"] },
  Front: { callees: ["A", "B"] },
};

function createApp(services: Readonly<Record<string, PlanWish>> = wishes) {
  const stage = new SupervisorStage();
  const deployments = Object.entries(services).map(([name, wish]) => createDeploymentPlan(name, wish));
  const plan = { deployments, notices: ["a notice"] } as unknown as Plan;
  const supervisor = new Supervisor(plan, stage.deps);
  stage.watch(...Object.keys(services));
  return { stage, supervisor };
}

async function createStartedApp(services?: Readonly<Record<string, PlanWish>>) {
  const app = createApp(services);
  await app.supervisor.start();
  app.stage.takeJournal();
  return app;
}

/** Lets these hosts go on, and what follows from it happen. */
async function finish(stage: SupervisorStage, step: "load" | "start" | "drain", ...names: string[]): Promise<void> {
  for (const name of names) stage.host(name).steps[step].resolve();
  await settled();
}

describe("Supervisor.start", () => {
  it("loads everything at once and starts callees first, those that do not wait for one another together (JV1)", async () => {
    const { stage, supervisor } = createApp();
    stage.held.add("load").add("start");
    const started = supervisor.start();
    await settled();
    const all = ["Base#0/0", "A#0/0", "A#1/0", "B#0/0", "Front#0/0"];
    assert.deepEqual(
      stage.takeJournal(),
      all.map((name) => `load ${name}`),
    );
    await finish(stage, "load", ...all);
    assert.deepEqual(stage.takeJournal(), ["start Base#0/0"]);
    await finish(stage, "start", "Base#0/0");
    assert.deepEqual(stage.takeJournal(), ["start A#0/0", "start A#1/0", "start B#0/0"]);
    await finish(stage, "start", "A#0/0", "B#0/0");
    assert.deepEqual([stage.takeJournal(), stage.announced("A")], [[], ["A#0/0"]]);
    await finish(stage, "start", "A#1/0");
    assert.deepEqual(stage.takeJournal(), ["start Front#0/0"]);
    assert.equal((await supervisor.readiness()).isReady, false);
    await finish(stage, "start", "Front#0/0");
    await started;
    assert.equal((await supervisor.readiness()).isReady, true);
    assert.deepEqual(
      stage.progress.map((event) => ("replica" in event ? `${event.kind} ${event.replica}` : event.kind)).slice(0, 4),
      ["notice", "starting Base#0", "started Base#0", "starting A#0"],
    );
    await supervisor.stop();
  });

  it("starts a service that loads slowly only after its load, with what is known of its callees by then", async () => {
    const { stage, supervisor } = createApp();
    stage.held.add("load");
    const started = supervisor.start();
    await settled();
    await finish(stage, "load", "Base#0/0", "A#0/0", "A#1/0", "B#0/0");
    assert.deepEqual(stage.announced("A"), ["A#0/0", "A#1/0"]);
    await finish(stage, "load", "Front#0/0");
    await started;
    const heard = stage.host("Front#0/0").notices.map(({ kind }) => kind);
    assert.deepEqual(heard, ["planned", "add", "add", "planned", "add"]);
    await supervisor.stop();
  });

  it("waits in the app's own thread for every callee, inline ones included", async () => {
    const { stage, supervisor } = createApp({
      Inline: { residence: "main" },
      Front: { residence: "main", callees: ["Inline"] },
    });
    stage.held.add("start");
    const started = supervisor.start();
    await settled();
    assert.deepEqual(stage.takeJournal(), ["load Inline#0/0", "load Front#0/0", "start Inline#0/0"]);
    await finish(stage, "start", "Inline#0/0");
    await finish(stage, "start", "Front#0/0");
    await started;
    await supervisor.stop();
  });

  it("has no replicas of a service that lives in those of its callers", async () => {
    const { stage, supervisor } = await createStartedApp({
      Tokens: { residence: "caller" },
      Front: { callees: [] },
    });
    assert.deepEqual(stage.running, ["Front#0/0"]);
    assert.deepEqual([supervisor.hostsOf("Tokens"), supervisor.hosts.map(({ id }) => id)], [[], ["Front#0"]]);
    await supervisor.stop();
  });

  it("stops what had started when one service fails, callers first, and throws its failure (JV3)", async () => {
    const { stage, supervisor } = createApp();
    stage.held.add("start");
    const failed = assert.rejects(supervisor.start(), { id: "start_failed", service: "B" });
    await settled();
    await finish(stage, "start", "Base#0/0");
    await finish(stage, "start", "A#0/0", "A#1/0");
    stage.takeJournal();
    stage.host("B#0/0").steps.start.reject(fail("start_failed", { hook: "start", error: "no file" }, { service: "B" }));
    await failed;
    const stops = ["stop B#0/0", "stop Front#0/0", "stop A#0/0", "stop A#1/0", "stop Base#0/0"];
    assert.deepEqual(stage.takeJournal(), stops);
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
    assert.deepEqual([stage.announced("A"), stage.announced("Base")], [[], []]);
  });

  it("calls off the starts that are under way then, and tells the one fault alone (JV3)", async () => {
    const { stage, supervisor } = createApp();
    stage.held.add("start").add("load");
    const failed = assert.rejects(supervisor.start(), { id: "module_failed" });
    await settled();
    await finish(stage, "load", "Base#0/0", "A#0/0", "B#0/0");
    assert.deepEqual(stage.progress.at(-1)?.kind, "starting");
    stage.host("A#1/0").steps.load.reject(fail("module_failed", { file: "a.ts", error: "no such export" }));
    await failed;
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
    const faults = stage.progress.flatMap((event) => (event.kind === "failed" ? [event.replica] : []));
    assert.deepEqual(faults, ["A#1"]);
  });
});

describe("Supervisor.stop", () => {
  it("drains callers before callees, each off the registry before it is asked, and those that do not call one another together (JV2, JD1)", async () => {
    const { stage, supervisor } = createApp();
    stage.held.add("drain");
    await supervisor.start();
    stage.takeJournal();
    const stopped = supervisor.stop();
    assert.equal(supervisor.stop(), stopped);
    assert.deepEqual(stage.announced("Front"), [], "it takes no call from here on");
    await settled();
    assert.deepEqual(stage.takeJournal(), ["drain Front#0/0"]);
    assert.deepEqual([stage.announced("Front"), stage.announced("A")], [[], ["A#0/0", "A#1/0"]]);
    await finish(stage, "drain", "Front#0/0");
    assert.deepEqual(stage.takeJournal(), ["drain B#0/0", "drain A#0/0", "drain A#1/0"]);
    assert.deepEqual([stage.announced("A"), stage.announced("Base")], [[], ["Base#0/0"]]);
    await finish(stage, "drain", "A#0/0", "A#1/0");
    assert.deepEqual(stage.takeJournal(), []);
    await finish(stage, "drain", "B#0/0");
    assert.deepEqual(stage.takeJournal(), ["drain Base#0/0"]);
    await finish(stage, "drain", "Base#0/0");
    await stopped;
    const stops = ["Front#0/0", "B#0/0", "A#0/0", "A#1/0", "Base#0/0"].map((name) => `stop ${name}`);
    assert.deepEqual(stage.takeJournal(), stops);
    assert.equal((await supervisor.readiness()).isReady, false);
    assert.deepEqual(stage.progress.at(-1), { kind: "stopped" });
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });

  it("stops callers before callees; one that does not end in time holds up nobody but those it calls (JV2)", async () => {
    const { stage, supervisor } = createApp({
      Base: {},
      Left: { callees: ["Base"] },
      Right: {},
      Front: { callees: ["Left", "Right"] },
    });
    stage.held.add("stop");
    await supervisor.start();
    stage.takeJournal();
    stage.host("Base#0/0").steps.stop.resolve();
    const [front, left, right] = ["Front", "Left", "Right"].map((name) => stage.host(`${name}#0/0`));
    const stopped = supervisor.stop();
    await settled();
    assert.deepEqual(
      stage.takeJournal().filter((line) => line.startsWith("stop")),
      ["stop Front#0/0"],
    );
    front?.steps.stop.resolve();
    await settled();
    assert.deepEqual(stage.takeJournal(), ["stop Right#0/0", "stop Left#0/0"]);
    left?.steps.stop.resolve();
    await settled();
    assert.deepEqual(stage.takeJournal(), ["stop Base#0/0"]);
    right?.steps.stop.resolve();
    await stopped;
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });

  it("waits for no drain any longer once its limit is reached, or was before", async () => {
    for (const isReachedBefore of [true, false]) {
      const { stage, supervisor } = createApp();
      stage.held.add("drain");
      await supervisor.start();
      stage.takeJournal();
      const limit = new AbortController();
      if (isReachedBefore) limit.abort();
      const stopped = supervisor.stop(limit.signal);
      await settled();
      if (!isReachedBefore) assert.deepEqual(stage.takeJournal(), ["drain Front#0/0"]);
      limit.abort();
      await stopped;
      assert.equal(stage.journal.filter((line) => line.startsWith("stop")).length, 5);
      assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
    }
  });

  it("does not wait for a place that stands empty (JS3)", async () => {
    const { stage, supervisor } = await createStartedApp({ Base: { restart: { giveUpAfter: 0 } }, Front: {} });
    for (let run = 0; run < 3; run++) {
      stage.hosts
        .filter(({ id }) => id === "Base#0")
        .at(-1)
        ?.end();
      await stage.pass(run * 100);
    }
    await supervisor.stop();
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });

  it("ends a start that is under way, which then fails", async () => {
    const { stage, supervisor } = createApp();
    stage.held.add("start");
    const failed = assert.rejects(supervisor.start(), { id: "start_aborted" });
    await settled();
    await finish(stage, "start", "Base#0/0");
    await supervisor.stop();
    await failed;
    assert.deepEqual([stage.running, stage.clock.pendingTimers], [[], 0]);
  });
});

describe("Supervisor", () => {
  it("says which service is not ready, and by how many replicas", async () => {
    const { stage, supervisor } = await createStartedApp();
    stage.host("A#0/0").isReplicaReady = false;
    let readiness = await supervisor.readiness();
    assert.equal(readiness.isReady, true);
    assert.equal(readiness.services.find((own) => own.name === "A")?.readyReplicas, 1);
    stage.host("A#1/0").isReplicaReady = false;
    readiness = await supervisor.readiness();
    assert.equal(readiness.isReady, false);
    assert.match(String(readiness.services.find((own) => own.name === "A")?.detail), /^0 of 2 replicas are ready; A#0/);
    await supervisor.stop();
  });

  it("touches no other replica when one ends, and tells those that call it (JS2)", async () => {
    const { stage, supervisor } = await createStartedApp();
    for (const host of stage.hosts) host.caller.notices.length = 0;
    stage.host("A#0/0").end();
    await settled();
    assert.deepEqual(stage.takeJournal(), ["load A#0/1", "start A#0/1"]);
    const heard = stage.hosts.map((host) => [host.name, host.notices.map(({ kind }) => kind).join()]);
    assert.deepEqual(
      heard.filter(([, kinds]) => kinds !== ""),
      [
        ["Front#0/0", "remove,add"],
        ["A#0/1", "planned,add"],
      ],
    );
    await supervisor.stop();
  });

  it("puts a new replica in the place of one that is taken away", async () => {
    const { stage, supervisor } = await createStartedApp();
    stage.held.add("start");
    const replaced = supervisor.replaceReplica("A", 0);
    await settled();
    assert.deepEqual(stage.takeJournal(), ["kill A#0/0", "load A#0/1", "start A#0/1"]);
    assert.deepEqual(stage.announced("A"), ["A#1/0"]);
    await finish(stage, "start", "A#0/1");
    await replaced;
    assert.deepEqual(stage.announced("A"), ["A#0/1", "A#1/0"]);
    await supervisor.stop();
  });
});
