import type { ServiceDescriptor } from "../define/descriptor.js";
import { formatAddress } from "../options/address-types.js";
import type { Secret } from "../options/secret.js";
import type { AppSettings, LivenessSettings, ServiceSettings } from "../options/settings.js";
import type { Graph } from "./graph.js";

/**
 * Everything that should run: one deployment for each service, callees first. Services that only a service elsewhere
 * calls have none.
 */
export interface Plan {
  readonly graph: Graph;
  /** Entry service of the whole graph, of which only a part may run here. It names the app's tasks. */
  readonly appEntry: string;
  readonly settings: AppSettings;
  readonly deployments: readonly DeploymentPlan[];
  /** Texts about declarations that take effect in another way than written. */
  readonly notices: readonly string[];
}

/** Home of the replicas of a service. */
export type Residence =
  /** The app's own process and thread. */
  | "main"
  | "thread"
  | "process"
  /** Another app, at the addresses in `settings.at`. */
  | "elsewhere"
  /** Each replica of the services that call it. */
  | "caller";

/** One service as it should run. */
export interface DeploymentPlan {
  readonly descriptor: ServiceDescriptor;
  readonly settings: ServiceSettings;
  readonly residence: Residence;
  /** Group whose processes its replicas share; absent when each replica has its own process. */
  readonly group: GroupPlan | undefined;
  /** Number of replicas at the start. */
  readonly replicas: number;
  /** Names of the services it calls, each once. */
  readonly callees: readonly string[];
  /** Inline services that live in each of its replicas, callees first. */
  readonly inlineCallees: readonly string[];
  /** Services in other threads or processes that it or an inline callee calls. */
  readonly remoteCallees: readonly string[];
  /** Environment variables of its replicas, of their inline callees, and of every service in the same process. */
  readonly env: ReadonlyMap<string, string | Secret>;
}

/** Constraints of a plan besides graph and settings. */
export interface PlanConstraints {
  /** Services that must run in the app's own process, such as those a test has replaced. */
  readonly pinned?: ReadonlySet<string>;
  /** True when the app's own process has a replica of every inline service, so that a test can reach each. */
  readonly reachesAll?: boolean;
}

/** Decides the residence, the group and the callees of every service. */
export function createPlan(graph: Graph, settings: AppSettings, constraints: PlanConstraints = {}): Plan {
  const places = new Places(graph, settings, constraints);
  const notices: string[] = [];
  const called = places.reachable();
  for (const name of graph.services.keys()) {
    const { at } = settings.services.get(name) as ServiceSettings;
    if (!called.has(name)) notices.push(`${name} does not run here: only services that run elsewhere call it`);
    else if (at.length > 0 && name !== graph.entry)
      notices.push(`${name} does not run here: it is called at ${at.map(formatAddress).join(", ")}`);
  }
  const here = [...graph.services.values()].filter(({ name }) => called.has(name));
  const deployments = here.map((descriptor): DeploymentPlan => {
    const { name } = descriptor;
    const own = settings.services.get(name) as ServiceSettings;
    const residence = places.residenceOf(name);
    const group = places.groupOf(name);
    const inlineCallees = residence === "thread" || residence === "process" ? places.inlineCalleesOf(name) : [];
    const runtime = [...inlineCallees, name];
    const sharing = group?.members.flatMap((member) => [...places.inlineCalleesOf(member), member]) ?? runtime;
    return {
      descriptor,
      settings: group === undefined ? own : { ...own, liveness: joinLiveness(group, settings) },
      residence,
      group,
      replicas: own.replicas.min,
      callees: places.calleesOf(name),
      inlineCallees,
      remoteCallees: places.remoteCalleesOf(runtime),
      env: joinEnvironments([...new Set(sharing)], settings, notices),
    };
  });
  const inMain = deployments.filter(({ residence }) => residence === "main").map(({ descriptor }) => descriptor.name);
  if (inMain.length > 1) joinEnvironments(inMain, settings, notices);
  const { entry: appEntry } = graph;
  return {
    graph,
    appEntry,
    settings,
    deployments,
    notices: [...deployments.flatMap(formatChanges), ...new Set(notices)],
  };
}

/** Finds the residence of services from their placement and their callers. */
class Places {
  readonly #graph: Graph;
  readonly #settings: AppSettings;
  readonly #pinned: ReadonlySet<string>;
  readonly #inMain: ReadonlySet<string>;

  constructor(graph: Graph, settings: AppSettings, { pinned = new Set(), reachesAll = false }: PlanConstraints) {
    this.#graph = graph;
    this.#settings = settings;
    this.#pinned = pinned;
    const inMain = [...graph.services.keys()].filter(
      (name) => pinned.has(name) || (this.#isInline(name) && (reachesAll || name === graph.entry)),
    );
    this.#inMain = new Set(inMain.flatMap((name) => [name, ...this.inlineCalleesOf(name)]));
  }

  /** Services that something here calls: the entry, and the callees of all that run here. */
  reachable(): ReadonlySet<string> {
    const found = new Set([this.#graph.entry]);
    for (const name of found) {
      if (this.residenceOf(name) === "elsewhere") continue;
      for (const callee of this.calleesOf(name)) found.add(callee);
    }
    return found;
  }

  residenceOf(name: string): Residence {
    if (this.#inMain.has(name)) return "main";
    if (this.#isElsewhere(name)) return "elsewhere";
    const placement = this.#placementOf(name);
    return placement === "inline" ? "caller" : placement;
  }

  /** Group that the service shares processes with; `undefined` for a service that does not run in a process. */
  groupOf(name: string): GroupPlan | undefined {
    const group = this.#groupNameOf(name);
    if (group === undefined) return undefined;
    const members = [...this.#graph.services.keys()].filter((other) => this.#groupNameOf(other) === group);
    return { name: group, members, kept: members.filter((member) => this.#isKept(member, members)) };
  }

  #groupNameOf(name: string): string | undefined {
    const { group } = this.#settings.services.get(name) as ServiceSettings;
    return group !== "none" && this.residenceOf(name) === "process" ? group : undefined;
  }

  /** True when every process that can have a replica of `callee` always has a replica of each member that calls it. */
  #isKept(callee: string, members: readonly string[]): boolean {
    const rangeOf = (name: string) => (this.#settings.services.get(name) as ServiceSettings).replicas;
    const callers = members.filter((name) =>
      this.remoteCalleesOf([...this.inlineCalleesOf(name), name]).includes(callee),
    );
    return callers.every((caller) => rangeOf(caller).min >= rangeOf(callee).max);
  }

  calleesOf(name: string): string[] {
    return [...new Set(this.#graph.edges.filter(({ from }) => from === name).map(({ to }) => to))];
  }

  /** Inline services that `name` reaches through inline services alone, callees first. */
  inlineCalleesOf(name: string): string[] {
    const found = new Set<string>();
    const waiting = [name];
    for (let caller = waiting.pop(); caller !== undefined; caller = waiting.pop()) {
      for (const callee of this.calleesOf(caller)) {
        if (!this.#isInline(callee) || found.has(callee)) continue;
        found.add(callee);
        waiting.push(callee);
      }
    }
    return [...this.#graph.services.keys()].filter((service) => found.has(service));
  }

  remoteCalleesOf(runtime: readonly string[]): string[] {
    const callees = new Set(runtime.flatMap((name) => this.calleesOf(name)));
    return [...callees].filter((name) => !runtime.includes(name));
  }

  /** False for a pinned service: all its callers share one residence. */
  #isInline(name: string): boolean {
    return this.#placementOf(name) === "inline" && !this.#pinned.has(name) && !this.#isElsewhere(name);
  }

  /** False for the entry: the app that runs one service alone may share the options of its callers. */
  #isElsewhere(name: string): boolean {
    return name !== this.#graph.entry && (this.#settings.services.get(name) as ServiceSettings).at.length > 0;
  }

  #placementOf(name: string): ServiceSettings["placement"] {
    return (this.#settings.services.get(name) as ServiceSettings).placement;
  }
}

/** Joins the liveness settings of a group: its members share one event loop. The most tolerant member wins. */
function joinLiveness({ members }: GroupPlan, { services }: AppSettings): LivenessSettings {
  const own = members.map((name) => (services.get(name) as ServiceSettings).liveness);
  return {
    intervalMs: Math.min(...own.map(({ intervalMs }) => intervalMs)),
    suspendAfterMs: Math.max(...own.map(({ suspendAfterMs }) => suspendAfterMs)),
    replaceAfterMs: Math.max(...own.map(({ replaceAfterMs }) => replaceAfterMs)),
    warmUpMs: Math.max(...own.map(({ warmUpMs }) => warmUpMs)),
  };
}

/** Lists declarations of a service that have no effect, so that they are known before there is load. */
function formatChanges({ descriptor, settings, residence }: DeploymentPlan): string[] {
  const { name } = descriptor;
  const { replicas, resources } = settings;
  if (residence !== "caller" && residence !== "main") return [];
  const notices: string[] = [];
  if (replicas.max !== replicas.min) {
    notices.push(
      `${name} asks for ${replicas.min} to ${replicas.max} replicas; placed inline it has ${replicas.min} wherever it is called`,
    );
  }
  if (resources.gpu > 0) {
    notices.push(
      `${name} asks for ${resources.gpu} gpu; placed inline it is given no devices (ctx.resources.gpus is empty)`,
    );
  }
  return notices;
}

function joinEnvironments(runtime: readonly string[], settings: AppSettings, clashes: string[]) {
  const env = new Map<string, string | Secret>();
  const owners = new Map<string, string>();
  for (const name of runtime) {
    const own = settings.services.get(name) as ServiceSettings;
    for (const [variable, value] of Object.entries(own.env)) {
      const owner = owners.get(variable);
      if (owner === undefined) {
        owners.set(variable, name);
        env.set(variable, value);
      } else if (env.get(variable) !== value) {
        clashes.push(
          `${owner} and ${name} set ${variable} to different values; in the process they share ${owner}'s holds`,
        );
      }
    }
  }
  return env;
}

/** Services whose replicas share processes: replica `i` of each lives in process `i`. */
interface GroupPlan {
  readonly name: string;
  /** Callees first. */
  readonly members: readonly string[];
  /**
   * Members whose calls stay in the caller's process while a replica is ready there. Calls to other members go to the
   * replica with the fewest calls in flight, since some of their replicas may live in processes without a caller.
   */
  readonly kept: readonly string[];
}

/** Resources of one process of a group, for all replicas that may live in it. */
export interface ProcessShare {
  /** Members that may have a replica in it. */
  readonly members: readonly string[];
  /** Sum of the members' limits; `Infinity` when one member has no limit. */
  readonly memoryBytes: number;
  /** Largest number of cores that one member asks for: the members share one event loop. */
  readonly cpu: number;
}

/** Returns the resources of process `index` of a group. */
export function shareProcess({ members }: GroupPlan, { services }: AppSettings, index: number): ProcessShare {
  const own = members.flatMap((name) => {
    const settings = services.get(name) as ServiceSettings;
    return settings.replicas.max > index ? [{ name, settings }] : [];
  });
  return {
    members: own.map(({ name }) => name),
    memoryBytes: own.reduce((sum, { settings }) => sum + settings.resources.memoryBytes, 0),
    cpu: Math.max(...own.map(({ settings }) => settings.resources.cpu)),
  };
}
