import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeploymentPlan } from "../graph/plan.js";
import { secret } from "../options/secret.js";
import { joinEnvironment } from "./remote-runtimes.js";

const env = new Map([["A", "of the service"]]);
const descriptor = { name: "Model" } as DeploymentPlan["descriptor"];
const join = (residence: "process" | "thread", own: DeploymentPlan["env"], outside: NodeJS.ProcessEnv) =>
  joinEnvironment({ descriptor, env: own, residence }, outside, 3);

describe("joinEnvironment", () => {
  it("joins what a service asks for with what the app was started with, which has the last word", () => {
    assert.equal(join("process", env, {})["A"], "of the service");
    assert.equal(join("thread", env, { B: "1" })["A"], "of the service");
    assert.equal(join("process", env, { A: "of the app" })["A"], "of the app");
  });

  it("does not let the services in the app's own process decide over those elsewhere", () => {
    process.env["EKIBEN_TEST_VARIABLE"] = "of a service in the app's own process";
    try {
      const own = new Map([["EKIBEN_TEST_VARIABLE", "of the service"]]);
      assert.equal(join("process", own, {})["EKIBEN_TEST_VARIABLE"], "of the service");
    } finally {
      delete process.env["EKIBEN_TEST_VARIABLE"];
    }
  });

  it("reads a secret of a service only where nothing outside sets the variable, and names what is missing", () => {
    const own = new Map([["KEY", secret("EKIBEN_TEST_SECRET")]]);
    assert.equal(join("process", own, { KEY: "of the app" })["KEY"], "of the app");
    assert.throws(() => join("process", own, {}), { id: "secret_missing", service: "Model" });
    process.env["EKIBEN_TEST_SECRET"] = "of the machine";
    try {
      assert.equal(join("process", own, {})["KEY"], "of the machine");
      assert.equal(join("thread", own, {})["KEY"], "of the machine");
    } finally {
      delete process.env["EKIBEN_TEST_SECRET"];
    }
  });

  it("tells the model runtimes of a process how many threads are theirs, unless someone says otherwise", () => {
    assert.equal(join("process", env, {})["OMP_NUM_THREADS"], "3");
    assert.equal(join("process", new Map([["OMP_NUM_THREADS", "1"]]), {})["OMP_NUM_THREADS"], "1");
    assert.equal(join("process", env, { OMP_NUM_THREADS: "2" })["OMP_NUM_THREADS"], "2");
    assert.equal(join("thread", env, {})["OMP_NUM_THREADS"], undefined);
  });
});
