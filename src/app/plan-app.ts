import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, extname, join, parse } from "node:path";
import type { ServiceClass } from "../define/depends.js";
import { type ApiDescriptor, toFault } from "../define/descriptor.js";
import { fail, type GraphFault } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { formatMinifiedNames, minifiedNamesFix } from "../graph/check-graph.js";
import { type Graph, narrowGraph, resolveGraph, type Substitute } from "../graph/graph.js";
import { createPlan, type Plan, type PlanConstraints } from "../graph/plan.js";
import { formatAddress, formatSocketAddress, isLoopbackHost } from "../options/address-types.js";
import type { SpecialKind } from "../options/option.js";
import type { DeclaredOptions } from "../options/option-reader.js";
import { pickNearest } from "../options/pick-nearest.js";
import { type OptionSources, type ResolvedOptions, resolveOptions } from "../options/resolve-options.js";
import type { Secret } from "../options/secret.js";
import type { AppSettings, ServiceSettings } from "../options/settings.js";
import { formatCoreExcess } from "./assign-devices.js";

/** A graph and its resolved options, which may have faults. */
export interface ResolvedApp {
  readonly graph: Graph;
  readonly options: ResolvedOptions;
}

/**
 * Resolves the graph of an entry class and its options. Constructs each class once, starts nothing.
 *
 * @throws {ServingError} `invalid_graph` for faults of the graph. Faults of options are in `options.faults`.
 */
export function resolveApp(
  entry: ServiceClass,
  sources: OptionSources,
  substitutes?: ReadonlyMap<ServiceClass, Substitute>,
): ResolvedApp {
  return resolveAppOptions(resolveGraph(entry, substitutes), sources);
}

/** Resolves the options of a graph. Faults of options are in `options.faults`. */
export function resolveAppOptions(graph: Graph, sources: OptionSources): ResolvedApp {
  const options = resolveOptions(declaredOptions(graph), sources);
  const { faults, warnings } = findGroupProblems(options.settings);
  const { settings } = options;
  const joined = {
    faults: [...options.faults, ...faults, ...findEdgeFaults(graph, options), ...findRemoteFaults(graph, settings)],
    warnings: [...options.warnings, ...warnings],
  };
  return { graph, options: { ...options, ...joined } };
}

/**
 * Plans an app from its entry class. Warnings of options are among the plan's notices.
 *
 * @param substitutes Replacements of a test. Given, maybe empty, for a program that calls every service itself: each
 *   inline service then has a replica in the main thread too.
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
  const pinned = new Set(graph.edges.filter(({ target }) => substitutes?.has(target)).map(({ to }) => to));
  const reachesAll = substitutes !== undefined;
  const plan = planGraph(graph, keepHere(settings, pinned), { pinned, reachesAll });
  return { ...plan, notices: [...warnings.map(({ message }) => message), ...plan.notices] };
}

/** Removes the addresses of services that a test has replaced: their replacements run here. */
function keepHere(settings: AppSettings, pinned: ReadonlySet<string>): AppSettings {
  if (pinned.size === 0) return settings;
  const services = [...settings.services].map(
    ([name, own]) => [name, pinned.has(name) ? { ...own, at: [] } : own] as const,
  );
  return { ...settings, services: new Map(services) };
}

/**
 * Refuses a field that `serve()`, `run()` or `compose()` does not have, such as an option that stands beside `options`
 * because an app file was spread: it would have no effect.
 *
 * @param fields Fields that the function has.
 * @throws {ServingError} `misplaced_option`.
 */
export function refuseStray(given: object, fields: Readonly<Record<string, true>>, source: string): void {
  const stray = Object.entries(given).find(([name, value]) => value !== undefined && !Object.hasOwn(fields, name));
  if (stray !== undefined) throw fail("misplaced_option", { option: stray[0], source, allowed: "its field options" });
}

/**
 * Creates a plan, with notices about this machine. With the option `service` it has that service and those that it
 * reaches; a program that calls every service itself has all of them.
 */
export function planGraph(whole: Graph, settings: AppSettings, constraints?: PlanConstraints): Plan {
  const { service } = settings.server;
  const isAlone = whole.services.has(service) && constraints?.reachesAll !== true;
  const graph = isAlone ? narrowGraph(whole, service) : whole;
  const plan = { ...createPlan(graph, settings, constraints), appEntry: whole.entry };
  const here = plan.deployments.filter(({ residence }) => residence !== "elsewhere");
  const wishes = here.map(({ descriptor, settings: { replicas, resources } }) => ({
    service: descriptor.name,
    replicas: replicas.max,
    // 1 is the default of a service that declares no cores.
    cpu: resources.cpu === 1 ? undefined : resources.cpu,
  }));
  const cores = formatCoreExcess(wishes, availableParallelism());
  const minified = formatMinifiedNames(graph);
  const more = [
    ...formatInspectProblems(plan),
    cores,
    minified === undefined ? undefined : `${minified}. ${minifiedNamesFix}`,
  ];
  return { ...plan, notices: [...plan.notices, ...more.filter((notice) => notice !== undefined)] };
}

/** Returns a notice for each replica to debug that the app does not have, or that lives in a caller's replica. */
function formatInspectProblems({ deployments, settings: { server } }: Plan): string[] {
  return [...server.inspect, ...server.inspectWait].flatMap(({ service, index }) => {
    const id = `${service}#${index}`;
    const own = deployments.find(({ descriptor }) => descriptor.name === service);
    if (own?.residence === "elsewhere") return [`${id} can't be debugged: ${service} runs elsewhere (at, inspect)`];
    if (own === undefined) {
      const known = deployments.map(({ descriptor }) => descriptor.name).join(", ");
      return `${id} can't be debugged: the app has no service ${service}, only ${known} (inspect)`;
    }
    const { max } = own.settings.replicas;
    if (own.residence !== "caller") {
      return index < max ? [] : `${id} can't be debugged: ${service} has at most ${max} replicas (inspect)`;
    }
    const callers = deployments.filter(({ inlineCallees }) => inlineCallees.includes(service));
    const names = callers.map(({ descriptor }) => `${descriptor.name}#0`).join(" or ");
    return `${id} can't be debugged by itself: ${service} is inline in its callers; name ${names} (inspect)`;
  });
}

/** Options that the authors of a graph's services declared. */
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

/** Finds services that can't run elsewhere, and addresses that nothing secures. */
function findRemoteFaults({ entry }: Graph, { services, server }: AppSettings): GraphFault[] {
  const isSecured = server.edgeKeyFile !== undefined || server.tls.cert !== undefined;
  return [...services].flatMap(([name, { at }]) => {
    const addresses = at.map(formatAddress);
    // The app that runs a service alone may share the options of its callers.
    if (at.length === 0 || name === server.service) return [];
    if (name === entry && server.service === "")
      return [toFault(name, "at", fail("entry_elsewhere", { entry, addresses }))];
    if (isSecured || at.every(({ scheme }) => scheme === "tcp")) return [];
    return [toFault(name, "at", fail("remote_unsecured", { service: name, addresses }))];
  });
}

/** Faults of groups, and warnings of options that have no effect. */
interface GroupProblems {
  readonly faults: readonly GraphFault[];
  readonly warnings: readonly GraphFault[];
}

/** Finds faults of the options by which one service is called from other apps. */
function findEdgeFaults({ services }: Graph, { settings, report }: ResolvedOptions): GraphFault[] {
  const { service, listen, tls, edgeKeyFile } = settings.server;
  const { cert, key, ca } = tls;
  const faults: GraphFault[] = [];
  if (service !== "" && !services.has(service)) {
    const source = report.find(({ option }) => option === "service")?.where ?? "service";
    const known = [...services.keys()];
    const details = { what: "service", target: service, source, known, nearest: pickNearest(service, known) };
    faults.push(toFault("", "service", fail("unknown_target", details)));
  } else if (service !== "" && listen === undefined) {
    faults.push(toFault("", "service", fail("listen_missing", { service })));
  }
  const clash = (field: string, problem: string) =>
    faults.push(toFault("", field, fail("edge_options_clash", { problem })));
  if (cert !== undefined && key === undefined)
    clash("tls.key", "tls.cert is set, and tls.key with its private key is not");
  if (key !== undefined && cert === undefined)
    clash("tls.cert", "tls.key is set, and tls.cert with its certificate is not");
  if (ca !== undefined && cert === undefined)
    clash("tls.ca", "tls.ca is set without tls.cert: each side shows a certificate");
  if (edgeKeyFile !== undefined && (cert ?? key ?? ca) !== undefined)
    clash("edgeKeyFile", "edgeKeyFile and tls are both set, and one of them secures calls between apps");
  const isSecured = cert !== undefined || edgeKeyFile !== undefined;
  if (listen !== undefined && !isSecured && !isLoopbackHost(listen.host)) {
    faults.push(toFault("", "listen", fail("edge_unsecured", { address: formatSocketAddress(listen) })));
  }
  return faults;
}

interface Member {
  readonly name: string;
  readonly settings: ServiceSettings;
}

/** Checks that one process can give the services of a group what they ask for. */
export function findGroupProblems({ services }: AppSettings): GroupProblems {
  const faults: GraphFault[] = [];
  const warnings: GraphFault[] = [];
  const groups = new Map<string, Member[]>();
  for (const [name, settings] of services) {
    const { group, placement, at } = settings;
    if (group === "none" || at.length > 0) continue;
    if (placement === "process") groups.set(group, [...(groups.get(group) ?? []), { name, settings }]);
    else warnings.push(toFault(name, "group", fail("group_not_shared", { service: name, group, placement })));
  }
  for (const [group, members] of groups) {
    faults.push(...findDeviceFaults(group, members), ...findEnvironmentFaults(group, members));
    warnings.push(...findBoundWarnings(group, members));
  }
  return { faults, warnings };
}

/** Finds secrets in the option `env` that can't be read here. Elsewhere they may be set. */
export function findSecretWarnings({ services }: AppSettings): GraphFault[] {
  return [...services].flatMap(([name, { env }]) =>
    Object.entries(env).flatMap(([variable, value]) => {
      if (typeof value === "string" || process.env[variable] !== undefined) return [];
      try {
        value.value();
        return [];
      } catch (error) {
        return [toFault(name, `env.${variable}`, error as ServingError)];
      }
    }),
  );
}

/** Allows one member with GPUs: in a shared process, the first device of one member would be the other's. */
function findDeviceFaults(group: string, members: readonly Member[]): GraphFault[] {
  const [first, ...others] = members.filter(({ settings }) => settings.resources.gpu > 0);
  return others.map(({ name }) =>
    toFault(name, "resources.gpu", fail("group_devices_differ", { group, services: [first?.name ?? "", name] })),
  );
}

function findEnvironmentFaults(group: string, members: readonly Member[]): GraphFault[] {
  const faults: GraphFault[] = [];
  const owners = new Map<string, { readonly name: string; readonly value: string | Secret }>();
  for (const { name, settings } of members) {
    for (const [variable, value] of Object.entries(settings.env)) {
      const owner = owners.get(variable);
      if (owner === undefined) owners.set(variable, { name, value });
      else if (owner.value !== value) {
        const details = { group, variable, services: [owner.name, name] };
        faults.push(toFault(name, `env.${variable}`, fail("group_env_differs", details)));
      }
    }
  }
  return faults;
}

/** Finds memory bounds without effect: one member without a bound leaves the whole process unbounded. */
function findBoundWarnings(group: string, members: readonly Member[]): GraphFault[] {
  const isBound = ({ settings }: Member) => Number.isFinite(settings.resources.memoryBytes);
  const unbound = members.filter((member) => !isBound(member)).map(({ name }) => name);
  if (unbound.length === 0) return [];
  return members
    .filter(isBound)
    .map(({ name }) =>
      toFault(name, "resources.memory", fail("group_memory_unbound", { service: name, group, unbound })),
    );
}

/**
 * Names an app, to tell its tasks from those of other apps in one store: `"shop/service.Checkout"`. The name consists
 * of the name in the nearest `package.json`, the program's file without its ending, and the entry service. It stays the
 * same when the app is compiled, deployed elsewhere, or runs on several machines.
 *
 * @param file The service file of a command line, or the script that calls `serve()`.
 */
export function nameApp(file: string, entry: string): string {
  const name = `${basename(file, extname(file))}.${entry}`;
  const owner = findPackageName(dirname(file));
  return clean(owner === undefined ? name : `${owner}/${name}`);
}

function findPackageName(folder: string): string | undefined {
  const { root } = parse(folder);
  for (let at = folder; ; at = dirname(at)) {
    const name = readPackageName(join(at, "package.json"));
    if (name !== undefined || at === root || at === dirname(at)) return name;
  }
}

function readPackageName(file: string): string | undefined {
  try {
    const { name } = JSON.parse(readFileSync(file, "utf8")) as { readonly name?: unknown };
    return typeof name === "string" && name !== "" ? name : undefined;
  } catch {
    // The file is missing or invalid, which is no problem here.
    return undefined;
  }
}

/** Replaces characters that the option `tasks.namespace` refuses. */
const clean = (name: string): string => name.replace(/[^\w@./:+-]/g, "_").slice(0, 200);
