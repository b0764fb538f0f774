import type { ServiceClass } from "../define/depends.js";
import { describeService } from "../define/describe-service.js";
import type { ServiceDescriptor } from "../define/descriptor.js";
import { readServiceOptions } from "../define/service.js";
import { fail } from "../failure/fail.js";
import type { Graph, GraphEdge } from "./graph.js";
import { validateGraph } from "./validate-graph.js";

/** What stands in for a service: another service class, or one function for each api that is called. */
export type Substitute = ServiceClass | Readonly<Record<string, (input: any) => unknown>>;

/**
 * Finds every service and edge reachable from an entry class, constructing each class once.
 *
 * @param entry       The service whose apis are public.
 * @param substitutes What stands in for which class; a substitute object has no dependencies.
 * @throws {ServingError} `not_a_service` for an entry that is none; `invalid_graph` with every fault of the graph in
 *   `details.faults`.
 */
export function resolveGraph(
  entry: ServiceClass,
  substitutes: ReadonlyMap<ServiceClass, Substitute> = new Map(),
): Graph {
  const described = describeReachable(entry, substitutes);
  const faults = validateGraph(entry, described);
  if (faults.length > 0) throw fail("invalid_graph", { faults });
  const services = new Map<string, ServiceDescriptor>();
  addCalleesFirst(entry, described, services);
  const edges = [...services.values()].flatMap((from) =>
    from.dependencies.map((dependency): GraphEdge => {
      const to = described.get(dependency.target) as ServiceDescriptor;
      return {
        from: from.name,
        field: dependency.field,
        to: to.name,
        target: dependency.target,
        options: dependency.options,
      };
    }),
  );
  return Object.freeze({ entry: (described.get(entry) as ServiceDescriptor).name, services, edges });
}

function describeReachable(entry: ServiceClass, substitutes: ReadonlyMap<ServiceClass, Substitute>) {
  const described = new Map<ServiceClass, ServiceDescriptor>();
  const waiting = [entry];
  while (waiting.length > 0) {
    const service = waiting.shift() as ServiceClass;
    if (described.has(service)) continue;
    const descriptor = describeAs(service, substitutes.get(service));
    described.set(service, descriptor);
    for (const { target } of descriptor.dependencies)
      if (readServiceOptions(target) !== undefined) waiting.push(target);
  }
  return described;
}

function describeAs(service: ServiceClass, substitute: Substitute | undefined): ServiceDescriptor {
  const original = describeService(service);
  if (substitute === undefined) return original;
  if (typeof substitute === "function") return { ...describeService(substitute), name: original.name };
  return { ...original, dependencies: [], fake: substitute };
}

/** The graph has no cycle by now, so each service is added after all it calls. */
function addCalleesFirst(
  service: ServiceClass,
  described: ReadonlyMap<ServiceClass, ServiceDescriptor>,
  ordered: Map<string, ServiceDescriptor>,
): void {
  const descriptor = described.get(service) as ServiceDescriptor;
  if (ordered.has(descriptor.name)) return;
  for (const { target } of descriptor.dependencies) addCalleesFirst(target, described, ordered);
  ordered.set(descriptor.name, descriptor);
}
