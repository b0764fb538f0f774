import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { api } from "../define/api.js";
import { depends } from "../define/depends.js";
import { Service } from "../define/service.js";
import { resolveOptions } from "../options/resolve-options.js";
import { createPlan } from "./plan.js";
import { resolveGraph } from "./resolve-graph.js";

const text = { input: z.string(), output: z.string() };

class Model extends Service({
  placement: "thread",
  replicas: { min: 2, max: 5 },
  resources: { gpu: 1 },
  env: { A: "1" },
}) {
  run = api(text, (value) => value);
}
class Front extends Service({ env: { A: "2", B: "3" } }) {
  first = depends(Model);
  second = depends(Model);
  run = api(text, (value) => this.first.run(value));
}

function planOf(entry: new () => unknown) {
  const graph = resolveGraph(entry);
  const services = [...graph.services.values()].map(({ name, options, apis }) => ({
    name,
    options: options as Record<string, unknown>,
    apis: [...apis.keys()].map((api) => ({ name: api, options: {} })),
  }));
  return createPlan(graph, resolveOptions({ entry: graph.entry, services }, { flags: {}, env: {} }).settings);
}

describe("createPlan", () => {
  it("gives each service one deployment, callees first, each callee named once", () => {
    const plan = planOf(Front);
    assert.deepEqual(
      plan.deployments.map(({ descriptor, callees, replicas }) => [descriptor.name, callees, replicas]),
      [
        ["Model", [], 2],
        ["Front", ["Model"], 1],
      ],
    );
  });

  it("says what it does not do as it was asked to", () => {
    const { notices } = planOf(Front);
    assert.equal(notices.length, 4);
    assert.match(notices[0] ?? "", /Model asks for placement thread; this version runs every service inline/);
    assert.match(notices[1] ?? "", /2 to 5 replicas; this version runs 2/);
    assert.match(notices[2] ?? "", /1 gpu; this version hands out no devices/);
    assert.match(notices[3] ?? "", /Model and Front set A to different values; in one process Model's holds/);
  });

  it("joins what services ask of the environment", () => {
    assert.deepEqual(
      [...planOf(Front).env],
      [
        ["A", "1"],
        ["B", "3"],
      ],
    );
  });
});
