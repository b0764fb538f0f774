import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../../test/http/random.js";
import { assignDevices, type DeviceWish } from "./assign-devices.js";

const wish = (service: string, replicas: number, gpu: number): DeviceWish => ({ service, replicas, gpu });

const assign = (wishes: readonly DeviceWish[], devices: readonly number[]) =>
  Object.fromEntries(assignDevices(wishes, devices));

describe("assignDevices", () => {
  it("gives whole devices to one replica each, in the order of the list", () => {
    assert.deepEqual(assign([wish("Model", 2, 1), wish("Large", 1, 2)], [0, 1, 2, 3]), {
      Model: [[0], [1]],
      Large: [[2, 3]],
    });
  });

  it("hands out the ids it was given, whatever they are", () => {
    assert.deepEqual(assign([wish("Model", 2, 1)], [7, 3, 5]), { Model: [[7], [3]] });
  });

  it("lets shares that sum to one have one device, and opens another for what is more", () => {
    assert.deepEqual(assign([wish("Model", 3, 0.5)], [4, 5]), { Model: [[4], [4], [5]] });
    assert.deepEqual(assign([wish("A", 1, 0.3), wish("B", 1, 0.7), wish("C", 2, 0.5)], [0, 1]), {
      A: [[0]],
      B: [[0]],
      C: [[1], [1]],
    });
  });

  it("reads fractions as people write them", () => {
    assert.deepEqual(assign([wish("Tenth", 10, 0.1)], [0]).Tenth?.flat(), new Array(10).fill(0));
    assert.deepEqual(assign([wish("Third", 3, 0.333333)], [0]).Third?.flat(), [0, 0, 0]);
    assert.deepEqual(assign([wish("A", 1, 0.1), wish("B", 1, 0.2), wish("C", 1, 0.7)], [0]), {
      A: [[0]],
      B: [[0]],
      C: [[0]],
    });
  });

  it("puts no share onto a device that another replica has whole", () => {
    assert.deepEqual(assign([wish("Small", 1, 0.25), wish("Model", 1, 1)], [0, 1]), { Small: [[1]], Model: [[0]] });
  });

  it("gives nothing to services that want nothing, also on a machine without devices", () => {
    assert.deepEqual(assign([wish("Front", 2, 0)], []), { Front: [[], []] });
    assert.deepEqual(assign([], []), {});
  });

  it("says how many are wanted in all, how many there are, and who gets none", () => {
    assert.throws(() => assignDevices([wish("Model", 2, 1), wish("Shared", 3, 0.5)], [0, 1, 2]), {
      id: "too_few_devices",
      code: "failed_precondition",
      details: { service: "Shared", wanted: 4, available: 3 },
      message: "the replicas of all services need 4 GPUs and the machine has 3; no GPU is left for Shared",
    });
    assert.throws(() => assignDevices([wish("Model", 1, 1)], []), {
      details: { service: "Model", wanted: 1, available: 0 },
    });
    assert.throws(() => assignDevices([wish("Large", 1, 4), wish("Model", 1, 1)], [0, 1]), {
      details: { service: "Large", wanted: 5, available: 2 },
    });
  });

  it("gives the same answer each time, keeps whole devices apart and shares within one", () => {
    const random = new Random(5);
    for (let run = 0; run < 300; run++) {
      const wishes = Array.from({ length: random.between(1, 6) }, (_, i) =>
        wish(`S${i}`, random.between(1, 4), random.pick([0, 0.1, 0.25, 0.3, 0.5, 0.75, 1, 2])),
      );
      const devices = Array.from({ length: 64 }, (_, i) => 100 - i);
      const assigned = assignDevices(wishes, devices);
      assert.deepEqual(assignDevices(wishes, devices), assigned);
      const loads = new Map<number, number>();
      for (const { service, replicas, gpu } of wishes) {
        const own = assigned.get(service) ?? [];
        assert.equal(own.length, replicas);
        for (const ids of own) {
          assert.equal(new Set(ids).size, Math.ceil(gpu));
          for (const id of ids) loads.set(id, (loads.get(id) ?? 0) + Math.min(gpu, 1));
        }
      }
      assert.ok([...loads.values()].every((load) => load <= 1 + 1e-9));
      const shares = wishes.reduce((sum, { replicas, gpu }) => sum + replicas * gpu, 0);
      assert.ok(loads.size <= 2 * shares + 1, "packed, not spread");
    }
  });
});
