import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ReplicaLink } from "../call/link.js";
import { pickLink } from "./balancer.js";
import { ServiceLinks } from "./directory.js";

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

  it("has none to give while no replica is ready", () => {
    assert.equal(pickLink(createService()), undefined);
  });
});
