import { randomBytes } from "node:crypto";
import os from "node:os";
import type { Logger } from "../base/logger.js";
import { RepeatPace } from "../base/repeat-pace.js";
import { RequestContext } from "../call/call.js";
import type { CallScope, CallTime } from "../call/call-scope.js";
import { type NameLimit, nameOption } from "../call/passed-deadline.js";
import { operationApi, operationTimeoutMs, type TaskOperation, waitsForEnd } from "../call/task-state.js";
import { contractDigest, contractForm } from "../contract/contract-form.js";
import type { EdgeOptions, ServiceClass } from "../define/depends.js";
import type { ApiDescriptor, ServiceDescriptor } from "../define/descriptor.js";
import type { ModelDescriptor } from "../define/model.js";
import type { GrantedResources } from "../define/service.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { Graph } from "../graph/graph.js";
import type { CalledService, CallTarget, EntryCaller } from "../handle/call-target.js";
import { CalleeRoom } from "../handle/callee-room.js";
import { Directory } from "../handle/directory.js";
import { createEntryCaller, createHandle } from "../handle/handle.js";
import { FileStore } from "../held/file-store.js";
import { FullMemory } from "../held/memory-files.js";
import { CallStats } from "../observe/call-stats.js";
import { createMetrics, type Metrics } from "../observe/metrics.js";
import type { Obstacle } from "../observe/readiness.js";
import type { ApiSettings, AppSettings, ServiceSettings } from "../options/settings.js";
import type { ReplicaDeps } from "../replica/replica.js";
import { EdgeSecurity } from "../transport/edge-security.js";
import { type AppRun, AppTasks } from "./app-tasks.js";
import type { Faults } from "./faults.js";
import { type LocalReplicas, OutgoingLinks } from "./outgoing-links.js";
import type { RemoteLinks } from "./remote/remote-links.js";
import type { ReplicaEdge } from "./remote-callers.js";

/** Constructor arguments of `Runtime`. */
interface RuntimeDeps {
  readonly graph: Graph;
  readonly settings: AppSettings;
  readonly log: Logger;
  /** Log fields of this thread or process, for lines that concern no single replica. Default: none. */
  readonly names?: Readonly<Record<string, string | number>>;
  readonly time: CallTime;
  /** Folder of the app's service file. The app keeps its data beside it. */
  readonly appFolder: string;
  /** Unique to this thread or process. Default: a new one. */
  readonly life?: string;
  /** Lives of other threads and processes of the app that have ended. */
  readonly endedLives?: readonly string[];
  /** Default: a run that consists of this process alone. */
  readonly run?: AppRun;
  /** Folder in memory through which large tensors pass. Default: they are sent through sockets. */
  readonly slabFolder?: string | undefined;
  /** Returns the folder on a disk for the largest values; called when the first one arrives. Default: none. */
  readonly findDisk?: () => string | undefined;
  /** Replicas of this thread that the registry announces. Default: none. */
  readonly local?: LocalReplicas;
  /** Faults that calls from here meet in a test. */
  readonly faults?: Faults | undefined;
}

/** Names one replica and what it is granted. */
interface ReplicaIdentity {
  readonly service: string;
  readonly index: number;
  readonly resources: GrantedResources;
}

/**
 * State that the replicas and handles of one thread share: of the main thread, a worker thread, or a child process.
 *
 * Joins handles, links and replicas. Replicas elsewhere reach it only as updates of its links.
 */
export class Runtime {
  readonly directory = new Directory();
  readonly stats = new CallStats();
  readonly links: OutgoingLinks;
  /** Links to services that run elsewhere; absent until one is opened. */
  remotes: RemoteLinks | undefined;
  readonly metrics: Metrics;
  /** Files with the largest values of this thread. */
  readonly files: FileStore;
  readonly tasks: AppTasks;
  readonly graph: Graph;
  readonly settings: AppSettings;
  readonly time: CallTime;
  readonly log: Logger;
  /** Unique to this thread or process. */
  readonly life: string;
  readonly slabFolder: string | undefined;
  /** Keys and certificates of connections between apps. */
  readonly edgeSecurity: EdgeSecurity;
  readonly #names: ReadonlyMap<ServiceClass, string>;
  readonly #faults: Faults | undefined;

  constructor(deps: RuntimeDeps) {
    const { graph, settings, log, time, appFolder, slabFolder, local, faults } = deps;
    const { life = randomBytes(16).toString("hex"), names, findDisk = () => undefined } = deps;
    const { directory, stats } = this;
    const { clock } = time;
    this.graph = graph;
    this.settings = settings;
    this.time = time;
    this.log = log;
    this.life = life;
    this.slabFolder = slabFolder;
    const { tls, edgeKeyFile: edgeKey } = settings.server;
    this.edgeSecurity = new EdgeSecurity({ files: { ...tls, edgeKey }, clock, log });
    this.#faults = faults;
    this.#names = new Map(graph.edges.map((edge) => [edge.target, edge.to]));
    const folders = () => ({ memory: slabFolder, disk: findDisk() });
    const fullMemory = new FullMemory(names === undefined ? log : log.child(names), clock);
    this.files = new FileStore(life, folders, clock, fullMemory);
    this.links = new OutgoingLinks({ directory, stats, clock, log, slabFolder, files: this.files, local, faults });
    this.metrics = createMetrics(stats);
    const { endedLives, run } = deps;
    this.tasks = new AppTasks({ graph, settings, appFolder, log, time, stats, life, endedLives, run });
  }

  settingsOf(service: string): ServiceSettings {
    return this.settings.services.get(service) as ServiceSettings;
  }

  /** Calls the entry service for the HTTP server. */
  entryCaller(): EntryCaller {
    return createEntryCaller(this.#calledService(this.graph.entry, "http"));
  }

  /** Longest time for the start of a replica while the event loop turns: to open the task store, and for `start()`. */
  startLimitMsOf(service: string): number {
    return this.settingsOf(service).startTimeoutMs + this.tasks.storeLimitMsOf(service);
  }

  /** A handle on any service, for a program or a test. @param context Returns the context of each call. */
  handleOf(service: string, context?: () => unknown): object {
    const caller = { service: "local", api: "" };
    const createRequest = context && (() => createRequestWith(context()));
    return createHandle(this.#calledService(service, "local"), { caller, log: this.log, createRequest });
  }

  /** Constructor arguments of a replica that lives here. */
  partsOf({ service, index, resources }: ReplicaIdentity): ReplicaDeps {
    const id = `${service}#${index}`;
    const log = this.log.child({ service, replica: id });
    return {
      id,
      index,
      descriptor: this.graph.services.get(service) as ServiceDescriptor,
      settings: this.settingsOf(service),
      resources,
      bindHandle: (target, { timeoutMs, intercept, affinity }) => {
        const to = this.#names.get(target) as string;
        const keyOf = affinity && createKeyOf(affinity, { log, clock: this.time.clock, callee: to });
        const callee = this.#calledService(to, service, timeoutMs, keyOf);
        return createHandle(callee, { caller: { service, api: "" }, log, intercept });
      },
      checksInside: this.settings.server.validate === "all",
      stats: this.stats,
      time: this.time,
      log,
      obtainModel: (model, signal) => this.#obtainModel(service, model, signal),
      tasks: this.tasks.depsOf(service, index),
    };
  }

  /** The supervisor has fetched it, unless somebody removed it since. */
  async #obtainModel(service: string, model: ModelDescriptor, signal: AbortSignal): Promise<string> {
    // Loaded here: most services have no models.
    const { findModelFolder, ModelStore } = await import("../models/model-store.js");
    const store = new ModelStore({ folder: findModelFolder(this.settings.server.models, process.env) });
    try {
      return await store.obtain(model, signal);
    } catch (error) {
      throw toServingError(error, service, "");
    } finally {
      await store.tidy();
    }
  }

  /** True for the service that other apps call. */
  hasEdge(service: string): boolean {
    const { listen, service: alone } = this.settings.server;
    return listen !== undefined && service === (alone || this.graph.entry);
  }

  /**
   * Facts about the replicas of a service that other apps call; `undefined` for a service that they don't.
   *
   * @param address Unix socket for bytes that the supervisor has secured.
   */
  edgeOf(service: string, address?: string): ReplicaEdge | undefined {
    if (!this.hasEdge(service)) return undefined;
    const { maxRemoteConnections: maxConnections, zone } = this.settings.server;
    const form = contractForm(this.graph.services.get(service) as ServiceDescriptor);
    const contract = { form, digest: contractDigest(form) };
    return { security: this.edgeSecurity, maxConnections, run: this.tasks.run.id, contract, zone, address };
  }

  /** Opens links to those of these services that run elsewhere. @throws {ServingError} `edge_file_unusable`. */
  async openRemotes(services: readonly string[]): Promise<void> {
    const elsewhere = services.filter((service) => this.settingsOf(service).at.length > 0);
    if (elsewhere.length === 0) return;
    // Loaded here: most apps run whole on one machine.
    const { RemoteLinks } = await import("./remote/remote-links.js");
    this.remotes ??= new RemoteLinks(this, this.#faults);
    this.remotes.open(elsewhere);
  }

  /** Resolves when each replica and each address of these services can be called or was tried once. Default: all. */
  async settled(services?: readonly string[]): Promise<void> {
    await Promise.all([this.links.settled(services), this.remotes?.settled(services)]);
  }

  /** Obstacles to calling these services, or all that are called from here. */
  obstaclesTo(services?: readonly string[]): Obstacle[] {
    const all = [...this.links.obstacles, ...(this.remotes?.obstacles ?? [])];
    return services === undefined ? all : all.filter(({ service }) => services.includes(service));
  }

  /** Ends what is open here: the task store, links, files. Calls that come later fail at once. */
  async close(): Promise<void> {
    await this.tasks.close();
    this.remotes?.close();
    this.directory.close();
    this.links.close();
    this.files.close();
  }

  /** Describes a service to the handles of one caller. @param edgeTimeoutMs Bounds each of the caller's calls to it. */
  #calledService(
    service: string,
    caller: string,
    edgeTimeoutMs = Number.POSITIVE_INFINITY,
    keyOf?: CallTarget["keyOf"],
  ): CalledService {
    const { apis } = this.graph.services.get(service) as ServiceDescriptor;
    const own = this.settingsOf(service);
    const targetOf = ({ name, contract, takesStream }: ApiDescriptor, operation?: TaskOperation | "call") => {
      const settings = own.apis.get(name) as ApiSettings;
      const { timeoutMs, idempotent } = settings;
      const api = operation === undefined || operation === "call" ? name : operationApi(name, operation);
      const stats = this.stats.edge(caller, service, api);
      stats.isWaiting = operation !== undefined && waitsForEnd(operation);
      return {
        service,
        api,
        timeoutMs: Math.min(operation === undefined ? timeoutMs : boundOperation(operation), edgeTimeoutMs),
        // An operation on a task may be sent again: it names its task.
        idempotent: operation !== undefined || idempotent,
        takesStream,
        itemSchema: contract.yields,
        keyOf: operation === undefined && !takesStream ? keyOf : undefined,
        waitForReplicaMs: own.waitForReplicaMs,
        links: this.directory.of(service),
        room: new CalleeRoom(this.time.clock, stats),
        stats,
        // Shared by all calls of the target, and called only when a deadline has passed.
        time: { ...this.time, nameLimit: createLimitNames({ service, api: name, settings, operation, edgeTimeoutMs }) },
      };
    };
    return { service, apis, targetOf };
  }
}

interface KeyDeps {
  readonly log: Logger;
  readonly clock: CallTime["clock"];
  readonly callee: string;
}

/** Makes the function that finds the key of a call. Code of an author that throws costs the key, not the call. */
function createKeyOf(affinity: NonNullable<EdgeOptions["affinity"]>, { log, clock, callee }: KeyDeps) {
  const pace = new RepeatPace();
  return ({ call, input }: CallScope): string | undefined => {
    try {
      const key: unknown = affinity(input.value);
      return key === undefined || key === null ? undefined : String(key);
    } catch (err) {
      const text = `affinity of depends(${callee}) threw; the call goes to any replica`;
      if (pace.isDue(clock.now())) log.warn({ err, api: call.api }, text);
      return undefined;
    }
  };
}

function createRequestWith(context: unknown): RequestContext {
  const request = new RequestContext();
  request.setAppContext(context);
  return request;
}

const boundOperation = (operation: TaskOperation | "call"): number =>
  waitsForEnd(operation) ? Number.POSITIVE_INFINITY : operationTimeoutMs;

/** Resources that one replica is granted. */
export function grantResources({ resources }: ServiceSettings, gpus: readonly number[]): GrantedResources {
  return { cpuThreads: grantThreads(resources.cpu), memoryBytes: resources.memoryBytes, gpus };
}

/** Threads are whole, at least one, and never more than the machine has. */
export const grantThreads = (cpu: number): number => Math.min(Math.max(1, Math.floor(cpu)), os.availableParallelism());

/** Limits that may have bounded a call of one target. */
export interface TargetLimits {
  readonly service: string;
  readonly api: string;
  readonly settings: ApiSettings;
  /** Operation on a task; `undefined` for a call of any other api. */
  readonly operation: TaskOperation | "call" | undefined;
  /** `Infinity` where the dependency has no limit of its own. */
  readonly edgeTimeoutMs: number;
}

/** Deadlines are sums, so their last digits may differ. */
const nearMs = 0.001;
const isNear = (a: number, b: number): boolean => Math.abs(a - b) < nearMs;

/** Returns a function that finds the limit which bounded a call from the length of that limit alone. */
export function createLimitNames({ service, api, settings, operation, edgeTimeoutMs }: TargetLimits): NameLimit {
  return ({ caller }, timeoutMs) => {
    const isOfApi = operation === undefined || waitsForEnd(operation);
    if (isOfApi && isNear(timeoutMs, settings.timeoutMs)) return nameOption(service, api, settings.timeoutFrom);
    if (isNear(timeoutMs, edgeTimeoutMs)) return `timeoutMs of depends(${service}) in ${caller.service}`;
    if (!isOfApi && isNear(timeoutMs, operationTimeoutMs)) return "ekiben's own limit for it";
    if (caller.service === "http") return "the client's timeoutMs, sent as ekiben-timeout-ms";
    const place = caller.api === "" ? caller.service : `${caller.service}.${caller.api}`;
    return `timeoutMs of the call${place === "local" ? "" : ` from ${place}`} to ${service}.${api}`;
  };
}
