import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ReplicaLink } from "../call/link.js";
import { pickLink, ServiceLinks } from "./directory.js";

function createService(...inFlight: number[]): ServiceLinks {
  const service = new ServiceLinks("Model");
  service.links = inFlight.map((count, i) => ({ replica: `Model#${i}`, inFlight: count }) as ReplicaLink);
  return service;
}

const pickMany = (service: ServiceLinks, times: number) =>
  Array.from({ length: times }, () => pickLink(service)?.replica);

describe("pickLink", () => {
  it("picks the replica with the fewest calls in flight", () => {
    assert.deepEqual(new Set(pickMany(createService(3, 1, 2), 9)), new Set(["Model#1"]));
  });

  it("lets equal replicas take turns", () => {
    for (const inFlight of [0, 2]) {
      const picks = pickMany(createService(inFlight, inFlight, inFlight), 6);
      assert.deepEqual([...picks].sort(), ["Model#0", "Model#0", "Model#1", "Model#1", "Model#2", "Model#2"]);
    }
  });

  it("picks one in this thread before its equals, and before all others only where calls stay here", () => {
    const service = createService(2, 2, 2);
    service.local = service.links[1];
    assert.deepEqual(new Set(pickMany(service, 6)), new Set(["Model#1"]));
    const busy = createService(1, 2, 1);
    busy.local = busy.links[1];
    assert.deepEqual(new Set(pickMany(busy, 6)), new Set(["Model#0", "Model#2"]));
    busy.keepsLocal = true;
    assert.deepEqual(new Set(pickMany(busy, 6)), new Set(["Model#1"]));
  });

  it("picks others while the one in this thread is away", () => {
    const service = createService();
    service.keepsLocal = true;
    const [local, other] = [createService(5).links[0], createService(7).links[0]] as [ReplicaLink, ReplicaLink];
    service.add(local, true);
    service.add(other);
    assert.equal(pickLink(service), local);
    service.remove(local);
    assert.equal(pickLink(service), other);
  });

  it("has none to give while no replica is ready", () => {
    assert.equal(pickLink(createService()), undefined);
  });
});
