import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FakeHost } from "../../test/supervisor/fake-host.js";
import {
  createDeploymentPlan,
  type PlanWish,
  SupervisorStage,
  settled,
} from "../../test/supervisor/supervisor-stage.js";
import { fail } from "../failure/failures.js";
import type { SlotDeps } from "./replica-run.js";
import { ReplicaSlot } from "./replica-slot.js";
import { noEnds } from "./replica-state.js";

const bound = 1000;

/** The only slot of service A, on a stage that watches it. */
function createPlace(wish: PlanWish = {}, finishStart?: SlotDeps["finishStart"]) {
  const stage = new SupervisorStage(finishStart);
  const failures: string[] = [];
  const slot: ReplicaSlot = new ReplicaSlot(createDeploymentPlan("A", wish), 0, stage.deps, () => {
    if (slot.state.kind === "down") failures.push(slot.describe());
  });
  stage.watch("A");
  return { slot, stage, failures };
}

async function createFilledPlace(wish: PlanWish = {}) {
  const place = createPlace(wish);
  await place.slot.start(Promise.resolve());
  await settled();
  place.stage.takeJournal();
  return place;
}

/** Checks a slot after its end: nothing runs, nothing is called, nothing will happen. */
async function assertEmpty({
  slot,
  stage,
}: {
  readonly slot: ReplicaSlot;
  readonly stage: SupervisorStage;
}): Promise<void> {
  assert.deepEqual([stage.running, stage.announced("A")], [[], []]);
  assert.equal(stage.clock.pendingTimers, 0);
  assert.equal(slot.state.kind, "stopped");
  const hosts = stage.hosts.length;
  await stage.pass(60_000);
  assert.equal(stage.hosts.length, hosts);
}

describe("ReplicaSlot, at its first start", () => {
  it("loads while its callees start, starts after them, and is on the registry only then (JS1)", async () => {
    const { slot, stage } = createPlace({ callees: ["B"] });
    let startCallees = () => {};
    const callees = new Promise<void>((resolve) => {
      startCallees = resolve;
    });
    stage.held.add("start");
    const started = slot.start(callees);
    await settled();
    assert.deepEqual(stage.takeJournal(), ["load A#0/0"]);
    startCallees();
    await settled();
    assert.deepEqual(stage.takeJournal(), ["start A#0/0"]);
    assert.deepEqual([stage.announced("A"), slot.describe()], [[], "A#0 is starting"]);
    stage.host("A#0/0").steps.start.resolve();
    await started;
    assert.deepEqual([stage.announced("A"), await slot.isReady()], [["A#0/0"], true]);
    assert.deepEqual(
      stage.progress.map(({ kind }) => kind),
      ["starting", "started"],
    );
    await slot.stop();
  });

  it("gives its replica what the registry knows of its callees, and tells it of what comes", async () => {
    const { slot, stage } = createPlace({ callees: ["B"] });
    const callee = stage.deps.createHost(createDeploymentPlan("B"), 0);
    stage.registry.plan("B", 1);
    await slot.start(Promise.resolve());
    stage.registry.announce("B", callee);
    const heard = stage.host("A#0/0").notices.map(({ kind }) => kind);
    assert.deepEqual(heard, ["planned", "add"]);
    await slot.stop();
    stage.registry.withdraw("B", callee);
    assert.equal(stage.host("A#0/0").notices.length, 2);
  });

  it("is on the registry after the last step of a start, too (JS1)", async () => {
    let listen = () => {};
    const { slot, stage } = createPlace(
      {},
      () =>
        new Promise((resolve) => {
          listen = resolve;
        }),
    );
    const started = slot.start(Promise.resolve());
    await settled();
    assert.deepEqual(stage.announced("A"), []);
    listen();
    await started;
    assert.deepEqual(stage.announced("A"), ["A#0/0"]);
    await slot.stop();
  });

  it("throws its own failure, tells it once, and leaves nothing running", async () => {
    const { slot, stage, failures } = createPlace();
    stage.held.add("start");
    const started = assert.rejects(slot.start(Promise.resolve()), { id: "start_failed" });
    await settled();
    stage.host("A#0/0").steps.start.reject(fail("start_failed", { hook: "constructor", error: "no model" }));
    await started;
    assert.deepEqual(stage.running, []);
    const told = stage.progress.flatMap((event) => (event.kind === "failed" ? [event.replica, event.hook] : []));
    assert.deepEqual([told, failures], [["A#0", "constructor"], []]);
    await slot.stop();
    await assertEmpty({ slot, stage });
  });

  it("does not tell the failure of a callee as its own", async () => {
    const { slot, stage } = createPlace({ callees: ["B"] });
    const ofCallee = fail("start_failed", { hook: "start", error: "no model" }, { service: "B" });
    await assert.rejects(slot.start(Promise.reject(ofCallee)), ofCallee);
    assert.deepEqual([stage.progress, stage.running], [[], []]);
    assert.deepEqual(stage.takeJournal(), ["load A#0/0", "stop A#0/0"]);
  });

  it("fails when the replica ends between its load and its start", async () => {
    const { slot, stage } = createPlace();
    let startCallees = () => {};
    const started = assert.rejects(
      slot.start(
        new Promise<void>((resolve) => {
          startCallees = resolve;
        }),
      ),
      { id: "replica_ended", message: /replica A#0 ended before it was ready: was ended by SIGKILL/ },
    );
    await settled();
    stage.host("A#0/0").end("was ended by SIGKILL");
    await settled();
    startCallees();
    await started;
    assert.deepEqual(stage.running, []);
  });

  it("starts one that ends in its last step anew, as one that was ready for no time", async () => {
    const { slot, stage } = createPlace({}, async (host) => {
      if (stage.hosts.length === 1) (host as FakeHost).end();
    });
    await slot.start(Promise.resolve());
    await settled();
    assert.deepEqual([stage.announced("A"), slot.state.kind], [["A#0/1"], "ready"]);
    await slot.stop();
  });
});

describe("ReplicaSlot, when its replica ends", () => {
  it("fills the place at once, and takes the old one off the registry first (JS1, JS2)", async () => {
    const { slot, stage } = await createFilledPlace();
    stage.held.add("start");
    stage.host("A#0/0").end();
    await settled();
    assert.deepEqual([stage.announced("A"), stage.clock.pendingTimers], [[], 0]);
    assert.deepEqual(stage.takeJournal(), ["load A#0/1", "start A#0/1"]);
    stage.host("A#0/1").steps.start.resolve();
    await settled();
    assert.deepEqual([stage.announced("A"), await slot.isReady()], [["A#0/1"], true]);
    assert.deepEqual(stage.lines, ["warn A#0 ended with exit code 1; it is started again"]);
    assert.deepEqual(slot.ends, { ...noEnds(), crashed: 1 });
    await slot.stop();
    assert.deepEqual(slot.ends, { ...noEnds(), crashed: 1 }, "an ordered end is none");
  });

  it("waits longer with each short life, and not at all after a healthy one (JS2, JP1 to JP3)", async () => {
    const { slot, stage } = await createFilledPlace({ restart: { giveUpAfter: 0 } });
    const waits: (number | string)[] = [];
    const endLife = async (readyForMs: number) => {
      await stage.pass(readyForMs);
      stage.hosts.at(-1)?.end();
      await settled();
      waits.push(slot.state.kind === "waiting" ? slot.state.delayMs : slot.state.kind);
      await stage.pass(slot.state.kind === "waiting" ? slot.state.delayMs : 0);
      assert.equal(slot.state.kind, "ready");
    };
    for (const readyForMs of [500, 500, 500, 10_000, 500]) await endLife(readyForMs);
    assert.deepEqual(waits, ["ready", 100, 200, "ready", 100]);
    await slot.stop();
  });

  it("says while it waits why and for how long", async () => {
    const { slot, stage } = await createFilledPlace();
    for (let i = 0; i < 2; i++) {
      stage.hosts.at(-1)?.end("was ended by SIGKILL");
      await settled();
    }
    assert.equal(slot.describe(), "A#0 was ended by SIGKILL; is started again after 100 ms");
    assert.equal(await slot.isReady(), false);
    await slot.stop();
  });

  it("counts a start that fails as a life, with its reason", async () => {
    const { slot, stage } = await createFilledPlace();
    stage.held.add("load");
    stage.host("A#0/0").end();
    await settled();
    stage.host("A#0/1").steps.load.reject(fail("module_failed", { file: "a.ts", error: "no such export" }));
    await settled();
    assert.match(slot.describe(), /a\.ts could not be loaded: no such export; is started again after 100 ms/);
    assert.deepEqual(stage.running, []);
    assert.deepEqual(slot.ends, { ...noEnds(), crashed: 1, start_failed: 1 });
    await slot.stop();
  });

  it("is down after so many short lives, and goes on slowly for ever, each time with the last reason and the options (JP5, JP6)", async () => {
    const { slot, stage, failures } = await createFilledPlace({ restart: { giveUpAfter: 3 } });
    const line = (code: number, lives: number) =>
      `error A#0 ended with exit code ${code}; it is down after ${lives} failures in a row (restart.giveUpAfter) ` +
      "and is started again after 30000 ms (restart.slowBackoffMs)";
    for (let run = 0; run < 3; run++) {
      stage.hosts.at(-1)?.end(`ended with exit code ${run}`);
      await stage.pass(1000);
    }
    const text =
      "A#0 is down after 3 failures in a row (restart.giveUpAfter): ended with exit code 2; is started again after 30000 ms";
    assert.deepEqual([failures, slot.state.kind], [[text], "down"]);
    assert.equal(stage.lines.at(-1), line(2, 3));
    await slot.whenSettled();
    for (let run = 3; run < 40; run++) {
      stage.held.add("start");
      await stage.pass(30_000, 1000);
      assert.equal(slot.describe(), `A#0 is starting, was down: ended with exit code ${run - 1}`);
      assert.notEqual(slot.down, undefined);
      stage.hosts.at(-1)?.steps.start.resolve();
      await settled();
      assert.deepEqual([stage.hosts.length, slot.state.kind, slot.down], [run + 1, "ready", undefined]);
      stage.hosts.at(-1)?.end(`ended with exit code ${run}`);
      await settled();
      assert.equal(stage.lines.at(-1), line(run, run + 1));
    }
    await slot.stop();
    await assertEmpty({ slot, stage });
  });

  it("begins anew with its counts after one healthy life, however long it was down (JP3)", async () => {
    const { slot, stage } = await createFilledPlace({ restart: { giveUpAfter: 2 } });
    for (let run = 0; run < 2; run++) {
      stage.hosts.at(-1)?.end();
      await settled();
    }
    assert.equal(slot.state.kind, "down");
    await stage.pass(30_000, 1000);
    await stage.pass(10_000, 1000);
    stage.hosts.at(-1)?.end();
    await settled();
    assert.deepEqual([slot.state.kind, slot.down], ["ready", undefined]);
    await slot.stop();
  });

  it("takes a replica that is killed off the registry at once, and says when the place is filled again", async () => {
    const { slot, stage } = await createFilledPlace();
    stage.held.add("load");
    slot.kill();
    assert.deepEqual(stage.announced("A"), []);
    await settled();
    let isSettled = false;
    void slot.whenSettled().then(() => {
      isSettled = true;
    });
    await settled();
    assert.equal(isSettled, false);
    stage.host("A#0/1").steps.load.resolve();
    await settled();
    assert.equal(isSettled, true);
    await slot.stop();
    await slot.whenSettled();
  });
});

describe("ReplicaSlot, when its replica is silent", () => {
  it("takes it off the registry, and puts it back when it answers again (JS1)", async () => {
    const { slot, stage } = await createFilledPlace();
    const host = stage.host("A#0/0");
    host.isSilent = true;
    await stage.pass(6500);
    assert.deepEqual([slot.state.kind, stage.announced("A")], ["out", []]);
    assert.equal(slot.describe(), "A#0 does not answer, its event loop is busy");
    assert.equal(await slot.isReady(), false);
    host.wake();
    await settled();
    assert.deepEqual([slot.state.kind, stage.announced("A")], ["ready", ["A#0/0"]]);
    assert.deepEqual(stage.takeJournal(), []);
    await slot.stop();
  });

  it("kills and replaces one that is stuck, and says so (JS2)", async () => {
    const { slot, stage } = await createFilledPlace();
    stage.host("A#0/0").isSilent = true;
    await stage.pass(32_000);
    assert.deepEqual(stage.takeJournal(), ["kill A#0/0", "load A#0/1", "start A#0/1"]);
    assert.deepEqual([stage.announced("A"), stage.running], [["A#0/1"], ["A#0/1"]]);
    assert.ok(
      stage.lines.includes(
        "warn A#0 did not answer for 30000 ms (liveness.replaceAfterMs) and was killed; it is started again",
      ),
    );
    assert.deepEqual(slot.ends, { ...noEnds(), stuck: 1 });
    await slot.stop();
  });

  it("names the end of one that ends in its silence, not the silence", async () => {
    const { slot, stage } = await createFilledPlace();
    stage.host("A#0/0").isSilent = true;
    await stage.pass(3000);
    stage.host("A#0/0").end("ended with exit code 134");
    await settled();
    assert.deepEqual(stage.lines, ["warn A#0 ended with exit code 134; it is started again"]);
    await slot.stop();
  });

  it("measures the life of one that was out from its first to its last moment", async () => {
    const { slot, stage } = await createFilledPlace();
    await stage.pass(9000);
    stage.host("A#0/0").isSilent = true;
    await stage.pass(6000);
    stage.host("A#0/0").wake();
    await settled();
    stage.host("A#0/0").end();
    await settled();
    stage.host("A#0/1").end();
    await settled();
    assert.equal(slot.state.kind === "waiting" && slot.state.delayMs, 100);
    await slot.stop();
  });
});

describe("ReplicaSlot, when its replica holds too much memory", () => {
  const createLarge = async () => {
    const place = await createFilledPlace({ memoryBytes: bound });
    place.stage.held.add("start");
    place.stage.host("A#0/0").residentBytes = bound + 1;
    await place.stage.pass(1000);
    return place;
  };

  it("leaves one that is debugged alone", async () => {
    const { slot, stage } = await createFilledPlace({ memoryBytes: bound });
    const host = stage.host("A#0/0");
    host.isInspected = true;
    host.residentBytes = bound + 1;
    await stage.pass(60_000);
    assert.deepEqual([stage.takeJournal(), stage.lines], [[], []]);
    await slot.stop();
  });

  it("has another ready in its place before it drains, and stops it after the drain (JS4)", async () => {
    const { slot, stage } = await createLarge();
    assert.deepEqual(stage.takeJournal(), ["load A#0/1", "start A#0/1"]);
    assert.deepEqual([stage.announced("A"), slot.state.kind], [["A#0/0"], "ready"]);
    const old = stage.host("A#0/0");
    stage.host("A#0/1").steps.start.resolve();
    await settled();
    assert.deepEqual(stage.announced("A"), ["A#0/1"]);
    assert.deepEqual([stage.takeJournal(), old.isRunning], [["drain A#0/0", "stop A#0/0"], false]);
    assert.deepEqual(slot.ends, { ...noEnds(), memory: 1 });
    await slot.stop();
    await assertEmpty({ slot, stage });
  });

  it("goes on with it while no other can be started, and tries again after the longest wait", async () => {
    const { slot, stage } = await createLarge();
    stage.host("A#0/1").steps.start.reject(fail("start_failed", { hook: "start", error: "no memory" }));
    await settled();
    assert.deepEqual([stage.announced("A"), stage.running], [["A#0/0"], ["A#0/0"]]);
    assert.equal(stage.lines.at(-1), "error A#0 not replaced: the next replica did not start");
    assert.deepEqual([slot.ends, slot.memoryBytes], [{ ...noEnds(), start_failed: 1 }, bound + 1]);
    await stage.pass(9000);
    assert.equal(stage.hosts.length, 2);
    await stage.pass(2000);
    assert.equal(stage.hosts.length, 3);
    await slot.stop();
    await assertEmpty({ slot, stage });
  });

  it("does not spin where every replica is too large", async () => {
    const { slot, stage } = await createLarge();
    stage.held.clear();
    stage.host("A#0/1").steps.start.resolve();
    for (let second = 0; second < 60; second++) {
      for (const host of stage.hosts) host.residentBytes = bound + 1;
      await stage.pass(1000);
    }
    assert.ok(stage.hosts.length <= 8, `${stage.hosts.length} hosts in a minute`);
    assert.equal(stage.running.length, 1);
    await slot.stop();
    await assertEmpty({ slot, stage });
  });

  it("takes the other for its successor when it ends meanwhile: two are never started for one place", async () => {
    const { slot, stage } = await createLarge();
    stage.host("A#0/0").end();
    await settled();
    assert.deepEqual([stage.announced("A"), slot.state.kind], [[], "starting"]);
    assert.equal(stage.hosts.length, 2);
    stage.host("A#0/1").steps.start.resolve();
    await settled();
    assert.deepEqual([stage.announced("A"), stage.running, slot.state.kind], [["A#0/1"], ["A#0/1"], "ready"]);
    assert.deepEqual(stage.takeJournal(), ["load A#0/1", "start A#0/1"]);
    await slot.stop();
    await assertEmpty({ slot, stage });
  });

  it("restarts as the policy says when both end", async () => {
    const { slot, stage } = await createLarge();
    stage.held.clear();
    stage.host("A#0/0").end();
    await settled();
    stage.host("A#0/1").end();
    await settled();
    assert.equal(slot.state.kind === "waiting" && slot.state.delayMs, 100);
    await stage.pass(100);
    assert.deepEqual([stage.announced("A"), stage.running], [["A#0/2"], ["A#0/2"]]);
    await slot.stop();
    await assertEmpty({ slot, stage });
  });

  it("counts the life of the other from when it took the place", async () => {
    const { slot, stage } = await createLarge();
    await stage.pass(20_000);
    stage.held.clear();
    stage.host("A#0/1").steps.start.resolve();
    await settled();
    stage.host("A#0/1").end();
    await settled();
    stage.host("A#0/2").end();
    await settled();
    assert.equal(slot.state.kind === "waiting" && slot.state.delayMs, 100);
    await slot.stop();
  });

  it("leaves one in a thread alone: what it holds is its process's", async () => {
    const { slot, stage } = await createFilledPlace({ memoryBytes: bound, residence: "thread" });
    stage.host("A#0/0").residentBytes = bound + 1;
    await stage.pass(5000);
    assert.equal(stage.hosts.length, 1);
    await slot.stop();
  });
});

/** Steps that bring a slot to each of its states. */
const waysThere: Readonly<Record<string, (place: ReturnType<typeof createPlace>) => Promise<void>>> = {
  new: async () => {},
  loading: async ({ slot, stage }) => {
    stage.held.add("load");
    void slot.start(Promise.resolve()).catch(() => {});
  },
  "waiting for callees": async ({ slot }) => {
    void slot.start(new Promise(() => {})).catch(() => {});
  },
  starting: async ({ slot, stage }) => {
    stage.held.add("start");
    void slot.start(Promise.resolve()).catch(() => {});
  },
  ready: async ({ slot }) => slot.start(Promise.resolve()),
  out: async ({ slot, stage }) => {
    await slot.start(Promise.resolve());
    stage.host("A#0/0").isSilent = true;
    await stage.pass(7000);
    assert.equal(slot.state.kind, "out");
  },
  "waiting to restart": async ({ slot, stage }) => {
    await slot.start(Promise.resolve());
    for (let run = 0; run < 2; run++) {
      stage.hosts.at(-1)?.end();
      await settled();
    }
    assert.equal(slot.state.kind, "waiting");
  },
  restarting: async ({ slot, stage }) => {
    await slot.start(Promise.resolve());
    stage.held.add("load");
    stage.host("A#0/0").end();
  },
  down: async ({ slot, stage }) => {
    await slot.start(Promise.resolve());
    for (let run = 0; run < 4; run++) {
      stage.hosts.at(-1)?.end();
      await stage.pass(1000);
    }
    assert.equal(slot.state.kind, "down");
  },
  replacing: async ({ slot, stage }) => {
    await slot.start(Promise.resolve());
    stage.held.add("start");
    stage.host("A#0/0").residentBytes = bound + 1;
    await stage.pass(1000);
    assert.equal(stage.hosts.length, 2);
  },
  "making room": async ({ slot, stage }) => {
    stage.held.add("drain");
    await slot.start(Promise.resolve());
    stage.host("A#0/0").residentBytes = bound + 1;
    await stage.pass(1000);
    assert.equal(stage.running.length, 2);
  },
  "after a replacement that failed": async ({ slot, stage }) => {
    await slot.start(Promise.resolve());
    stage.held.add("load");
    stage.host("A#0/0").residentBytes = bound + 1;
    await stage.pass(1000);
    stage.host("A#0/1").end();
  },
};

describe("ReplicaSlot, when it is given back", () => {
  it("takes its replica off the registry, drains it, then stops it (JD1)", async () => {
    const { slot, stage } = await createFilledPlace();
    const host = stage.host("A#0/0");
    stage.registry.subscribe({ residence: "process", notify: ({ kind }) => stage.journal.push(kind) }, ["A"]);
    stage.journal.length = 0;
    await Promise.all([slot.drain(), slot.drain()]);
    assert.equal(host.isRunning, true);
    await Promise.all([slot.stop(), slot.stop()]);
    assert.deepEqual(stage.takeJournal(), ["remove", "drain A#0/0", "stop A#0/0"]);
    await assertEmpty({ slot, stage });
  });

  it("does not fill the place of one that ends during its drain (JS3)", async () => {
    const { slot, stage } = await createFilledPlace();
    const [host] = stage.hosts;
    stage.held.add("drain");
    host?.end();
    await settled();
    const drained = slot.drain();
    await settled();
    stage.host("A#0/1").end();
    await drained;
    await slot.stop();
    assert.deepEqual(stage.takeJournal(), ["load A#0/1", "start A#0/1", "drain A#0/1", "stop A#0/1"]);
    await assertEmpty({ slot, stage });
  });

  for (const [name, go] of Object.entries(waysThere)) {
    it(`leaves nothing behind when it is ${name} (JS3)`, async () => {
      for (const way of ["stop", "drain, then stop", "drain, cut off by stop"]) {
        const place = createPlace({ memoryBytes: bound });
        await go(place);
        await settled();
        const drained = way === "stop" ? undefined : place.slot.drain();
        if (way === "drain, then stop" && name !== "making room") await drained;
        await place.slot.stop();
        await drained;
        await assertEmpty(place);
      }
    });
  }

  it("is stopped only when each of its hosts is", async () => {
    const { slot, stage } = createPlace({ memoryBytes: bound });
    stage.held.add("drain").add("stop");
    await slot.start(Promise.resolve());
    stage.host("A#0/0").residentBytes = bound + 1;
    await stage.pass(1000);
    let isStopped = false;
    const stopped = slot.stop().then(() => {
      isStopped = true;
    });
    for (const name of ["A#0/0", "A#0/1"]) {
      await settled();
      assert.deepEqual([stage.host(name).isRunning, isStopped], [true, false]);
      stage.host(name).steps.stop.resolve();
    }
    await stopped;
    await assertEmpty({ slot, stage });
  });

  it("waits for a start in the app's own thread, which nobody can end from outside", async () => {
    const { slot, stage } = createPlace({ residence: "main" });
    stage.held.add("start");
    const started = assert.rejects(slot.start(Promise.resolve()), { id: "start_aborted" });
    await settled();
    let isStopped = false;
    const stopped = slot.stop().then(() => {
      isStopped = true;
    });
    await settled();
    assert.equal(isStopped, false);
    stage.host("A#0/0").steps.start.resolve();
    await Promise.all([started, stopped]);
    assert.deepEqual(stage.takeJournal(), ["load A#0/0", "start A#0/0", "stop A#0/0"]);
    await assertEmpty({ slot, stage });
  });

  it("calls off a start, and says so instead of what the kill looked like", async () => {
    const { slot, stage } = createPlace();
    stage.held.add("start");
    const started = assert.rejects(slot.start(Promise.resolve()), { id: "start_aborted" });
    await settled();
    slot.callOff();
    await started;
    assert.deepEqual([stage.progress.map(({ kind }) => kind), stage.running], [["starting"], []]);
    await slot.stop();
    await assertEmpty({ slot, stage });
  });

  it("leaves a replica that runs alone when starts are called off", async () => {
    const { slot, stage } = await createFilledPlace();
    slot.callOff();
    assert.deepEqual([slot.state.kind, stage.announced("A")], ["ready", ["A#0/0"]]);
    await slot.stop();
  });
});
