import type { ServiceDescriptor } from "../define/descriptor.js";
import type { AppSettings, LivenessSettings, ServiceSettings } from "../options/settings.js";
import type { Graph } from "./graph.js";

/** What should run: one deployment a service, callees first. */
export interface Plan {
  readonly graph: Graph;
  readonly settings: AppSettings;
  readonly deployments: readonly DeploymentPlan[];
  /** What an author asked for and gets in another way, in words. */
  readonly notices: readonly string[];
}

/** Where the replicas of a service live. */
export type Residence =
  /** In the app's own process and thread. */
  | "main"
  | "thread"
  | "process"
  /** In each replica of the services that call it. */
  | "caller";

export interface DeploymentPlan {
  readonly descriptor: ServiceDescriptor;
  readonly settings: ServiceSettings;
  readonly residence: Residence;
  /** Whose processes its replicas share; absent where each has one of its own. */
  readonly group: GroupPlan | undefined;
  /** How many replicas it starts with. */
  readonly replicas: number;
  /** Names of the services it calls, each once. */
  readonly callees: readonly string[];
  /** Inline services that live in each of its replicas, callees first. */
  readonly inlineCallees: readonly string[];
  /** Services in another place that it or an inline callee calls. */
  readonly remoteCallees: readonly string[];
  /** Environment variables of its replicas, of their inline callees, and of all that share their process. */
  readonly env: ReadonlyMap<string, string>;
}

/** What `createPlan` may be told besides graph and settings. */
export interface PlanConstraints {
  /** Services that can't leave the app's own process, such as those a test has replaced. */
  readonly pinned?: ReadonlySet<string>;
  /** The app's own process has a replica of every inline service, so that a test can reach each. */
  readonly reachesAll?: boolean;
}

/** Decides what runs where. */
export function createPlan(graph: Graph, settings: AppSettings, constraints: PlanConstraints = {}): Plan {
  const places = new Places(graph, settings, constraints);
  const notices: string[] = [];
  const deployments = [...graph.services.values()].map((descriptor): DeploymentPlan => {
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
  return { graph, settings, deployments, notices: [...deployments.flatMap(formatChanges), ...new Set(notices)] };
}

/** Answers where services live, by their placement and by who calls them. */
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

  residenceOf(name: string): Residence {
    if (this.#inMain.has(name)) return "main";
    const placement = this.#placementOf(name);
    return placement === "inline" ? "caller" : placement;
  }

  /** The group it shares processes with; services elsewhere than in a process share none. */
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

  /** Whether each process that can have a replica of it always has one of every member that calls it. */
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

  /** Every inline service that `name` reaches through inline services alone, callees first. */
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

  /** A pinned service has one place whoever calls it. */
  #isInline(name: string): boolean {
    return this.#placementOf(name) === "inline" && !this.#pinned.has(name);
  }

  #placementOf(name: string): ServiceSettings["placement"] {
    return (this.#settings.services.get(name) as ServiceSettings).placement;
  }
}

/** One event loop is asked for all of a group, and is as patient as the most patient of them. */
function joinLiveness({ members }: GroupPlan, { services }: AppSettings): LivenessSettings {
  const own = members.map((name) => (services.get(name) as ServiceSettings).liveness);
  return {
    intervalMs: Math.min(...own.map(({ intervalMs }) => intervalMs)),
    suspendAfterMs: Math.max(...own.map(({ suspendAfterMs }) => suspendAfterMs)),
    replaceAfterMs: Math.max(...own.map(({ replaceAfterMs }) => replaceAfterMs)),
    warmUpMs: Math.max(...own.map(({ warmUpMs }) => warmUpMs)),
  };
}

/** What of a service's declaration is not acted on; nobody should have to find out under load. */
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

function joinEnvironments(runtime: readonly string[], settings: AppSettings, clashes: string[]): Map<string, string> {
  const env = new Map<string, string>();
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
   * Those of them that are called in their caller's process as long as a replica of theirs is ready there. Calls to the others,
   * which may have replicas where none of their callers lives, go to the replica with the fewest in flight.
   */
  readonly kept: readonly string[];
}

/** What one process of a group is given, for all that may live in it together. */
export interface ProcessShare {
  /** The members that may have a replica in it. */
  readonly members: readonly string[];
  /** `Infinity` where one of them has no bound. */
  readonly memoryBytes: number;
  /** The most that one of them asks for: they share one event loop. */
  readonly cpu: number;
}

/** The share of process `index` of a group. */
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
