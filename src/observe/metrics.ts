import type { CallStats, Histogram, LaneStats } from "./call-stats.js";

type Labels = Record<string, string>;
interface Sample {
  readonly metricName?: string;
  readonly labels: Labels;
  readonly value: number;
}

/** Body of `/metrics`, in the Prometheus text format. */
export interface MetricsPage {
  readonly contentType: string;
  readonly body: string;
}

/** Metrics of one process: ekiben's own, and those of the author in prom-client's default registry. */
export interface Metrics {
  /** Reads the metrics in prom-client's JSON form, in which those of several processes can be joined. */
  readJson(): Promise<readonly object[]>;
}

/**
 * Creates the metrics of one process: calls by edge and by api, Node's own, and the author's.
 *
 * The call path adds to plain numbers. They are converted to prom-client's form only when metrics are requested, so a
 * call pays for no label look-up, and no start waits for prom-client.
 */
export function createMetrics(stats: CallStats): Metrics {
  let read: Promise<() => Promise<readonly object[]>> | undefined;
  return {
    readJson: async () => {
      read ??= prepare(stats);
      return (await read)();
    },
  };
}

/** Formats the metrics of all processes of an app as one page. Figures are added up, unless a metric says otherwise. */
export async function formatMetrics(all: readonly (readonly object[])[]): Promise<MetricsPage> {
  const { AggregatorRegistry, Registry } = (await import("prom-client")).default;
  const registry = AggregatorRegistry.aggregate([...all] as never);
  const body = await registry.metrics();
  return { contentType: Registry.PROMETHEUS_CONTENT_TYPE, body: `${body.trimEnd()}\n` };
}

/** Gauges named like counters, which Prometheus' own linter refuses. They are sums of other gauges, which stay. */
const misnamed = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

async function prepare(stats: CallStats): Promise<() => Promise<readonly object[]>> {
  const { collectDefaultMetrics, Registry, register } = (await import("prom-client")).default;
  const own = new Registry();
  for (const metric of createCallMetrics(stats)) own.registerMetric(metric as never);
  collectDefaultMetrics({ register: own });
  for (const name of misnamed) own.removeSingleMetric(name);
  return async () => {
    // An author may collect the default metrics too; a page may have each name only once.
    const theirs = await register.getMetricsAsJSON();
    const names = new Set(theirs.map((metric) => metric.name));
    return [...(await own.getMetricsAsJSON()).filter((metric) => !names.has(metric.name)), ...theirs];
  };
}

function createCallMetrics(stats: CallStats) {
  return [
    counter("ekiben_calls_total", "Calls answered, by edge and outcome (ok or a failure code).", () =>
      [...stats.edges.values()].flatMap((edge) =>
        [...edge.byOutcome].map(([code, histogram]) => ({
          labels: { ...edgeLabels(edge), code },
          value: histogram.count,
        })),
      ),
    ),
    gauge("ekiben_calls_in_flight", "Calls sent and not yet answered, by edge.", () =>
      [...stats.edges.values()].map((edge) => ({ labels: edgeLabels(edge), value: edge.inFlight })),
    ),
    histogram("ekiben_call_duration_seconds", "Time from the caller's handle to the answer, by edge and outcome.", () =>
      [...stats.edges.values()].flatMap((edge) =>
        [...edge.byOutcome].map(([code, values]) => ({ labels: { ...edgeLabels(edge), code }, values })),
      ),
    ),
    ...createEdgeMetrics(stats),
    counter("ekiben_link_failures_total", "Attempts to reach a replica of the service that failed.", () =>
      [...stats.linkFailures].map(([service, value]) => ({ labels: { service }, value })),
    ),
    counter(
      "ekiben_decoded_bytes_total",
      "Bytes of tensors, arrays, long texts and files that came over links and were read into memory; values passed on unread do not count.",
      () =>
        stats.decoded === undefined
          ? []
          : [{ labels: { service: stats.decoded.service }, value: stats.decoded.bytes() }],
    ),
    gauge(
      "ekiben_api_overdue",
      "Calls that still run, and keep their slots, although they timed out or were cancelled.",
      () =>
        [...stats.lanes.values()].map((lane) => ({
          labels: laneLabels(lane),
          value: [...lane.overdue].reduce((sum, count) => sum + count(), 0),
        })),
    ),
    gauge("ekiben_api_running", "Calls running now.", () =>
      [...stats.lanes.values()].map((lane) => ({ labels: laneLabels(lane), value: lane.running })),
    ),
    gauge("ekiben_api_queued", "Calls waiting for a slot now.", () =>
      [...stats.lanes.values()].map((lane) => ({ labels: laneLabels(lane), value: lane.queued })),
    ),
    histogram("ekiben_api_queue_seconds", "Time calls waited for a slot.", () =>
      [...stats.lanes.values()].map((lane) => ({ labels: laneLabels(lane), values: lane.queueTime })),
    ),
    histogram("ekiben_api_run_seconds", "Time calls ran, without the wait.", () =>
      [...stats.lanes.values()].map((lane) => ({ labels: laneLabels(lane), values: lane.runTime })),
    ),
    counter("ekiben_batches_total", "Batches that left, by the reason for that moment.", () =>
      [...stats.batches.values()].flatMap((batch) =>
        [...batch.byReason].map(([reason, value]) => ({ labels: { ...laneLabels(batch), reason }, value })),
      ),
    ),
    histogram("ekiben_batch_rows", "Rows of a batch.", () =>
      [...stats.batches.values()].map((batch) => ({ labels: laneLabels(batch), values: batch.rows })),
    ),
    histogram("ekiben_batch_calls", "Calls that a batch joined.", () =>
      [...stats.batches.values()].map((batch) => ({ labels: laneLabels(batch), values: batch.calls })),
    ),
    ...createCacheMetrics(stats),
    ...createRemoteMetrics(stats),
    ...createLoadMetrics(stats),
    ...createTaskMetrics(stats),
  ];
}

function createRemoteMetrics({ remotes }: CallStats) {
  const read = (name: "addresses" | "links") => () =>
    [...remotes].flatMap(([service, figures]) => {
      const now = figures.read?.();
      return now === undefined ? [] : [{ labels: { service }, value: now[name] }];
    });
  return [
    // Each process resolves the same names.
    gauge("ekiben_remote_addresses", "Addresses of a service that runs elsewhere.", read("addresses"), "max"),
    gauge("ekiben_remote_links", "Open links to replicas of a service that runs elsewhere.", read("links")),
    counter(
      "ekiben_remote_failures_total",
      "Problems with a service that runs elsewhere, by reason: name (not resolved), connect, timeout, hello, contract (does not fit), silent (no answer to pings), lost (a link that broke).",
      () =>
        [...remotes].flatMap(([service, { failures }]) =>
          [...failures].map(([reason, value]) => ({ labels: { service, reason }, value })),
        ),
    ),
  ];
}

function createCacheMetrics({ caches }: CallStats) {
  const sum = (name: "entries" | "bytes") => () =>
    [...caches.values()].map((cache) => ({
      labels: laneLabels(cache),
      value: [...cache.sizes].reduce((total, read) => total + read()[name], 0),
    }));
  return [
    counter(
      "ekiben_cache_calls_total",
      "Calls of apis with a cache, by outcome: hit for a kept answer, joined for the run of an equal call, miss for a run of its own.",
      () =>
        [...caches.values()].flatMap((cache) =>
          Object.entries({ hit: cache.hits, joined: cache.joined, miss: cache.misses }).map(([outcome, value]) => ({
            labels: { ...laneLabels(cache), outcome },
            value,
          })),
        ),
    ),
    gauge("ekiben_cache_entries", "Answers that are kept.", sum("entries")),
    gauge("ekiben_cache_bytes", "Bytes of the answers that are kept, roughly.", sum("bytes")),
  ];
}

/** Parts of calls that are seen at the edges of the app: first items of streams, and requests that are no calls. */
function createEdgeMetrics(stats: CallStats) {
  return [
    histogram(
      "ekiben_first_item_seconds",
      "Time from the caller's handle to the first item of a stream, by edge.",
      () =>
        [...stats.edges.values()].flatMap((edge) =>
          edge.firstItem === undefined ? [] : [{ labels: edgeLabels(edge), values: edge.firstItem }],
        ),
    ),
    counter(
      "ekiben_http_refusals_total",
      "Requests answered with a failure before they reached an api: by status and id of the failure.",
      () =>
        [...stats.refusals.values()].map(({ status, id, count }) => ({
          labels: { status: `${status}`, id },
          value: count,
        })),
    ),
  ];
}

function createLoadMetrics(stats: CallStats) {
  return [
    gauge(
      "ekiben_api_overloaded",
      "Replicas whose lane for this api gets more calls than it answers, and refuses some of them.",
      () =>
        [...stats.lanes.values()].map((lane) => ({
          labels: laneLabels(lane),
          value: [...lane.admissions].filter(({ isOverloaded }) => isOverloaded).length,
        })),
    ),
    // The page shows the longest wait of all processes.
    gauge(
      "ekiben_api_expected_wait_seconds",
      "Time one more interactive call would wait at the recent rate; 0 while unknown.",
      () =>
        [...stats.lanes.values()].map((lane) => ({ labels: laneLabels(lane), value: readLongestWait(lane) / 1000 })),
      "max",
    ),
    counter("ekiben_api_refused_total", "Calls that lanes refused, by reason: full, overloaded, late.", () =>
      [...stats.lanes.values()].flatMap((lane) =>
        Object.entries(lane.refused).map(([reason, value]) => ({ labels: { ...laneLabels(lane), reason }, value })),
      ),
    ),
    counter("ekiben_calls_withheld_total", "Calls that were not sent because their callee had no room, by edge.", () =>
      [...stats.edges.values()].map((edge) => ({ labels: edgeLabels(edge), value: edge.withheld })),
    ),
  ];
}

function createTaskMetrics(stats: CallStats) {
  const { tasks } = stats;
  return [
    // All processes that count get the same number.
    gauge(
      "ekiben_tasks_orphaned",
      "Unfinished tasks of apis that the app no longer has; they can't run.",
      () => stats.orphans.map(({ service, api, count }) => ({ labels: { service, api }, value: count })),
      "max",
    ),
    gauge(
      "ekiben_tasks_held",
      "Tasks that are kept and do not run, since their stored input was refused by a newer version of the app.",
      () => stats.held.map(({ service, api, count }) => ({ labels: { service, api }, value: count })),
      "max",
    ),
    counter("ekiben_tasks_submitted_total", "Tasks submitted.", () =>
      [...tasks.values()].map((task) => ({ labels: laneLabels(task), value: task.submitted })),
    ),
    gauge("ekiben_tasks_running", "Attempts of tasks that run now.", () =>
      [...tasks.values()].map((task) => ({ labels: laneLabels(task), value: task.running })),
    ),
    gauge("ekiben_tasks_waiting", "Tasks that wait and could run now; reported by one replica of each service.", () =>
      [...tasks.values()].flatMap((task) =>
        task.readWaiting === undefined ? [] : [{ labels: laneLabels(task), value: task.readWaiting() }],
      ),
    ),
    counter("ekiben_task_attempts_total", "Attempts of tasks that have ended, by outcome: completed, failed, …", () =>
      [...tasks.values()].flatMap((task) =>
        [...task.byOutcome].map(([outcome, value]) => ({ labels: { ...laneLabels(task), outcome }, value })),
      ),
    ),
    histogram(
      "ekiben_task_attempt_seconds",
      "Time from the claim of a task until the end of the attempt was recorded.",
      () => [...tasks.values()].map((task) => ({ labels: laneLabels(task), values: task.attemptTime })),
    ),
  ];
}

const readLongestWait = ({ admissions }: LaneStats): number =>
  Math.max(0, ...[...admissions].map((lane) => lane.expectWait("interactive") ?? 0));

const edgeLabels = ({ caller, service, api }: { caller: string; service: string; api: string }): Labels => ({
  caller,
  service,
  api,
});

const laneLabels = ({ service, api }: { service: string; api: string }): Labels => ({ service, api });

const counter = (name: string, help: string, collect: () => Sample[]) =>
  metric({ name, help, type: "counter", aggregator: "sum" }, collect);
/** @param aggregator Way in which the figures of several processes are joined. */
const gauge = (name: string, help: string, collect: () => Sample[], aggregator: "sum" | "max" = "sum") =>
  metric({ name, help, type: "gauge", aggregator }, collect);

function histogram(name: string, help: string, collect: () => { labels: Labels; values: Histogram }[]) {
  return metric({ name, help, type: "histogram", aggregator: "sum" }, () =>
    collect().flatMap(({ labels, values }) => bucketSamples(name, labels, values)),
  );
}

/** Prometheus buckets are cumulative and end with `+Inf`. */
function bucketSamples(name: string, labels: Labels, values: Histogram): Sample[] {
  let total = 0;
  const buckets = [...values.counts].map((count, i) => {
    total += count;
    return {
      metricName: `${name}_bucket`,
      labels: { ...labels, le: String(values.bounds[i] ?? "+Inf") },
      value: total,
    };
  });
  const sum = { metricName: `${name}_sum`, labels, value: values.sum };
  return [...buckets, sum, { metricName: `${name}_count`, labels, value: total }];
}

/** Creates the part of a prom-client metric that its registry reads. */
function metric(
  head: { readonly name: string; readonly help: string; readonly type: string; readonly aggregator: string },
  collect: () => Sample[],
) {
  return { ...head, reset: () => {}, get: async () => ({ ...head, values: collect() }) };
}

/** Figures of the replicas of one service. */
export interface DeploymentFigures {
  readonly service: string;
  /** True when every replica slot of the service is down; see `restart.giveUpAfter`. */
  readonly isDown: boolean;
  /** Replica slots by state: `ready`, `out`, `starting`, `waiting`, `down`, `draining`. */
  readonly states: Readonly<Record<string, number>>;
  /** Restarts of replicas. */
  readonly restarts: number;
  /** Replicas that ended while the app ran, by reason. */
  readonly ends: Readonly<Record<string, number>>;
  /** Resident memory of the process of each replica, at the last look. Replicas without a process are left out. */
  readonly memory: readonly { readonly replica: string; readonly bytes: number }[];
  /** Calls in flight as their callers count them, plus tasks that run or wait. */
  readonly demand: number;
}

/** Returns the figures of a supervisor in the form of prom-client's JSON metrics. */
export function createDeploymentMetrics(all: readonly DeploymentFigures[]): readonly object[] {
  return [
    figure("ekiben_service_down", "1 while every replica of the service is down (restart.giveUpAfter), else 0.", {
      type: "gauge",
      values: all.map(({ service, isDown }) => ({ labels: { service }, value: isDown ? 1 : 0 })),
    }),
    figure("ekiben_replicas", "Replicas by state: ready, out (suspended), starting, waiting, down, draining.", {
      type: "gauge",
      values: all.flatMap(({ service, states }) =>
        Object.entries(states).map(([state, value]) => ({ labels: { service, state }, value })),
      ),
    }),
    figure(
      "ekiben_service_demand",
      "Calls in flight to the service as their callers count them, and its tasks that run or wait; replicas.targetInFlight of it is meant for one replica.",
      { type: "gauge", values: all.map(({ service, demand }) => ({ labels: { service }, value: demand })) },
    ),
    figure("ekiben_replica_restarts_total", "Replicas that were started again.", {
      type: "counter",
      values: all.map(({ service, restarts }) => ({ labels: { service }, value: restarts })),
    }),
    figure(
      "ekiben_replica_ends_total",
      "Replicas that ended while the app ran, by reason: crashed, start_failed, stuck, memory, moved (its process was replaced), scaled_in.",
      {
        type: "counter",
        values: all.flatMap(({ service, ends }) =>
          Object.entries(ends).map(([reason, value]) => ({ labels: { service, reason }, value })),
        ),
      },
    ),
    figure(
      "ekiben_replica_memory_bytes",
      "Resident memory of the process that a replica lives in; replicas of one group share a process, and each shows it.",
      {
        type: "gauge",
        values: all.flatMap(({ service, memory }) =>
          memory.map(({ replica, bytes }) => ({ labels: { service, replica }, value: bytes })),
        ),
      },
    ),
  ];
}

const figure = (name: string, help: string, rest: { readonly type: string; readonly values: readonly object[] }) => ({
  name,
  help,
  aggregator: "sum",
  ...rest,
});
