import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sampleGraphs } from "../../../test/fixtures/sample-graphs.js";
import type { ServiceSettings } from "../../options/settings.js";
import { formatField, formatServices, joinEdges } from "./format-service.js";

const plain: ServiceSettings = {
  version: "0",
  description: "",
  labels: {},
  placement: "process",
  at: [],
  group: "none",
  replicas: { min: 1, max: 1, targetInFlight: 4 },
  resources: { cpu: 1, memoryBytes: Number.POSITIVE_INFINITY, gpu: 0, gpuType: "" },
  build: { assets: [] },
  startTimeoutMs: 1000,
  waitForReplicaMs: 5000,
  liveness: { intervalMs: 1000, suspendAfterMs: 5000, replaceAfterMs: 30_000, warmUpMs: 300_000 },
  restart: { backoffMs: 100, maxBackoffMs: 10_000, resetAfterMs: 10_000, giveUpAfter: 8, slowBackoffMs: 30_000 },
  env: {},
  apis: new Map(),
};

const badgesOf = (name: string, settings?: ReadonlyMap<string, ServiceSettings>) =>
  formatServices(sampleGraphs.chain, settings && { settings })
    .find((service) => service.name === name)
    ?.badges.map((badge) => badge.text);

describe("formatServices", () => {
  it("lists services from the entry down, dependencies as declared", () => {
    assert.deepEqual(
      formatServices(sampleGraphs.mixed).map((service) => service.name),
      [
        ...["Assistant", "LanguageId", "Safety", "Retriever", "SentenceEncoder"],
        ...["Tokenizer", "Reranker", "Generator"],
      ],
    );
  });

  it("shows what is declared", () => {
    assert.deepEqual(badgesOf("Detector"), ["1 gpu a100", "16Gi", "1–4 replicas"]);
    assert.deepEqual(badgesOf("Resize"), ["0.5 cpu"]);
    assert.deepEqual(badgesOf("Postprocess"), []);
  });

  it("shows what was decided instead, where it is declared or not the usual", () => {
    const decided: ServiceSettings = {
      ...plain,
      version: "2",
      replicas: { min: 3, max: 3, targetInFlight: 4 },
      resources: { cpu: 2, memoryBytes: 1.5 * 1024 ** 3, gpu: 0, gpuType: "" },
    };
    const settings = new Map(["Detector", "Resize", "PhotoPipeline"].map((name) => [name, plain]));
    settings.set("Postprocess", decided);
    assert.deepEqual(badgesOf("Postprocess", settings), ["2 cpu", "1.5Gi", "3 replicas"]);
    assert.deepEqual(badgesOf("PhotoPipeline", settings), []);
    assert.deepEqual(badgesOf("Resize", settings), ["1 cpu"]);
    const versions = formatServices(sampleGraphs.chain, { settings }).map((service) => service.version);
    assert.deepEqual(versions, ["", "", "", "2"]);
  });

  it("shows the group of services that share processes", () => {
    const settings = new Map(["Detector", "Resize", "PhotoPipeline", "Postprocess"].map((name) => [name, plain]));
    settings.set("Resize", { ...plain, group: "photo" });
    settings.set("Postprocess", { ...plain, group: "photo", placement: "inline" });
    assert.deepEqual(badgesOf("Resize", settings), ["1 cpu", "process", "group photo"]);
    assert.deepEqual(badgesOf("Detector", settings)?.includes("group photo"), false);
    assert.deepEqual(badgesOf("Postprocess", settings)?.includes("group photo"), false, "inline, it shares none");
  });

  it("shows placements where they differ", () => {
    const settings = new Map(["Detector", "Resize", "PhotoPipeline", "Postprocess"].map((name) => [name, plain]));
    assert.deepEqual(badgesOf("Postprocess", settings), []);
    settings.set("Detector", { ...plain, placement: "thread" });
    assert.deepEqual(badgesOf("Postprocess", settings), ["process"]);
  });
});

describe("joinEdges", () => {
  it("joins edges between the same services, with the fields that say more than the service's name", () => {
    const edges = joinEdges(sampleGraphs.mixed);
    assert.deepEqual(
      edges.filter((edge) => edge.to === "Safety"),
      [{ from: "Assistant", to: "Safety", label: "guard" }],
    );
    assert.equal(new Set(edges.map(({ from, to }) => `${from} ${to}`)).size, edges.length);
    assert.equal(formatField("scaler", "Scaler"), "");
    assert.equal(formatField("(private)", "Scaler"), "");
  });
});
