import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { api } from "../define/api.js";
import { depends } from "../define/depends.js";
import { Service } from "../define/service.js";
import type { AppFile } from "../options/app-file.js";
import { resolveOptions } from "../options/resolve-options.js";
import { resolveGraph } from "./graph.js";
import { createPlan, type Plan, shareProcess } from "./plan.js";

const text = { input: z.string(), output: z.string() };

class Rules extends Service({ placement: "inline", env: { RULES: "1" } }) {
  run = api(text, (value) => value);
}
class Words extends Service({ env: { WORDS: "1" } }) {
  run = api(text, (value) => value);
}
class Reader extends Service({ env: { READER: "1" } }) {
  rules = depends(Rules);
  words = depends(Words);
  run = api(text, (value) => this.words.run(value));
}
class Front extends Service() {
  reader = depends(Reader);
  run = api(text, (value) => this.reader.run(value));
}

function planOf(services: NonNullable<AppFile["services"]>): Plan {
  const graph = resolveGraph(Front);
  const named = [...graph.services.values()].map(({ name, options }) => ({
    ...{ name, apis: [] },
    options: options as Readonly<Record<string, unknown>>,
  }));
  const appFile = { path: "app file", value: { services } };
  const { settings, faults } = resolveOptions({ entry: "Front", services: named }, { flags: {}, env: {}, appFile });
  assert.deepEqual(faults, []);
  return createPlan(graph, settings);
}

const deployment = (plan: Plan, name: string) => {
  const found = plan.deployments.find(({ descriptor }) => descriptor.name === name);
  assert.ok(found !== undefined);
  return found;
};

describe("a plan with groups", () => {
  it("has each service of a group as a deployment of its own, with its own callees", () => {
    const plan = planOf({ Words: { group: "g" }, Reader: { group: "g", replicas: 2 } });
    const [words, reader, front] = ["Words", "Reader", "Front"].map((name) => deployment(plan, name));
    assert.deepEqual(words?.group, { name: "g", members: ["Words", "Reader"], kept: ["Words", "Reader"] });
    assert.deepEqual(reader?.group, words?.group);
    assert.equal(front?.group, undefined);
    assert.deepEqual([reader?.residence, reader?.replicas, words?.replicas], ["process", 2, 1]);
    assert.deepEqual([reader?.inlineCallees, reader?.remoteCallees], [["Rules"], ["Words"]]);
  });

  it("gives all of a group the environment of all of it, and of those who live beside them", () => {
    const plan = planOf({ Words: { group: "g" }, Reader: { group: "g" } });
    const env = { WORDS: "1", RULES: "1", READER: "1" };
    for (const name of ["Words", "Reader"]) assert.deepEqual(Object.fromEntries(deployment(plan, name).env), env);
    assert.deepEqual(Object.fromEntries(deployment(plan, "Front").env), {});
  });

  it("asks all of a group as often as the most impatient wants, and is as patient as the most patient", () => {
    const plan = planOf({
      Words: { group: "g", liveness: { intervalMs: 100, suspendAfterMs: 9000 } },
      Reader: { group: "g", liveness: { intervalMs: 500, replaceAfterMs: 90_000 } },
    });
    const joined = { intervalMs: 100, suspendAfterMs: 9000, replaceAfterMs: 90_000, warmUpMs: 300_000 };
    for (const name of ["Words", "Reader"]) assert.deepEqual(deployment(plan, name).settings.liveness, joined);
  });

  it("keeps calls in the process only where no replica of the callee is without a caller beside it", () => {
    const kept = (words: object, reader: object) =>
      deployment(planOf({ Words: { group: "g", ...words }, Reader: { group: "g", ...reader } }), "Words").group?.kept;
    assert.deepEqual(kept({ replicas: 2 }, { replicas: 2 }), ["Words", "Reader"]);
    assert.deepEqual(kept({ replicas: 3 }, { replicas: 2 }), ["Reader"]);
    assert.deepEqual(kept({ replicas: { min: 1, max: 2 } }, { replicas: { min: 1, max: 2 } }), ["Reader"]);
    assert.deepEqual(kept({ replicas: { min: 1, max: 2 } }, { replicas: { min: 2, max: 4 } }), ["Words", "Reader"]);
  });

  it("has no group of services that live elsewhere than in processes, or say none", () => {
    const plan = planOf({
      Words: { group: "g", placement: "thread" },
      Reader: { group: "none" },
      Rules: { group: "g" },
    });
    for (const own of plan.deployments) assert.equal(own.group, undefined);
  });
});

describe("shareProcess", () => {
  it("gives a process what those have together that may live in it", () => {
    const plan = planOf({
      Words: { group: "g", replicas: { min: 1, max: 3 }, resources: { memory: 100, cpu: 2 } },
      Reader: { group: "g", resources: { memory: 50, cpu: 0.5 } },
    });
    const { group } = deployment(plan, "Words");
    assert.ok(group !== undefined);
    assert.deepEqual(shareProcess(group, plan.settings, 0), { members: ["Words", "Reader"], memoryBytes: 150, cpu: 2 });
    assert.deepEqual(shareProcess(group, plan.settings, 2), { members: ["Words"], memoryBytes: 100, cpu: 2 });
  });

  it("has no bound of memory where one of them has none", () => {
    const plan = planOf({ Words: { group: "g", resources: { memory: 100 } }, Reader: { group: "g" } });
    const { group } = deployment(plan, "Words");
    assert.ok(group !== undefined);
    assert.equal(shareProcess(group, plan.settings, 0).memoryBytes, Number.POSITIVE_INFINITY);
  });
});
