import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Call } from "../call/call.js";
import { operationTimeoutMs } from "../call/task-state.js";
import type { ApiSettings } from "../options/settings.js";
import { createLimitNames, type TargetLimits } from "./runtime.js";

const settings = { timeoutMs: 800, timeoutFrom: "EKIBEN_TIMEOUT_MS" } as ApiSettings;
const limits: TargetLimits = { service: "Model", api: "wait", settings, operation: undefined, edgeTimeoutMs: 500 };

function nameOf(timeoutMs: number, own: Partial<TargetLimits> = {}, caller = { service: "Front", api: "run" }): string {
  return createLimitNames({ ...limits, ...own })({ caller } as Call, timeoutMs);
}

describe("createLimitNames", () => {
  it("names the api's option and where it was set", () => {
    assert.equal(nameOf(800), "timeoutMs of Model.wait, from EKIBEN_TIMEOUT_MS");
    // As a difference of two readings of a clock.
    assert.equal(nameOf(1e9 + 800.1 - (1e9 + 0.1)), "timeoutMs of Model.wait, from EKIBEN_TIMEOUT_MS");
    const undecided = { settings: { timeoutMs: 800, timeoutFrom: "default" } as ApiSettings };
    assert.equal(nameOf(800, undecided), "timeoutMs of Model.wait, its default");
  });

  it("names the edge", () => {
    assert.equal(nameOf(500), "timeoutMs of depends(Model) in Front");
  });

  it("names the call's own option, and the header of a request", () => {
    assert.equal(nameOf(20), "timeoutMs of the call from Front.run to Model.wait");
    assert.equal(nameOf(20, {}, { service: "Front", api: "" }), "timeoutMs of the call from Front to Model.wait");
    assert.equal(nameOf(20, {}, { service: "local", api: "" }), "timeoutMs of the call to Model.wait");
    const client = nameOf(20, {}, { service: "http", api: "/wait" });
    assert.equal(client, "the client's timeoutMs, sent as ekiben-timeout-ms");
  });

  it("tells waiting for a task from asking about it", () => {
    const ofApi = "timeoutMs of Model.wait, from EKIBEN_TIMEOUT_MS";
    assert.equal(nameOf(800, { operation: "call" }), ofApi);
    assert.equal(nameOf(800, { operation: "result" }), ofApi);
    assert.equal(nameOf(800, { operation: "status" }), "timeoutMs of the call from Front.run to Model.wait");
    assert.equal(nameOf(operationTimeoutMs, { operation: "status" }), "ekiben's own limit for it");
  });
});
