import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Counter, collectDefaultMetrics, register } from "prom-client";
import { CallStats } from "./call-stats.js";
import { createDeploymentMetrics, createMetrics, formatMetrics } from "./metrics.js";

/** `name{a="b"} 1` → its value, labels in any order. */
function readValue(page: string, name: string, labels: Record<string, string>): number | undefined {
  for (const line of page.split("\n")) {
    const [, found, body = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (found !== name) continue;
    const isMatch = Object.entries(labels).every(([label, text]) => body.includes(`${label}="${text}"`));
    if (isMatch) return Number(value);
  }
  return undefined;
}

describe("createMetrics", () => {
  it("writes what becomes of tasks", async () => {
    const stats = new CallStats();
    const task = stats.task("Model", "train");
    task.submitted = 5;
    task.running = 2;
    task.readWaiting = () => 3;
    task.record("completed", 40);
    task.record("lost", 40);
    stats.task("Model", "other");
    const { body } = await formatMetrics([await createMetrics(stats).readJson()]);
    const on = { service: "Model", api: "train" };
    assert.equal(readValue(body, "ekiben_tasks_submitted_total", on), 5);
    assert.equal(readValue(body, "ekiben_tasks_running", on), 2);
    assert.equal(readValue(body, "ekiben_tasks_waiting", on), 3);
    assert.equal(readValue(body, "ekiben_tasks_waiting", { ...on, api: "other" }), undefined);
    assert.equal(readValue(body, "ekiben_task_attempts_total", { ...on, outcome: "lost" }), 1);
    assert.equal(readValue(body, "ekiben_task_attempt_seconds_count", on), 2);
  });

  it("writes what becomes of calls at a cache, and what it keeps in all replicas", async () => {
    const stats = new CallStats();
    const cache = stats.cache("Model", "embed");
    cache.hits = 5;
    cache.joined = 3;
    cache.misses = 2;
    for (const entries of [1, 2]) cache.sizes.add(() => ({ entries, bytes: 100 * entries }));
    const { body } = await formatMetrics([await createMetrics(stats).readJson()]);
    const on = { service: "Model", api: "embed" };
    const calls = ["hit", "joined", "miss"].map((outcome) =>
      readValue(body, "ekiben_cache_calls_total", { ...on, outcome }),
    );
    assert.deepEqual(calls, [5, 3, 2]);
    assert.equal(readValue(body, "ekiben_cache_entries", on), 3);
    assert.equal(readValue(body, "ekiben_cache_bytes", on), 300);
  });

  it("writes calls by edge and outcome, and queue time apart from run time", async () => {
    const stats = new CallStats();
    const edge = stats.edge("Pipeline", "Model", "predict");
    for (const ms of [0.05, 3, 70_000]) edge.record("ok", ms);
    edge.record("deadline_exceeded", 100);
    edge.inFlight = 2;
    const lane = stats.lane("Model", "predict");
    lane.queued = 4;
    lane.refused.late = 3;
    for (const waitMs of [undefined, 250, 20]) {
      lane.admissions.add({ isOverloaded: waitMs === 250, expectWait: () => waitMs });
    }
    edge.withheld = 9;
    edge.recordFirstItem(3);
    stats.countRefusal(404, "unknown_route");
    stats.countRefusal(404, "unknown_route");
    stats.countRefusal(415, "unsupported_media_type");
    lane.queueTime.observe(20);
    lane.runTime.observe(400);
    const batches = stats.batch("Model", "predict");
    batches.record(8, 8, "full");
    batches.record(3, 2, "idle");
    const { body, contentType } = await formatMetrics([await createMetrics(stats).readJson()]);
    assert.match(contentType, /^text\/plain; version=0\.0\.4/);
    const on = { caller: "Pipeline", service: "Model", api: "predict" };
    assert.equal(readValue(body, "ekiben_calls_total", { ...on, code: "ok" }), 3);
    assert.equal(readValue(body, "ekiben_calls_total", { ...on, code: "deadline_exceeded" }), 1);
    assert.equal(readValue(body, "ekiben_calls_in_flight", on), 2);
    assert.equal(readValue(body, "ekiben_calls_withheld_total", on), 9);
    const api = { service: "Model", api: "predict" };
    assert.equal(readValue(body, "ekiben_api_refused_total", { ...api, reason: "late" }), 3);
    assert.equal(readValue(body, "ekiben_api_refused_total", { ...api, reason: "full" }), 0);
    assert.equal(readValue(body, "ekiben_api_overloaded", api), 1);
    assert.equal(readValue(body, "ekiben_api_expected_wait_seconds", api), 0.25);
    assert.equal(readValue(body, "ekiben_first_item_seconds_bucket", { ...on, le: "0.005" }), 1);
    assert.equal(readValue(body, "ekiben_http_refusals_total", { status: "404", id: "unknown_route" }), 2);
    assert.equal(readValue(body, "ekiben_http_refusals_total", { status: "415" }), 1);
    const ok = { ...on, code: "ok" };
    assert.equal(readValue(body, "ekiben_call_duration_seconds_bucket", { ...ok, le: "0.0001" }), 1);
    assert.equal(readValue(body, "ekiben_call_duration_seconds_bucket", { ...ok, le: "0.005" }), 2);
    assert.equal(readValue(body, "ekiben_call_duration_seconds_bucket", { ...ok, le: "+Inf" }), 3);
    assert.equal(readValue(body, "ekiben_call_duration_seconds_count", ok), 3);
    assert.equal(readValue(body, "ekiben_api_queued", { service: "Model", api: "predict" }), 4);
    assert.equal(readValue(body, "ekiben_api_queue_seconds_sum", { service: "Model" }), 0.02);
    assert.equal(readValue(body, "ekiben_api_run_seconds_sum", { service: "Model" }), 0.4);
    const model = { service: "Model", api: "predict" };
    assert.equal(readValue(body, "ekiben_batches_total", { ...model, reason: "full" }), 1);
    assert.equal(readValue(body, "ekiben_batch_rows_sum", model), 11);
    assert.equal(readValue(body, "ekiben_batch_rows_bucket", { ...model, le: "4" }), 1);
    assert.equal(readValue(body, "ekiben_batch_calls_bucket", { ...model, le: "8" }), 2);
    assert.ok((readValue(body, "nodejs_eventloop_lag_seconds", {}) ?? -1) >= 0);
  });

  it("lets authors' own metrics join, also when they collect what ekiben collects", async () => {
    const pages = new Counter({ name: "pages_read_total", help: "Pages read." });
    pages.inc(5);
    collectDefaultMetrics();
    const { body } = await formatMetrics([await createMetrics(new CallStats()).readJson()]);
    assert.equal(readValue(body, "pages_read_total", {}), 5);
    assert.equal(body.match(/^# TYPE process_cpu_seconds_total/gm)?.length, 1);
    register.clear();
  });

  it("adds up the figures of several processes on one page", async () => {
    const processes = [3, 4].map((calls) => {
      const stats = new CallStats();
      const edge = stats.edge("Pipeline", "Model", "predict");
      for (let i = 0; i < calls; i++) edge.record("ok", 3);
      edge.inFlight = 1;
      stats.lane("Model", "predict").queued = calls;
      return createMetrics(stats).readJson();
    });
    const { body } = await formatMetrics(await Promise.all(processes));
    const on = { caller: "Pipeline", service: "Model", api: "predict" };
    assert.equal(readValue(body, "ekiben_calls_total", { ...on, code: "ok" }), 7);
    assert.equal(readValue(body, "ekiben_calls_in_flight", on), 2);
    assert.equal(readValue(body, "ekiben_api_queued", { service: "Model" }), 7);
    assert.equal(readValue(body, "ekiben_call_duration_seconds_bucket", { ...on, le: "0.005" }), 7);
    assert.equal(readValue(body, "ekiben_call_duration_seconds_count", on), 7);
    assert.equal(body.match(/^# TYPE ekiben_calls_total/gm)?.length, 1);
  });

  it("gives no gauge the name of a counter", async () => {
    const { body } = await formatMetrics([await createMetrics(new CallStats()).readJson()]);
    const misnamed = [...body.matchAll(/^# TYPE (\w+_total) (?!counter)\w+/gm)].map(([, name]) => name);
    assert.deepEqual(misnamed, []);
    assert.match(body, /^nodejs_active_handles\{/m);
  });

  it("adds the figures of processes up, but for those of which the largest counts", async () => {
    const pages = [100, 250].map((waitMs) => {
      const stats = new CallStats();
      const lane = stats.lane("Model", "predict");
      lane.admissions.add({ isOverloaded: true, expectWait: () => waitMs });
      lane.refused.overloaded = waitMs;
      stats.orphans = [{ service: "Model", api: "former", count: 3 }];
      return createMetrics(stats).readJson();
    });
    const { body } = await formatMetrics(await Promise.all(pages));
    const on = { service: "Model", api: "predict" };
    assert.equal(readValue(body, "ekiben_api_overloaded", on), 2);
    assert.equal(readValue(body, "ekiben_api_refused_total", { ...on, reason: "overloaded" }), 350);
    assert.equal(readValue(body, "ekiben_api_expected_wait_seconds", on), 0.25);
    assert.equal(readValue(body, "ekiben_tasks_orphaned", { service: "Model" }), 3);
  });

  it("counts no more kinds of refusals than a page can hold, whatever ids plugins make", () => {
    const stats = new CallStats();
    for (let i = 0; i < 1000; i++) stats.countRefusal(400, `made-${i}`);
    assert.ok(stats.refusals.size < 300);
    const all = [...stats.refusals.values()].reduce((sum, { count }) => sum + count, 0);
    assert.deepEqual([all, stats.refusals.has("400 other")], [1000, true]);
  });

  it("counts a name once however many handles use the edge", () => {
    const stats = new CallStats();
    assert.equal(stats.edge("A", "B", "c"), stats.edge("A", "B", "c"));
    assert.notEqual(stats.edge("A", "B", "c"), stats.edge("Z", "B", "c"));
  });
});

describe("createDeploymentMetrics", () => {
  it("says of each service how its replicas are, and how much is asked of them", async () => {
    const states = { ready: 2, out: 0, starting: 1, waiting: 0, down: 0, draining: 1 };
    const memory = [{ replica: "Model#0", bytes: 4096 }];
    const ends = { crashed: 2, memory: 1 };
    const figures = { service: "Model", isDown: false, states, restarts: 3, demand: 17, ends, memory };
    const { body } = await formatMetrics([createDeploymentMetrics([figures])]);
    for (const line of [
      'ekiben_service_down{service="Model"} 0',
      'ekiben_replicas{service="Model",state="ready"} 2',
      'ekiben_replicas{service="Model",state="starting"} 1',
      'ekiben_replicas{service="Model",state="draining"} 1',
      'ekiben_replica_restarts_total{service="Model"} 3',
      'ekiben_replica_ends_total{service="Model",reason="crashed"} 2',
      'ekiben_replica_memory_bytes{service="Model",replica="Model#0"} 4096',
      'ekiben_service_demand{service="Model"} 17',
    ])
      assert.ok(body.split("\n").includes(line), `${line} is missing in\n${body}`);
  });
});
