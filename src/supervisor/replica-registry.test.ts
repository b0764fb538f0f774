import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FakeHost } from "../../test/supervisor/fake-host.js";
import { createDeploymentPlan, SupervisorStage } from "../../test/supervisor/supervisor-stage.js";
import type { LinkUpdate } from "../placement/control.js";
import type { Caller, CallerResidence, ReplicaHost } from "../placement/placement.js";
import { ReplicaRegistry } from "./replica-registry.js";

/** A notice in one line, with what matters of its kind. */
function format(notice: LinkUpdate): string {
  switch (notice.kind) {
    case "add":
      return `add ${notice.replica} at ${notice.address}`;
    case "remove":
      return `remove ${notice.replica}`;
    case "planned":
      return `planned ${notice.replicas} of ${notice.service}`;
    case "failed":
      return `failed ${notice.service}: ${notice.reason} after ${notice.attempts}, again in ${notice.retryAfterMs}`;
    case "draining":
      return `draining ${notice.service}`;
    case "faults":
      return `faults ${JSON.stringify(notice.faults)}`;
    case "abandoned":
      return `abandoned ${notice.replica}: ${notice.reason}`;
    case "add-local":
      return `add ${notice.replica} local`;
    case "forget":
      return `forget ${notice.service}`;
    case "add-port":
      return `add ${notice.replica} by a port`;
  }
}

/** A registry, hosts of services A and B, and subscribers that note what they hear. */
function createRegistry() {
  const registry = new ReplicaRegistry();
  const stage = new SupervisorStage();
  const hostOf = (service: string, index: number, residence: CallerResidence = "process"): ReplicaHost =>
    stage.deps.createHost(createDeploymentPlan(service, { residence }), index);
  const subscribe = (residence: CallerResidence, ...services: string[]) => {
    const heard: string[] = [];
    const notify = (notice: LinkUpdate) => heard.push(format(notice));
    const caller: Caller = { residence, notify };
    registry.subscribe(caller, services);
    const known = heard.splice(0);
    return { caller, known, take: () => heard.splice(0), unsubscribe: () => registry.unsubscribe(caller, services) };
  };
  const groupOf = (service: string) => stage.deps.createHost(createDeploymentPlan(service, { group: "g" }), 0);
  const heardIn = (host: ReplicaHost) => (host as FakeHost).notices.map(format);
  return { registry, hostOf, groupOf, heardIn, subscribe };
}

describe("ReplicaRegistry", () => {
  it("tells who calls a service of its replicas, and nobody else, in the order of things (JR2)", () => {
    const { registry, hostOf, subscribe } = createRegistry();
    const ofA = subscribe("process", "A");
    const ofB = subscribe("process", "B");
    const first = hostOf("A", 0);
    registry.plan("A", 2);
    registry.announce("A", first);
    registry.announce("A", hostOf("A", 1));
    registry.withdraw("A", first);
    registry.giveUp("A", { reason: "ended with exit code 1", attempts: 8, retryAfterMs: 30_000 });
    assert.deepEqual(ofA.take(), [
      "planned 2 of A",
      "add A#0 at A#0/0",
      "add A#1 at A#1/0",
      "remove A#0",
      "failed A: ended with exit code 1 after 8, again in 30000",
    ]);
    assert.deepEqual(ofB.take(), []);
  });

  it("answers who subscribes late with what there is now (JR1)", () => {
    const { registry, hostOf, subscribe } = createRegistry();
    const first = hostOf("A", 0);
    registry.plan("A", 2);
    registry.announce("A", first);
    registry.announce("A", hostOf("A", 1));
    registry.withdraw("A", first);
    const late = subscribe("process", "A", "B");
    assert.deepEqual(late.known, ["planned 2 of A", "add A#1 at A#1/0", "planned 0 of B"]);
    assert.deepEqual(late.take(), []);
    registry.withdraw("A", hostOf("A", 1));
    assert.deepEqual(late.take(), []);
  });

  it("says that a service has failed for as long as that is so", () => {
    const { registry, hostOf, subscribe } = createRegistry();
    registry.giveUp("A", { reason: "ended with exit code 1", attempts: 8, retryAfterMs: 30_000 });
    assert.deepEqual(subscribe("process", "A").known, [
      "planned 0 of A",
      "failed A: ended with exit code 1 after 8, again in 30000",
    ]);
    registry.announce("A", hostOf("A", 0));
    assert.deepEqual(subscribe("process", "A").known, ["planned 0 of A", "add A#0 at A#0/0"]);
  });

  it("says that a service takes no more calls, late ones told too", () => {
    const { registry, hostOf, subscribe } = createRegistry();
    const caller = subscribe("process", "A");
    const host = hostOf("A", 0);
    registry.announce("A", host);
    registry.withdraw("A", host);
    registry.close("A");
    assert.deepEqual(caller.take(), ["add A#0 at A#0/0", "remove A#0", "draining A"]);
    assert.deepEqual(subscribe("process", "A").known, ["planned 0 of A", "draining A"]);
  });

  it("gives each subscriber the way to a replica that leads from where it lives", () => {
    const { registry, hostOf, subscribe } = createRegistry();
    registry.announce("A", hostOf("A", 0, "main"));
    assert.deepEqual(subscribe("main", "A").known.slice(1), ["add A#0 local"]);
    assert.deepEqual(subscribe("process", "A").known.slice(1), ["add A#0 at A#0/0"]);
  });

  it("keeps a replica whose name a newer host has taken", () => {
    const { registry, hostOf, subscribe } = createRegistry();
    const caller = subscribe("process", "A");
    const old = hostOf("A", 0);
    registry.announce("A", old);
    registry.announce("A", hostOf("A", 0));
    registry.withdraw("A", old);
    assert.deepEqual(caller.take(), ["add A#0 at A#0/0", "add A#0 at A#0/1"]);
    assert.deepEqual(subscribe("process", "A").known.slice(1), ["add A#0 at A#0/1"]);
  });

  it("says why a replica is killed after it was taken back, whether or not that had happened before", () => {
    const { registry, hostOf, subscribe } = createRegistry();
    const caller = subscribe("process", "A");
    const host = hostOf("A", 0);
    registry.announce("A", host);
    registry.abandon(host, "did not answer");
    assert.deepEqual(caller.take(), ["add A#0 at A#0/0", "remove A#0", "abandoned A#0: did not answer"]);
    registry.abandon(host, "did not answer");
    assert.deepEqual(caller.take(), ["abandoned A#0: did not answer"]);
  });

  it("takes back all that share a process when one of them is killed, and says why, those nobody calls at the moment too", () => {
    const { registry, groupOf, hostOf, subscribe } = createRegistry();
    const caller = subscribe("process", "A", "B", "C");
    const [first, second] = [groupOf("A"), groupOf("B")];
    registry.announce("A", first);
    registry.announce("B", second);
    registry.announce("C", hostOf("C", 0));
    registry.withdraw("B", second);
    caller.take();
    registry.abandon(first, "did not answer");
    assert.deepEqual(caller.take(), ["remove A#0", "abandoned A#0: did not answer", "abandoned B#0: did not answer"]);
    registry.leave("A", first);
    registry.abandon(second, undefined);
    assert.deepEqual(caller.take(), []);
  });

  it("offers a replica without a channel to those who share its process", () => {
    const { registry, groupOf, heardIn } = createRegistry();
    const [first, second] = [groupOf("A"), groupOf("B")];
    registry.subscribe(second.caller, ["A"]);
    registry.announce("A", first);
    assert.deepEqual(heardIn(second), ["planned 0 of A", "add A#0 local"]);
  });

  it("tells a process of a service once, for as long as one of its replicas calls it (JR3)", () => {
    const { registry, groupOf, hostOf, heardIn } = createRegistry();
    const { caller } = groupOf("A");
    registry.subscribe(caller, ["X"]);
    registry.subscribe(caller, ["X", "Y"]);
    registry.announce("X", hostOf("X", 0));
    assert.deepEqual(heardIn(groupOf("B")), ["planned 0 of X", "planned 0 of Y", "add X#0 at X#0/0"]);
    registry.unsubscribe(caller, ["X", "Y"]);
    registry.announce("X", hostOf("X", 1));
    assert.deepEqual(heardIn(groupOf("C")).slice(3), ["forget Y", "add X#1 at X#1/0"]);
    registry.unsubscribe(caller, ["X"]);
    registry.announce("X", hostOf("X", 2));
    assert.deepEqual(heardIn(groupOf("D")).slice(5), ["forget X"]);
  });

  it("says a withdrawal once", () => {
    const { registry, hostOf, subscribe } = createRegistry();
    const caller = subscribe("process", "A");
    const host = hostOf("A", 0);
    registry.announce("A", host);
    registry.withdraw("A", host);
    registry.withdraw("A", host);
    assert.deepEqual(caller.take(), ["add A#0 at A#0/0", "remove A#0"]);
  });

  it("tells nothing to who has unsubscribed", () => {
    const { registry, hostOf, subscribe } = createRegistry();
    const leaving = subscribe("process", "A");
    const staying = subscribe("process", "A");
    leaving.unsubscribe();
    registry.announce("A", hostOf("A", 0));
    registry.setFaults([{ service: "A" }]);
    assert.deepEqual(leaving.take(), ["forget A"]);
    assert.deepEqual(staying.take(), ["add A#0 at A#0/0", 'faults [{"service":"A"}]']);
  });

  it("tells every site of faults, whatever it calls, and late ones before anything else", () => {
    const { registry, subscribe } = createRegistry();
    const early = subscribe("process", "A");
    assert.deepEqual(early.known, ["planned 0 of A"]);
    registry.setFaults([{ service: "B" }]);
    assert.deepEqual(early.take(), ['faults [{"service":"B"}]']);
    assert.deepEqual(subscribe("thread").known, ['faults [{"service":"B"}]']);
    registry.setFaults([]);
    assert.deepEqual(early.take(), ["faults []"]);
    assert.deepEqual(subscribe("thread", "A").known, ["planned 0 of A"]);
  });
});
