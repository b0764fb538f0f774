import type { EdgeOptions, ServiceClass } from "../define/depends.js";
import { compileService, type ServiceDescriptor, toFault } from "../define/descriptor.js";
import { readServiceOptions } from "../define/service.js";
import { listTaskPaths } from "../define/task-paths.js";
import { fail, type GraphFault } from "../failure/failures.js";

/** Service `from` calls service `to` through the class field `field`. */
export interface GraphEdge {
  readonly from: string;
  readonly field: string;
  readonly to: string;
  /** Class that `depends()` names. A test may replace it. */
  readonly target: ServiceClass;
  readonly options: EdgeOptions;
}

/** Services and edges reachable from an entry service. */
export interface Graph {
  /** Name of the service whose apis are public. */
  readonly entry: string;
  /** Services by name, callees before callers; the entry is last. */
  readonly services: ReadonlyMap<string, ServiceDescriptor>;
  /** Edges in declaration order, callers in the order of `services`. */
  readonly edges: readonly GraphEdge[];
}

/** Replacement of a service in a test: another service class, or one function for each api that is called. */
export type Substitute = ServiceClass | Readonly<Record<string, (input: any) => unknown>>;

/**
 * Finds every service and edge reachable from an entry class, constructing each class once.
 *
 * @param entry       The service whose apis are public.
 * @param substitutes Replacement of each class; an object of functions has no dependencies.
 * @throws {ServingError} `not_a_service` for an entry that is not a service; `invalid_graph` with every fault of the
 *   graph in `details.faults`.
 */
export function resolveGraph(
  entry: ServiceClass,
  substitutes: ReadonlyMap<ServiceClass, Substitute> = new Map(),
): Graph {
  const described = createDescriptors(entry, substitutes);
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

/**
 * Joins graphs that each know a part of one app, callees first. A service is taken from the graph that it is the entry
 * of, where there is one: the others may know only its contract. The entry is that of the last graph.
 */
export function joinGraphs(graphs: readonly Graph[]): Graph {
  const services = new Map<string, ServiceDescriptor>();
  const edges = new Map<string, GraphEdge>();
  for (const graph of graphs) {
    for (const [name, descriptor] of graph.services) {
      if (name === graph.entry || !services.has(name)) services.set(name, descriptor);
    }
    for (const edge of graph.edges) {
      const key = `${edge.from} ${edge.field} ${edge.to}`;
      if (edge.from === graph.entry || !edges.has(key)) edges.set(key, edge);
    }
  }
  return Object.freeze({ entry: graphs.at(-1)?.entry ?? "", services, edges: [...edges.values()] });
}

/** Returns the part of a graph that one of its services reaches. That service is its entry. */
export function narrowGraph({ services, edges }: Graph, entry: string): Graph {
  const reached = new Set([entry]);
  for (const caller of [...services.keys()].reverse()) {
    if (!reached.has(caller)) continue;
    for (const { from, to } of edges) if (from === caller) reached.add(to);
  }
  return Object.freeze({
    entry,
    services: new Map([...services].filter(([name]) => reached.has(name))),
    edges: edges.filter(({ from }) => reached.has(from)),
  });
}

function createDescriptors(entry: ServiceClass, substitutes: ReadonlyMap<ServiceClass, Substitute>) {
  const described = new Map<ServiceClass, ServiceDescriptor>();
  const waiting = [entry];
  while (waiting.length > 0) {
    const service = waiting.shift() as ServiceClass;
    if (described.has(service)) continue;
    const descriptor = createDescriptor(service, substitutes.get(service));
    described.set(service, descriptor);
    for (const { target } of descriptor.dependencies)
      if (readServiceOptions(target) !== undefined) waiting.push(target);
  }
  return described;
}

function createDescriptor(service: ServiceClass, substitute: Substitute | undefined): ServiceDescriptor {
  const original = compileService(service);
  if (substitute === undefined) return original;
  if (typeof substitute === "function") return { ...compileService(substitute), name: original.name };
  return { ...original, dependencies: [], models: [], fake: substitute };
}

/** Adds each service after all its callees. The graph has no cycle at this point. */
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

type Described = ReadonlyMap<ServiceClass, ServiceDescriptor>;

/** Paths that the HTTP server itself answers. Authors may use `/` for a route of their own. */
const takenRoutes = ["/livez", "/readyz", "/healthz", "/metrics", "/openapi.json", "/schema.json", "/docs"];

/** Finds every fault of a graph at once; returns an empty list for a valid graph. */
function validateGraph(entry: ServiceClass, described: Described): GraphFault[] {
  return [
    ...[...described.values()].flatMap((descriptor) => descriptor.faults),
    ...findNameClashes(described),
    ...findCycles(described),
    ...findRouteFaults(described.get(entry) as ServiceDescriptor),
  ];
}

function findNameClashes(described: Described): GraphFault[] {
  const names = [...described.values()].map((descriptor) => descriptor.name);
  const clashing = new Set(names.filter((name, i) => names.indexOf(name) !== i));
  return [...clashing].map((name) => {
    const classes = [...described].flatMap(([service, own]) => (own.name === name ? [service.name] : []));
    return toFault(name, "", fail("duplicate_service_name", { name, classes }));
  });
}

/** Finds one fault for each cycle: a depth-first walk that reaches a service still on its path has closed a cycle. */
function findCycles(described: Described): GraphFault[] {
  const faults: GraphFault[] = [];
  const finished = new Set<ServiceClass>();
  const path: ServiceClass[] = [];
  const walk = (service: ServiceClass): void => {
    const descriptor = described.get(service);
    if (descriptor === undefined || finished.has(service)) return;
    path.push(service);
    for (const { target, field } of descriptor.dependencies) {
      const from = path.indexOf(target);
      if (from < 0) walk(target);
      else {
        const names = [...path.slice(from), target].map((member) => described.get(member)?.name ?? member.name);
        faults.push(toFault(descriptor.name, field, fail("cycle", { path: names })));
      }
    }
    path.pop();
    finished.add(service);
  };
  for (const service of described.keys()) walk(service);
  return faults;
}

function findRouteFaults(entry: ServiceDescriptor): GraphFault[] {
  const faults: GraphFault[] = [];
  const users = new Map<string, string[]>(takenRoutes.map((route) => [route, ["ekiben itself"]]));
  for (const { name, route, kind } of entry.apis.values()) {
    if (!/^\/[\w\-./~]*$/.test(route)) {
      faults.push(toFault(entry.name, name, fail("invalid_route", { route })));
    }
    for (const path of kind === "task" ? [route, ...listTaskPaths(route)] : [route]) {
      users.set(path, [...(users.get(path) ?? []), `${entry.name}.${name}`]);
    }
  }
  for (const [route, apis] of users) {
    if (apis.length > 1) faults.push(toFault(entry.name, "", fail("duplicate_route", { route, apis })));
  }
  return faults;
}
