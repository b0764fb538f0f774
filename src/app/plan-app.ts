import type { ServiceClass } from "../define/depends.js";
import { fail } from "../failure/fail.js";
import type { Graph } from "../graph/graph.js";
import { createPlan, type Plan } from "../graph/plan.js";
import { resolveGraph, type Substitute } from "../graph/resolve-graph.js";
import { type OptionReport, type OptionSources, resolveOptions } from "../options/resolve-options.js";

/** A plan and where each of its options came from. */
export interface PlannedApp {
  readonly plan: Plan;
  readonly report: readonly OptionReport[];
}

/**
 * From an entry class to what should run.
 *
 * @throws {ServingError} `invalid_graph` with every fault of the graph, or else of the options, in `details.faults`.
 */
export function planApp(
  entry: ServiceClass,
  sources: OptionSources,
  substitutes?: ReadonlyMap<ServiceClass, Substitute>,
): PlannedApp {
  const graph = resolveGraph(entry, substitutes);
  const { settings, report, faults, warnings } = resolveOptions(declaredOptions(graph), sources);
  if (faults.length > 0) throw fail("invalid_graph", { faults });
  const plan = createPlan(graph, settings);
  return { plan: { ...plan, notices: [...warnings.map(({ message }) => message), ...plan.notices] }, report };
}

/** What the authors of a graph's services said about options. */
export function declaredOptions(graph: Graph) {
  const services = [...graph.services.values()].map(({ name, options, apis }) => ({
    name,
    options: options as Readonly<Record<string, unknown>>,
    apis: [...apis.values()].map((api) => ({
      name: api.name,
      options: api.contract as Readonly<Record<string, unknown>>,
    })),
  }));
  return { entry: graph.entry, services };
}
