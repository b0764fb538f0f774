import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { joinEnvironment } from "./remote-runtimes.js";

const env = new Map([["A", "of the service"]]);
const join = (residence: "process" | "thread", own: ReadonlyMap<string, string>, outside: NodeJS.ProcessEnv) =>
  joinEnvironment({ env: own, residence }, outside, 3);

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

  it("tells the model runtimes of a process how many threads are theirs, unless someone says otherwise", () => {
    assert.equal(join("process", env, {})["OMP_NUM_THREADS"], "3");
    assert.equal(join("process", new Map([["OMP_NUM_THREADS", "1"]]), {})["OMP_NUM_THREADS"], "1");
    assert.equal(join("process", env, { OMP_NUM_THREADS: "2" })["OMP_NUM_THREADS"], "2");
    assert.equal(join("thread", env, {})["OMP_NUM_THREADS"], undefined);
  });
});
