import { availableParallelism } from "node:os";
import type { ServiceClass } from "../define/depends.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import { fail } from "../failure/fail.js";
import { findGroupProblems } from "../graph/check-groups.js";
import type { Graph } from "../graph/graph.js";
import { describeMinifiedNames, minifiedNamesFix } from "../graph/minified-names.js";
import { createPlan, type Plan, type PlanConstraints } from "../graph/plan.js";
import { resolveGraph, type Substitute } from "../graph/resolve-graph.js";
import type { SpecialKind } from "../options/option.js";
import type { DeclaredOptions } from "../options/option-reader.js";
import { type OptionSources, type ResolvedOptions, resolveOptions } from "../options/resolve-options.js";
import type { AppSettings } from "../options/settings.js";
import { describeCores } from "./check-cores.js";

/** A graph and its options, decided. The options may still have faults. */
export interface ResolvedApp {
  readonly graph: Graph;
  readonly options: ResolvedOptions;
}

/**
 * Learns the graph of an entry class and decides its options; constructs each class once, starts nothing.
 *
 * @throws {ServingError} `invalid_graph` for faults of the graph. Faults of options are in `options.faults`.
 */
export function resolveApp(
  entry: ServiceClass,
  sources: OptionSources,
  substitutes?: ReadonlyMap<ServiceClass, Substitute>,
): ResolvedApp {
  const graph = resolveGraph(entry, substitutes);
  const options = resolveOptions(declaredOptions(graph), sources);
  const { faults, warnings } = findGroupProblems(options.settings);
  const joined = { faults: [...options.faults, ...faults], warnings: [...options.warnings, ...warnings] };
  return { graph, options: { ...options, ...joined } };
}

/**
 * From an entry class to what should run; warnings of options are among the plan's notices.
 *
 * @throws {ServingError} `invalid_graph` with every fault of the graph, or else of the options, in `details.faults`.
 */
export function planApp(
  entry: ServiceClass,
  sources: OptionSources,
  substitutes?: ReadonlyMap<ServiceClass, Substitute>,
): Plan {
  const { graph, options } = resolveApp(entry, sources, substitutes);
  const { settings, faults, warnings } = options;
  if (faults.length > 0) throw fail("invalid_graph", { faults });
  const pinned = graph.edges.filter(({ target }) => substitutes?.has(target)).map(({ to }) => to);
  const isTest = substitutes !== undefined;
  const plan = planGraph(graph, settings, { pinned: new Set(pinned), reachesAll: isTest });
  return { ...plan, notices: [...warnings.map(({ message }) => message), ...plan.notices] };
}

/** `createPlan`, and what there is to say about this machine. */
export function planGraph(graph: Graph, settings: AppSettings, constraints?: PlanConstraints): Plan {
  const plan = createPlan(graph, settings, constraints);
  const wishes = plan.deployments.map(({ descriptor, settings: { replicas, resources } }) => ({
    service: descriptor.name,
    replicas: replicas.max,
    // 1 is what a service has that declares nothing.
    cpu: resources.cpu === 1 ? undefined : resources.cpu,
  }));
  const cores = describeCores(wishes, availableParallelism());
  const minified = describeMinifiedNames(graph);
  const more = [cores, minified === undefined ? undefined : `${minified}. ${minifiedNamesFix}`];
  return { ...plan, notices: [...plan.notices, ...more.filter((notice) => notice !== undefined)] };
}

/** What the authors of a graph's services said about options. */
function declaredOptions(graph: Graph): DeclaredOptions {
  const services = [...graph.services.values()].map(({ name, options, apis }) => ({
    name,
    options: options as Readonly<Record<string, unknown>>,
    apis: [...apis.values()].map((api) => ({
      name: api.name,
      kind: specialKindOf(api),
      options: api.contract as Readonly<Record<string, unknown>>,
    })),
  }));
  return { entry: graph.entry, services };
}

function specialKindOf({ kind, takesStream }: ApiDescriptor): SpecialKind | undefined {
  if (kind !== "unary") return kind;
  return takesStream ? "stream" : undefined;
}
