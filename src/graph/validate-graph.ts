import type { ServiceClass } from "../define/depends.js";
import { toFault } from "../define/describe-service.js";
import type { ServiceDescriptor } from "../define/descriptor.js";
import { listTaskPaths } from "../define/task-paths.js";
import { fail } from "../failure/fail.js";
import type { GraphFault } from "../failure/failures.js";

type Described = ReadonlyMap<ServiceClass, ServiceDescriptor>;

/** Paths the server itself answers; `/` is left to authors' own routes. */
const takenRoutes = ["/livez", "/readyz", "/healthz", "/metrics", "/openapi.json", "/schema.json", "/docs"];

/** Everything that is wrong with a graph, found at once; an empty list when nothing is. */
export function validateGraph(entry: ServiceClass, described: Described): GraphFault[] {
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

/** One fault a cycle: a walk that meets a service it is still inside has closed one. */
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
