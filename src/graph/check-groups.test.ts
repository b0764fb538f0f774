import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findGroupProblems } from "../app/plan-app.js";
import { resolveOptions } from "../options/resolve-options.js";

/** Services by their options, and what is found wrong with them: `"fault B resources.gpu"`. */
function find(services: Readonly<Record<string, Readonly<Record<string, unknown>>>>) {
  const named = Object.entries(services).map(([name, options]) => ({ name, options, apis: [] }));
  const { settings, faults } = resolveOptions({ entry: named[0]?.name ?? "", services: named }, { flags: {}, env: {} });
  assert.deepEqual(faults, []);
  const problems = findGroupProblems(settings);
  return {
    faults: problems.faults.map(({ id, service, field }) => `${id} ${service} ${field}`),
    warnings: problems.warnings.map(({ id, service, field }) => `${id} ${service} ${field}`),
    messages: [...problems.faults, ...problems.warnings].map(({ message }) => message),
  };
}

describe("findGroupProblems", () => {
  it("finds nothing wrong with services that differ in what is their own", () => {
    const { faults, warnings } = find({
      A: {
        group: "g",
        replicas: { min: 1, max: 3 },
        liveness: { suspendAfterMs: 50 },
        env: { X: "1" },
        resources: { gpu: 1 },
      },
      B: { group: "g", replicas: 2, env: { X: "1", Y: "2" }, version: "7", resources: { cpu: 2 } },
      C: { group: "h", resources: { gpu: 1 }, env: { X: "2" } },
      D: { resources: { gpu: 1 }, env: { X: "3" }, placement: "inline" },
    });
    assert.deepEqual([faults, warnings], [[], []]);
  });

  it("finds services that each want devices of the process, all but the first", () => {
    const { faults, messages } = find({
      A: { group: "g", resources: { gpu: 0.5 } },
      B: { group: "g", resources: { gpu: 0.5 } },
      C: { group: "g", resources: { gpu: 2 } },
    });
    assert.deepEqual(faults, ["group_devices_differ B resources.gpu", "group_devices_differ C resources.gpu"]);
    assert.equal(
      messages[0],
      "A and B share the processes of group g and each ask for GPUs, but a process sees the GPUs of one service only",
    );
  });

  it("finds variables that two set to different values", () => {
    const { faults } = find({
      A: { group: "g", env: { MODEL: "small", SAME: "1" } },
      B: { group: "g", env: { MODEL: "large", SAME: "1" } },
    });
    assert.deepEqual(faults, ["group_env_differs B env.MODEL"]);
  });

  it("warns of groups without effect, and of bounds of memory that others undo", () => {
    const { faults, warnings, messages } = find({
      A: { group: "g", placement: "thread" },
      B: { group: "g", placement: "inline" },
      C: { group: "g", resources: { memory: "1Gi" } },
      D: { group: "g" },
    });
    assert.deepEqual(faults, []);
    assert.deepEqual(warnings, [
      "group_not_shared A group",
      "group_not_shared B group",
      "group_memory_unbound C resources.memory",
    ]);
    assert.match(messages[2] ?? "", /^resources\.memory of C has no effect in group g: D,/);
  });
});
