import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../test/fake-clock.js";
import { EntryWatch } from "./entry-watch.js";
import type { MovedDeployment } from "./replica-run.js";

/** A watch, an entry service that changes as a test says, and what was told. */
function createWatch(limits: { readonly waitMs?: number; readonly exitAfterMs?: number } = {}) {
  const clock = new FakeClock();
  const told: string[] = [];
  const watch = new EntryWatch({
    ...{ clock, waitMs: 5_000, exitAfterMs: 120_000, ...limits },
    onAbsent: () => told.push("absent"),
    onPresent: () => told.push("present"),
    onGone: (reason) => told.push(`gone: ${reason}`),
  });
  // As a deployment does, it changes while the watch has it.
  const entry: { -readonly [K in keyof MovedDeployment]: MovedDeployment[K] } = {
    ...{ service: "Entry", presence: "coming", down: undefined, obstacles: "Entry#0 is broken" },
  };
  const be = (presence: MovedDeployment["presence"], down?: object) => {
    entry.presence = presence;
    entry.down = down;
    watch.note(entry);
  };
  return { clock, told, watch, be, take: () => told.splice(0) };
}

describe("EntryWatch", () => {
  it("says nothing while a replica comes back in time", () => {
    const { clock, told, be } = createWatch();
    be("there");
    for (let run = 0; run < 100; run++) {
      be("away");
      clock.advance(4_000);
      be("coming");
      clock.advance(900);
      be("there");
    }
    assert.deepEqual([told, clock.pendingTimers], [[], 0]);
  });

  it("does not wait for the first start of an app, which has a failure of its own", () => {
    const { clock, told, be } = createWatch();
    be("coming");
    be("away");
    clock.advance(1_000_000);
    assert.deepEqual([told, clock.pendingTimers], [[], 0]);
  });

  it("says once that nobody is there, after the wait or when the service is down, and once that somebody is (JE1)", () => {
    const { clock, be, take } = createWatch();
    be("there");
    be("away");
    clock.advance(4_999);
    assert.deepEqual(take(), []);
    clock.advance(1);
    assert.deepEqual(take(), ["absent"]);
    be("coming");
    be("away", { reason: "it ended" });
    assert.deepEqual(take(), []);
    be("there");
    be("there");
    assert.deepEqual(take(), ["present"]);
    be("away", { reason: "it ended" });
    assert.deepEqual(take(), ["absent"]);
  });

  it("says that the app is at its end when nobody was there for so long, and nothing after that (JE2)", () => {
    const { clock, be, take } = createWatch();
    be("there");
    be("away");
    clock.advance(119_999);
    take();
    clock.advance(1);
    assert.deepEqual(take(), ["gone: Entry#0 is broken"]);
    be("coming");
    be("there");
    clock.advance(1_000_000);
    assert.deepEqual([take(), clock.pendingTimers], [[], 0]);
  });

  it("waits for a start that is under way, however long that may take (JE2)", () => {
    const { clock, be, take } = createWatch();
    be("there");
    be("away");
    be("coming");
    clock.advance(400_000);
    assert.deepEqual(take(), ["absent"]);
    be("away");
    assert.deepEqual(take(), ["gone: Entry#0 is broken"]);
  });

  it("begins the count anew with each replica that was ready, so that nobody can end the app by ending replicas (JE2)", () => {
    const { clock, be, take } = createWatch();
    be("there");
    for (let run = 0; run < 100; run++) {
      be("away", { reason: "it ended" });
      clock.advance(37_500);
      be("coming");
      clock.advance(60_000);
      be("there");
      assert.deepEqual(take(), ["absent", "present"]);
    }
  });

  it("waits for ever where 0 is set, and says nothing once it is stopped", () => {
    const patient = createWatch({ exitAfterMs: 0 });
    patient.be("there");
    patient.be("away");
    patient.clock.advance(1_000_000_000);
    assert.deepEqual(patient.take(), ["absent"]);
    const stopped = createWatch();
    stopped.be("there");
    stopped.be("away");
    stopped.watch.stop();
    stopped.clock.advance(1_000_000);
    stopped.be("away");
    assert.deepEqual([stopped.take(), stopped.clock.pendingTimers], [[], 0]);
  });
});
