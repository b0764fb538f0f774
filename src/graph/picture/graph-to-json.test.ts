import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sampleGraphs } from "../../../test/fixtures/sample-graphs.js";
import type { ServiceSettings } from "../../options/settings.js";
import { graphToJson } from "./print-graph.js";

const batch = { maxRows: 8, targetLatencyMs: Number.POSITIVE_INFINITY, windowMs: undefined, maxConcurrent: 1 };
const settings: ServiceSettings = {
  version: "9",
  description: "",
  labels: {},
  placement: "process",
  at: [],
  group: "none",
  replicas: { min: 2, max: 2, targetInFlight: 4 },
  resources: { cpu: 1, memoryBytes: Number.POSITIVE_INFINITY, gpu: 0, gpuType: "" },
  build: { assets: [] },
  startTimeoutMs: 1000,
  waitForReplicaMs: 5000,
  liveness: { intervalMs: 1000, suspendAfterMs: 5000, replaceAfterMs: 30_000, warmUpMs: 300_000 },
  restart: { backoffMs: 100, maxBackoffMs: 10_000, resetAfterMs: 10_000, giveUpAfter: 8, slowBackoffMs: 30_000 },
  env: { API_KEY: "secret" },
  apis: new Map([
    [
      "detect",
      { timeoutMs: 900, maxConcurrent: 8, maxQueued: 16, idempotent: true, attempts: 3, retryBackoffMs: 1000, batch },
    ],
  ]),
};

describe("graphToJson", () => {
  it("is plain JSON with services, apis, edges and declared options", () => {
    const document = graphToJson(sampleGraphs.chain);
    assert.deepEqual(JSON.parse(JSON.stringify(document)), document);
    assert.equal(document.entry, "PhotoPipeline");
    assert.deepEqual(
      document.services.map((service) => service.name),
      ["PhotoPipeline", "Resize", "Detector", "Postprocess"],
    );
    assert.deepEqual(document.edges.at(-1), { from: "PhotoPipeline", field: "resize", to: "Resize" });
    assert.deepEqual(document.edges[0], { from: "Detector", field: "next", to: "Postprocess", timeoutMs: 200 });
    const [detect] = document.services[0]?.apis ?? [];
    assert.equal(detect?.route, "/v1/detect");
    assert.equal(detect?.summary, "Finds things in a photo.");
    assert.deepEqual(detect?.options, { timeoutMs: 900 });
    assert.deepEqual(detect?.input["required"], ["image"]);
    assert.equal(document.services[1]?.apis[0]?.route, undefined);
    assert.deepEqual(document.services[2]?.options["replicas"], { min: 1, max: 4 });
  });

  it("gives decided settings where there are some, and never the value of an environment variable", () => {
    const document = graphToJson(sampleGraphs.chain, { settings: new Map([["PhotoPipeline", settings]]) });
    const options = document.services[0]?.options;
    assert.deepEqual(options?.["env"], ["API_KEY"]);
    assert.equal((options?.["resources"] as Record<string, unknown> | undefined)?.["memoryBytes"], null);
    assert.equal(document.services[0]?.apis[0]?.options["maxQueued"], 16);
    assert.deepEqual(document.services[0]?.apis[0]?.options["batch"], {
      maxRows: 8,
      targetLatencyMs: null,
      maxConcurrent: 1,
    });
    for (const text of [document, graphToJson(sampleGraphs.chain)]) {
      assert.doesNotMatch(JSON.stringify(text), /secret/);
    }
  });
});
