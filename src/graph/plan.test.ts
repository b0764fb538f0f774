import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { api } from "../define/api.js";
import { depends, type ServiceClass } from "../define/depends.js";
import { Service } from "../define/service.js";
import { resolveOptions } from "../options/resolve-options.js";
import { resolveGraph } from "./graph.js";
import { createPlan, type Plan, type PlanConstraints } from "./plan.js";

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

class Tokens extends Service({ placement: "inline", env: { A: "4" } }) {
  run = api(text, (value) => value);
}
class Words extends Service({ placement: "inline", replicas: { min: 1, max: 3 }, resources: { gpu: 1 } }) {
  tokens = depends(Tokens);
  run = api(text, (value) => this.tokens.run(value));
}
class Reader extends Service({ placement: "process", env: { A: "5" } }) {
  words = depends(Words);
  model = depends(Model);
  run = api(text, (value) => this.words.run(value));
}
class Writer extends Service({ placement: "process" }) {
  words = depends(Words);
  run = api(text, (value) => this.words.run(value));
}
class Both extends Service({ placement: "process" }) {
  reader = depends(Reader);
  writer = depends(Writer);
  run = api(text, (value) => this.reader.run(value));
}

class Glossary extends Service({ placement: "inline" }) {
  tokens = depends(Tokens);
  model = depends(Model);
  run = api(text, (value) => this.tokens.run(value));
}
class Clerk extends Service({ placement: "thread" }) {
  glossary = depends(Glossary);
  run = api(text, (value) => this.glossary.run(value));
}
class Desk extends Service({ placement: "inline" }) {
  clerk = depends(Clerk);
  run = api(text, (value) => this.clerk.run(value));
}
class Library extends Service({ placement: "inline", env: { A: "6" } }) {
  words = depends(Words);
  reader = depends(Reader);
  run = api(text, (value) => this.reader.run(value));
}

function planOf(entry: ServiceClass, constraints?: PlanConstraints) {
  const graph = resolveGraph(entry);
  const services = [...graph.services.values()].map(({ name, options, apis }) => ({
    name,
    options: options as Record<string, unknown>,
    apis: [...apis.keys()].map((api) => ({ name: api, options: {} })),
  }));
  const { settings } = resolveOptions({ entry: graph.entry, services }, { flags: {}, env: {} });
  return createPlan(graph, settings, constraints);
}

/** Service → where it lives, with its inline callees. */
const placesOf = (plan: Plan) =>
  Object.fromEntries(
    plan.deployments.map(({ descriptor, residence, inlineCallees }) => [
      descriptor.name,
      [residence, ...inlineCallees],
    ]),
  );

const deploymentOf = (plan: Plan, service: string) =>
  plan.deployments.find(({ descriptor }) => descriptor.name === service);

describe("createPlan", () => {
  it("gives each service one deployment, callees first, each callee named once", () => {
    const plan = planOf(Front);
    assert.deepEqual(
      plan.deployments.map(({ descriptor, callees, replicas, residence }) => [
        descriptor.name,
        callees,
        replicas,
        residence,
      ]),
      [
        ["Model", [], 2, "thread"],
        ["Front", ["Model"], 1, "process"],
      ],
    );
  });

  it("puts an inline service into every place that calls it, also through other inline services", () => {
    assert.deepEqual(placesOf(planOf(Both)), {
      Tokens: ["caller"],
      Words: ["caller"],
      Model: ["thread"],
      Reader: ["process", "Tokens", "Words"],
      Writer: ["process", "Tokens", "Words"],
      Both: ["process"],
    });
    assert.deepEqual(deploymentOf(planOf(Both), "Reader")?.remoteCallees, ["Model"]);
    assert.deepEqual(deploymentOf(planOf(Both), "Both")?.remoteCallees, ["Reader", "Writer"]);
  });

  it("keeps an inline entry, and what is inline below it, in the app's own process", () => {
    assert.deepEqual(placesOf(planOf(Words)), { Tokens: ["main"], Words: ["main"] });
  });

  it("keeps a pinned service in the app's own process, whoever calls it and however it is placed", () => {
    const plan = planOf(Both, { pinned: new Set(["Words", "Model"]) });
    assert.deepEqual(placesOf(plan), {
      Tokens: ["main"],
      Words: ["main"],
      Model: ["main"],
      Reader: ["process"],
      Writer: ["process"],
      Both: ["process"],
    });
    assert.deepEqual(deploymentOf(plan, "Reader")?.remoteCallees, ["Words", "Model"]);
  });

  it("has a replica of every inline service in the app's own process where a test must reach all", () => {
    const plan = planOf(Both, { reachesAll: true });
    assert.deepEqual([placesOf(plan)["Words"], placesOf(plan)["Reader"]], [["main"], ["process", "Tokens", "Words"]]);
  });

  it("gives an inline service to threads as to processes, and its callees to whoever it lives with", () => {
    assert.deepEqual(placesOf(planOf(Desk)), {
      Tokens: ["caller"],
      Model: ["thread"],
      Glossary: ["caller"],
      Clerk: ["thread", "Tokens", "Glossary"],
      Desk: ["main"],
    });
    assert.deepEqual(deploymentOf(planOf(Desk), "Clerk")?.callees, ["Glossary"]);
    assert.deepEqual(deploymentOf(planOf(Desk), "Clerk")?.remoteCallees, ["Model"]);
    assert.deepEqual(deploymentOf(planOf(Desk), "Desk")?.remoteCallees, ["Clerk"]);
  });

  it("has an inline service both in the app's own process and in that of another caller", () => {
    const plan = planOf(Library);
    assert.deepEqual(placesOf(plan), {
      Tokens: ["main"],
      Words: ["main"],
      Model: ["thread"],
      Reader: ["process", "Tokens", "Words"],
      Library: ["main"],
    });
    assert.deepEqual(deploymentOf(plan, "Library")?.remoteCallees, ["Words", "Reader"]);
    assert.deepEqual(deploymentOf(plan, "Reader")?.remoteCallees, ["Model"]);
  });

  it("joins no environment of services in different places, though one process starts the other", () => {
    const plan = planOf(Library);
    assert.deepEqual([...(deploymentOf(plan, "Library")?.env ?? [])], [["A", "6"]]);
    const clashes = plan.notices.filter((notice) => / to different values; /.test(notice));
    assert.deepEqual(
      clashes.map((notice) => notice.replace(/ set .*/, "")),
      ["Tokens and Reader", "Tokens and Library"],
    );
  });

  it("says what an inline service does not get", () => {
    const notices = planOf(Words).notices;
    assert.match(notices[0] ?? "", /Words asks for 1 to 3 replicas; placed inline it has 1 wherever it is called/);
    assert.match(notices[1] ?? "", /Words asks for 1 gpu; placed inline it is given no devices/);
    assert.equal(planOf(Front).notices.length, 0);
  });

  it("joins what services of one process ask of its environment, the callee's first, and says where they differ", () => {
    const plan = planOf(Both);
    assert.deepEqual([...(deploymentOf(plan, "Reader")?.env ?? [])], [["A", "4"]]);
    assert.deepEqual([...(deploymentOf(plan, "Model")?.env ?? [])], [["A", "1"]]);
    const clash = /Tokens and Reader set A to different values; in the process they share Tokens's holds/;
    assert.equal(plan.notices.filter((notice) => clash.test(notice)).length, 1);
  });
});
