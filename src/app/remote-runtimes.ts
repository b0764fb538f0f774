import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { toServingError } from "../failure/to-serving-error.js";
import { type DeploymentPlan, type ProcessShare, shareProcess } from "../graph/plan.js";
import type { EntryLocation } from "../load/entry-location.js";
import type { AppSettings } from "../options/settings.js";
import type { InspectTarget } from "../options/value-types.js";
import type { AppAnswers, InspectOrder } from "../placement/control.js";
import { ReplicaProcess } from "../placement/process.js";
import { RemoteHost } from "../placement/remote-host.js";
import { RemoteRuntime, type Runner } from "../placement/remote-runtime.js";
import { ReplicaThread } from "../placement/thread.js";
import { grantResources, grantThreads, type Runtime } from "../runtime/runtime.js";
import type { AppFolders } from "./app-folders.js";
import type { AssignedDevices } from "./assign-devices.js";

/** Constructor arguments of `RemoteRuntimes`. */
interface RemoteRuntimesDeps {
  /** Runtime of the main thread. */
  readonly runtime: Runtime;
  readonly lives: HostLives;
  readonly folders: AppFolders;
  /** Location of the author's code. */
  readonly entry: EntryLocation;
  /** Location of the code of single services, in a build. Default: `entry` has them all. */
  readonly entries?: ReadonlyMap<string, EntryLocation> | undefined;
  readonly settings: AppSettings;
  readonly devices: AssignedDevices;
  readonly logsTo: "stdout" | "supervisor";
  readonly sharesStdout: boolean;
  readonly appFile: string | undefined;
  readonly appFolder: string;
  readonly takesFaults: boolean;
  /** The environment the app was started with. */
  readonly outsideEnv: NodeJS.ProcessEnv;
  readonly answer: <What extends keyof AppAnswers>(what: What) => Promise<AppAnswers[What]>;
}

/** Threads and processes of an app, each for one replica or for one replica of each service in a group. */
export class RemoteRuntimes {
  readonly #deps: RemoteRuntimesDeps;
  readonly #shared = new SharedHomes<Home>();

  constructor(deps: RemoteRuntimesDeps) {
    this.#deps = deps;
  }

  /** Makes the host of one replica, in the thread or process that the plan says. */
  createHost(plan: DeploymentPlan, index: number): RemoteHost {
    const { runtime: own, folders, settings, devices } = this.#deps;
    const { inlineCallees, remoteCallees } = plan;
    const service = plan.descriptor.name;
    const address = folders.nextAddress();
    const edgeAddress = plan.residence === "thread" && own.hasEdge(service) ? folders.nextAddress() : undefined;
    const { runtime, memoryBytes } = this.#take(plan, index, edgeAddress ? [address, edgeAddress] : [address]);
    const resourcesOf = (name: string) => grantResources(own.settingsOf(name), []);
    return new RemoteHost(runtime, {
      order: {
        id: `${service}#${index}`,
        index,
        service,
        inlineCallees,
        resources: grantResources(plan.settings, devices.get(service)?.[index] ?? []),
        address,
        edgeAddress,
        callees: remoteCallees,
        inlineCalleeResources: new Map(inlineCallees.map((name) => [name, resourcesOf(name)])),
      },
      startTimeoutMs: plan.settings.startTimeoutMs,
      startTimeoutFrom: plan.settings.startTimeoutFrom,
      drainTimeoutMs: settings.server.drainTimeoutMs,
      memoryBytes,
      clock: own.time.clock,
      log: own.log,
    });
  }

  /** Finds the thread or process for a replica, or makes one. @param addresses Sockets of the replica. */
  #take(plan: DeploymentPlan, index: number, addresses: readonly [string, ...string[]]): Home {
    const { group, descriptor } = plan;
    const id = `${descriptor.name}#${index}`;
    const create = () => this.#create(plan, index, dirname(addresses[0]));
    const home = group === undefined ? create() : this.#shared.take(group.name, { id, index }, create);
    home.addresses.set(id, addresses);
    return home;
  }

  #create(plan: DeploymentPlan, index: number, socketFolder: string): Home {
    const { settings, folders, lives, runtime: own, entry, entries, ...common } = this.#deps;
    const { group, descriptor } = plan;
    const residence = plan.residence === "thread" ? "thread" : "process";
    const share = this.#shareOf(plan, index);
    const addresses = new Map<string, readonly string[]>();
    const { name: service } = descriptor;
    const inspect = findInspectOrder(settings, share.members, index);
    const runtime: RemoteRuntime = new RemoteRuntime(() => this.#createRunner(plan, index, share), {
      residence,
      order: {
        names:
          group === undefined ? { service, replica: `${service}#${index}` } : { group: group.name, process: index },
        services: share.members,
        keptServices: group?.kept ?? [],
        life: randomBytes(16).toString("hex"),
        endedLives: lives.ended,
        run: own.tasks.run,
        entries: entries === undefined ? [entry] : share.members.flatMap((member) => entries.get(member) ?? []),
        inspect,
        settings: inspect === undefined ? settings : liftStartLimits(settings),
        socketFolder,
        slabFolder: folders.slabs,
        diskFolder: folders.disk,
        appFolder: common.appFolder,
        appFile: common.appFile,
        logsTo: common.logsTo,
        sharesStdout: common.sharesStdout,
        takesFaults: common.takesFaults,
      },
      clock: own.time.clock,
      log: own.log,
      answer: common.answer,
      onExit: (pid) => {
        folders.clearAfter({ addresses: [...addresses.values()].flat(), pid, life: runtime.life });
        lives.end(runtime);
      },
    });
    lives.add(runtime);
    return new Home(runtime, addresses, residence === "process" ? share.memoryBytes : Number.POSITIVE_INFINITY);
  }

  #shareOf({ group, descriptor, settings }: DeploymentPlan, index: number): ProcessShare {
    if (group !== undefined) return shareProcess(group, this.#deps.settings, index);
    const { memoryBytes, cpu } = settings.resources;
    return { members: [descriptor.name], memoryBytes, cpu };
  }

  #createRunner(plan: DeploymentPlan, index: number, share: ProcessShare): Runner {
    const { outsideEnv, devices } = this.#deps;
    const heapMiB = boundHeap(share.memoryBytes);
    const env = joinEnvironment(plan, outsideEnv, grantThreads(share.cpu));
    const name = `${plan.descriptor.name}#${index}`;
    if (plan.residence === "thread") return new ReplicaThread({ name, env, heapMiB });
    const own = share.members.flatMap((member) => devices.get(member)?.[index] ?? []);
    return new ReplicaProcess({ env, heapMiB, devices: own });
  }
}

/** Limit of `start()` of a replica that is debugged: longer than any session; sums with it still fit a timer. */
const inspectedStartMs = 24 * 3_600_000;

/** Returns the inspector to open in the process of replica `index` of these services; `undefined` for none. */
export function findInspectOrder(
  { server }: AppSettings,
  services: readonly string[],
  index: number,
): InspectOrder | undefined {
  const isHere = (target: InspectTarget) => target.index === index && services.includes(target.service);
  const waiting = server.inspectWait.find(isHere);
  const target = waiting ?? server.inspect.find(isHere);
  return target && { port: target.port, waits: waiting !== undefined };
}

/** Raises the limits of `start()`, since a breakpoint in it may hold it for hours. */
export function liftStartLimits(settings: AppSettings): AppSettings {
  const services = [...settings.services].map(
    ([name, own]) => [name, { ...own, startTimeoutMs: inspectedStartMs, startTimeoutFrom: "the debugger" }] as const,
  );
  return { ...settings, services: new Map(services) };
}

/** One thread or process, as a home for replicas. */
class Home implements SharedHome {
  readonly runtime: RemoteRuntime;
  /** Sockets by replica, to remove when it has ended. */
  readonly addresses: Map<string, readonly string[]>;
  /** See `ReplicaHost`. */
  readonly memoryBytes: number;

  constructor(runtime: RemoteRuntime, addresses: Map<string, readonly string[]>, memoryBytes: number) {
    this.runtime = runtime;
    this.addresses = addresses;
    this.memoryBytes = memoryBytes;
  }

  get isOpen(): boolean {
    return this.runtime.isOpen;
  }

  has(id: string): boolean {
    return this.runtime.has(id);
  }

  supersede(): void {
    this.runtime.isSuperseded = true;
  }
}

/** Share of a replica's memory for JavaScript objects. Models and tensors live outside of the heap. */
const heapShare = 0.75;

const boundHeap = (memoryBytes: number): number | undefined =>
  Number.isFinite(memoryBytes) ? Math.max(16, Math.floor((memoryBytes / 1024 ** 2) * heapShare)) : undefined;

/**
 * Threads and processes of an app that are alive. When one has ended, it tells all others, also those that are
 * starting, so that they take over its tasks without waiting for its leases.
 */
export class HostLives {
  readonly #living = new Set<RemoteRuntime>();
  readonly #runtime: Runtime;

  /** @param runtime Runtime of the main thread. */
  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Lives that have ended. */
  get ended(): readonly string[] {
    return this.#runtime.tasks.endedLives.all;
  }

  add(runtime: RemoteRuntime): void {
    this.#living.add(runtime);
  }

  /** Notes that a thread or process has ended for certain: the system reported it. */
  end(runtime: RemoteRuntime): void {
    this.#living.delete(runtime);
    this.#runtime.tasks.endedLives.note(runtime.life);
    for (const other of this.#living) other.noteEnded(runtime.life);
  }
}

/** Variables that tell model runtimes how many threads they may use. */
const threadVariables = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"];

/**
 * Reads the variables that services declare, without those that are set outside.
 *
 * @param service Name for failures.
 * @throws {ServingError} `secret_missing`, `secret_unreadable`.
 */
export function readVariables(
  service: string,
  env: DeploymentPlan["env"],
  outside: NodeJS.ProcessEnv,
): Record<string, string> {
  const own = [...env].filter(([variable]) => outside[variable] === undefined);
  try {
    return Object.fromEntries(own.map(([name, value]) => [name, typeof value === "string" ? value : value.value()]));
  } catch (error) {
    throw toServingError(error, service, "");
  }
}

/**
 * Joins the environment of a replica: variables for its grants, then those of its services, then the environment the
 * app was started with, which wins. The latter is not `process.env`, since services in the main thread add their
 * variables to that.
 *
 * @throws {ServingError} `secret_missing`, `secret_unreadable`.
 */
export function joinEnvironment(
  { descriptor, env, residence }: Pick<DeploymentPlan, "descriptor" | "env" | "residence">,
  outside: NodeJS.ProcessEnv,
  cpuThreads: number,
): NodeJS.ProcessEnv {
  // Model runtimes read these from the process, so setting them for a thread has no effect.
  const threads = residence === "thread" ? [] : threadVariables.map((name) => [name, String(cpuThreads)] as const);
  return { ...Object.fromEntries(threads), ...readVariables(descriptor.name, env, outside), ...outside };
}

/** A thread or process that replicas of a group share. */
export interface SharedHome {
  /** True when another replica may start there. */
  readonly isOpen: boolean;
  /** True when a replica of this id lives there. */
  has(id: string): boolean;
  /** Marks it as replaced by another process: its replicas are to move. */
  supersede(): void;
}

/**
 * Processes of groups. Replica `i` of each service of a group lives in process `i`.
 *
 * A process that has ended is started again once, by the first replica that needs it. When a process already has a
 * replica of the same id, that replica is being replaced: the process is superseded, and all its replicas move to the
 * same new one.
 */
export class SharedHomes<Home extends SharedHome> {
  /** Newest process, by number and group. */
  readonly #homes = new Map<string, Home>();

  take(group: string, replica: { readonly id: string; readonly index: number }, create: () => Home): Home {
    const key = `${replica.index}/${group}`;
    const newest = this.#homes.get(key);
    if (newest?.isOpen === true) {
      if (!newest.has(replica.id)) return newest;
      newest.supersede();
    }
    const home = create();
    this.#homes.set(key, home);
    return home;
  }
}
