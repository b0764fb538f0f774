import { CallStats } from "../../src/observe/call-stats.js";
import { createDeploymentMetrics, createMetrics } from "../../src/observe/metrics.js";
import { code, formatTable, generatedNote } from "./markdown.js";

/** Metric in the JSON form of prom-client. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  readonly values: readonly { readonly labels: Readonly<Record<string, string>> }[];
}

/** Formats docs/reference/metrics.md. */
export async function formatMetricsPage(): Promise<string> {
  const all = [...(await createMetrics(fillStats()).readJson()), ...createDeploymentMetrics([deployment])] as Metric[];
  const own = all.filter(({ name }) => name.startsWith("ekiben_")).sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    generatedNote("src/observe/metrics.ts"),
    "",
    "# Metrics",
    "",
    "On `/metrics`, in the text format of Prometheus, for all processes of an app together: figures are added up, unless the table says",
    "the largest. Times are seconds. Beside these stand Node's own (`process_…`, `nodejs_…`) and what the author registers with prom-client.",
    "",
    "`service` and `api` are those that are called; `caller` is the service that calls, `http` for requests, `local` for a program or a test;",
    "`code` is `ok` or the [code of a failure](failures.md). How to use them: [Operating](../guide/operating.md#metrics),",
    "[Load](../guide/load.md#which-metrics-to-look-at).",
    "",
    formatTable(["metric", "type", "labels", "tells"], own.map(formatRow)),
    "",
  ].join("\n");
}

function formatRow({ name, type, help, aggregator, values }: Metric): string[] {
  const labels = Object.keys(values[0]?.labels ?? {}).filter((label) => label !== "le");
  const of = aggregator === "max" ? " Of several processes the largest." : "";
  return [code(name), type, labels.map(code).join(", "), `${help}${of}`];
}

/** Records one event of each kind, so that every metric has its labels. */
function fillStats(): CallStats {
  const stats = new CallStats();
  const edge = stats.edge("http", "Model", "predict");
  edge.record("ok", 1);
  edge.recordFirstItem(1);
  stats.countRefusal(404, "unknown_route");
  stats.lane("Model", "predict");
  stats.batch("Model", "predict").record(1, 1, "full");
  stats.cache("Model", "predict");
  stats.countLinkFailure("Model");
  const remote = stats.remote("Model");
  remote.failures.set("connect", 1);
  remote.read = () => ({ addresses: 1, links: 1 });
  stats.decoded = { service: "Model", bytes: () => 0 };
  stats.orphans = [{ service: "Model", api: "predict", count: 0 }];
  stats.held = stats.orphans;
  const task = stats.task("Model", "predict");
  task.readWaiting = () => 0;
  task.record("completed", 1);
  return stats;
}

const deployment = {
  ...{ service: "Model", isDown: false, states: { ready: 1 }, restarts: 0, demand: 0, ends: { crashed: 0 } },
  memory: [{ replica: "Model#0", bytes: 0 }],
};
