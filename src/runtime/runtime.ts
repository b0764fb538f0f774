import { randomBytes } from "node:crypto";
import os from "node:os";
import type { Logger } from "../base/logger.js";
import type { CallTime } from "../call/call-scope.js";
import { type NameLimit, nameOption } from "../call/passed-deadline.js";
import {
  isEnded,
  isTaskId,
  operationApi,
  operationTimeoutMs,
  type TaskOperation,
  type TaskState,
  toTaskState,
  waitsForEnd,
} from "../call/task-state.js";
import type { ServiceClass } from "../define/depends.js";
import type { ApiDescriptor, ServiceDescriptor } from "../define/descriptor.js";
import type { GrantedResources } from "../define/service.js";
import { fail } from "../failure/failures.js";
import { unreachable } from "../failure/serving-error.js";
import type { Graph } from "../graph/graph.js";
import type { CalledService, EntryCaller } from "../handle/call-target.js";
import { CalleeRoom } from "../handle/callee-room.js";
import { Directory } from "../handle/directory.js";
import { createEntryCaller, createHandle } from "../handle/handle.js";
import type { FormerTask } from "../http/http-state.js";
import { CallStats } from "../observe/call-stats.js";
import type { ApiSettings, AppSettings, ServiceSettings } from "../options/settings.js";
import type { ReplicaDeps } from "../replica/replica.js";
import type { TaskDeps } from "../replica/tasks/replica-tasks.js";
import { EndedLives } from "../tasks/lease-grace.js";
import { formatStore, hasTaskStore, openTaskStore, type StoreWait } from "../tasks/open-store.js";
import { StoreCensus } from "../tasks/store-census.js";
import type { StoreRun, TaskPlace, TaskRecord, TaskStore } from "../tasks/task-store.js";
import { unpackValue } from "../transport/stored-value.js";
import { decodeError, encodeError } from "../transport/wire-error.js";

/** How long a replica that starts waits for a store that is away. */
const storeWaitMs = 60_000;

/** What a site is made of. */
interface RuntimeDeps {
  readonly graph: Graph;
  readonly settings: AppSettings;
  readonly log: Logger;
  readonly time: CallTime;
  /** Folder of the app's service file: what the app keeps lies beside it. */
  readonly appFolder: string;
  /** Unique to this thread or process. Default: a new one. */
  readonly life?: string;
  /** Of others of the app that have ended. */
  readonly endedLives?: readonly string[];
  /** The app as others in its store see it. Default: one that this process is alone. */
  readonly run?: AppRun;
}

/** The app as a whole: all its threads and processes. */
export type AppRun = Omit<StoreRun, "namespace" | "host">;

/** Which replica is wanted. */
interface ReplicaIdentity {
  readonly service: string;
  readonly index: number;
  readonly resources: GrantedResources;
}

/**
 * One thread of execution in which replicas and handles of an app live: the app's own, a worker thread, or a child process.
 *
 * Joins handles, links and replicas; knows nothing of how the others came to be.
 */
export class Runtime {
  readonly directory = new Directory();
  readonly stats = new CallStats();
  readonly graph: Graph;
  readonly time: CallTime;
  readonly log: Logger;
  readonly run: AppRun;
  readonly endedLives: EndedLives;
  /** Unique to this thread or process. */
  readonly life: string;
  readonly #settings: AppSettings;
  readonly #names: ReadonlyMap<ServiceClass, string>;
  readonly #appFolder: string;
  /** Of the whole graph. */
  readonly #ownTasks: readonly TaskPlace[];
  #taskStore: Promise<TaskStore> | undefined;

  constructor({ graph, settings, log, time, appFolder, life, endedLives, run }: RuntimeDeps) {
    this.endedLives = new EndedLives(endedLives);
    this.life = life ?? randomBytes(16).toString("hex");
    this.graph = graph;
    this.time = time;
    this.log = log;
    this.#settings = settings;
    this.#appFolder = appFolder;
    this.run = run ?? { id: this.life, pid: process.pid, session: this.life };
    this.#ownTasks = listTasks(graph, settings.tasks.namespace);
    this.#names = new Map(graph.edges.map((http) => [http.target, http.to]));
  }

  settingsOf(service: string): ServiceSettings {
    return this.#settings.services.get(service) as ServiceSettings;
  }

  /** How the HTTP edge calls the entry service. */
  entryCaller(): EntryCaller {
    return createEntryCaller(this.#targetOf(this.graph.entry, "http"));
  }

  /** The longest that the start of a replica may take, as long as the event loop turns: for the store of tasks, and for `start()`. */
  startLimitMsOf(service: string): number {
    const { startTimeoutMs } = this.settingsOf(service);
    const hasTasks = this.#ownTasks.some((own) => own.service === service);
    return startTimeoutMs + (hasTasks ? Math.min(startTimeoutMs, storeWaitMs) : 0);
  }

  /** A handle on any service, as a program or a test calls it. */
  handleOf(service: string): object {
    return createHandle(this.#targetOf(service, "local"), { caller: { service: "local", api: "" }, log: this.log });
  }

  /** What a replica that lives here is made of. */
  partsOf({ service, index, resources }: ReplicaIdentity): ReplicaDeps {
    const id = `${service}#${index}`;
    const log = this.log.child({ service, replica: id });
    return {
      id,
      index,
      descriptor: this.graph.services.get(service) as ServiceDescriptor,
      settings: this.settingsOf(service),
      resources,
      bindHandle: (target, http) => {
        const callee = this.#names.get(target) as string;
        return createHandle(this.#targetOf(callee, service, http.timeoutMs), { caller: { service, api: "" }, log });
      },
      checksInside: this.#settings.server.validate === "all",
      stats: this.stats,
      time: this.time,
      log,
      tasks: this.#tasksOf(service, index),
    };
  }

  /** Closes the store of tasks, if it was opened; after the last replica here has stopped. */
  async closeStore(): Promise<void> {
    const opened = this.#taskStore;
    this.#taskStore = undefined;
    const store = await opened?.catch(() => undefined);
    await store?.close();
  }

  #tasksOf(service: string, index: number): TaskDeps {
    const { namespace, leaseMs, retentionMs } = this.#settings.tasks;
    const isCounting = index === 0 && service === this.#ownTasks[0]?.service;
    return {
      ...{ namespace, leaseMs, retentionMs, life: this.life, endedLives: this.endedLives },
      isOwn: (of, api) => this.#isOwn(of, api),
      census: isCounting ? this.#createCensus() : undefined,
      openStore: (signal) =>
        this.#openStore({
          limitMs: Math.min(this.settingsOf(service).startTimeoutMs, storeWaitMs),
          signal,
          clock: this.time.clock,
        }),
    };
  }

  #isOwn(service: string, api: string): boolean {
    return this.#ownTasks.some((own) => own.service === service && own.api === api);
  }

  #createCensus(): StoreCensus {
    const { namespace } = this.#settings.tasks;
    const { log, time, stats } = this;
    return new StoreCensus({
      run: { ...this.run, namespace, host: os.hostname() },
      own: this.#ownTasks,
      place: formatStore({ settings: this.#settings.tasks, appFolder: this.#appFolder }),
      log,
      clock: time.clock,
      isAlive,
      lostFailure: encodeError(fail("task_lost", { attempts: 1 })),
      onOrphans: (orphans) => {
        stats.orphans = orphans.map(({ service, api, waiting, running }) => ({
          service,
          api,
          count: waiting + running,
        }));
      },
    });
  }

  /** Of an app without tasks: whether it has left some behind. What stands in the way of an answer is no matter. */
  async lookOver(): Promise<void> {
    const place = { settings: this.#settings.tasks, appFolder: this.#appFolder };
    if (this.#ownTasks.length > 0 || !hasTaskStore(place)) return;
    try {
      const store = await openTaskStore({ ...place, log: this.log });
      await this.#createCensus()
        .look(store)
        .finally(() => store.close());
    } catch (error) {
      this.log.debug({ err: error }, "the task store of this app, which has no tasks, could not be looked over");
    }
  }

  /** A task that was handed in to an api which the app has no more. */
  async findFormerTask(id: string): Promise<FormerTask | undefined> {
    const { tasks: settings } = this.#settings;
    if (!isTaskId(id) || !hasTaskStore({ settings, appFolder: this.#appFolder })) return undefined;
    const store = await this.#openStore();
    const record = await store.get(id);
    if (record?.namespace !== settings.namespace || this.#isOwn(record.service, record.api)) return undefined;
    return createFormerTask(store, record);
  }

  /** One store for all replicas here. Where it can't be opened, the next replica tries again. */
  #openStore(wait?: StoreWait): Promise<TaskStore> {
    const place = { settings: this.#settings.tasks, appFolder: this.#appFolder, log: this.log };
    this.#taskStore ??= openTaskStore(place, wait).catch((error: unknown) => {
      this.#taskStore = undefined;
      throw error;
    });
    return this.#taskStore;
  }

  /** How `caller` reaches a service; `edgeTimeoutMs` bounds each of its calls. */
  #targetOf(service: string, caller: string, edgeTimeoutMs = Number.POSITIVE_INFINITY): CalledService {
    const { apis } = this.graph.services.get(service) as ServiceDescriptor;
    const own = this.settingsOf(service);
    const routeOf = ({ name, contract, takesStream }: ApiDescriptor, operation?: TaskOperation | "call") => {
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
        waitForReplicaMs: own.waitForReplicaMs,
        links: this.directory.of(service),
        room: new CalleeRoom(this.time.clock, stats),
        stats,
        // Shared by the calls of the route; it is asked when a deadline has passed.
        time: { ...this.time, nameLimit: createLimitNames({ service, api: name, settings, operation, edgeTimeoutMs }) },
      };
    };
    return { service, apis, targetOf: routeOf };
  }
}

function listTasks({ services }: Graph, namespace: string): TaskPlace[] {
  return [...services.values()].flatMap(({ name, apis }) =>
    [...apis.values()].flatMap((own) => (own.kind === "task" ? [{ namespace, service: name, api: own.name }] : [])),
  );
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Somebody else's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

const boundOperation = (operation: TaskOperation | "call"): number =>
  waitsForEnd(operation) ? Number.POSITIVE_INFINITY : operationTimeoutMs;

/** What one replica is given. */
export function grantResources({ resources }: ServiceSettings, gpus: readonly number[]): GrantedResources {
  return { cpuThreads: grantThreads(resources.cpu), memoryBytes: resources.memoryBytes, gpus };
}

/** Threads are whole, at least one, and never more than the machine has. */
export const grantThreads = (cpu: number): number => Math.min(Math.max(1, Math.floor(cpu)), os.availableParallelism());

/** What may have bounded a call of one route. */
export interface RouteLimits {
  readonly service: string;
  readonly api: string;
  readonly settings: ApiSettings;
  /** Of a task: what is asked about it. */
  readonly operation: TaskOperation | "call" | undefined;
  /** `Infinity` where the dependency has none. */
  readonly edgeTimeoutMs: number;
}

/** Deadlines are sums, of which the last digits may differ. */
const nearMs = 0.001;
const isNear = (a: number, b: number): boolean => Math.abs(a - b) < nearMs;

/** Tells afterwards, from its length alone, which of the limits that a call may have had it was. */
export function createLimitNames({ service, api, settings, operation, edgeTimeoutMs }: RouteLimits): NameLimit {
  return ({ caller }, timeoutMs) => {
    const isOfApi = operation === undefined || waitsForEnd(operation);
    if (isOfApi && isNear(timeoutMs, settings.timeoutMs)) return nameOption(service, api, settings.timeoutFrom);
    if (isNear(timeoutMs, edgeTimeoutMs)) return `timeoutMs of depends(${service}) in ${caller.service}`;
    if (!isOfApi && isNear(timeoutMs, operationTimeoutMs)) return "what ekiben allows for it";
    if (caller.service === "http") return "the client's timeoutMs, sent as ekiben-timeout-ms";
    const place = caller.api === "" ? caller.service : `${caller.service}.${caller.api}`;
    return `timeoutMs of the call${place === "local" ? "" : ` from ${place}`} to ${service}.${api}`;
  };
}

/** What may be asked about a task whose api is gone: all but to run it. */
function createFormerTask(store: TaskStore, record: TaskRecord): FormerTask {
  const { id, service, api } = record;
  return {
    service,
    api,
    state: readTaskState(record),
    async result() {
      const { status } = record;
      if (!isEnded(record))
        throw fail("task_api_gone", { taskId: id, api: `${service}.${api}`, status }, { service, api });
      const output = status === "completed" ? (await store.result(id))?.output : undefined;
      if (output !== undefined) return unpackValue(output);
      throw record.failure === undefined
        ? unreachable(`task ${id} ended without a reason`)
        : decodeError(record.failure);
    },
    async cancel() {
      const failure = encodeError(fail("task_canceled", { taskId: id }, { service, api }));
      return readTaskState((await store.cancel(id, failure)) ?? record);
    },
  };
}

function readTaskState(record: TaskRecord): TaskState {
  const failure = record.failure === undefined ? undefined : decodeError(record.failure);
  return toTaskState(record, failure, `${record.service}.${record.api}`);
}
