import os from "node:os";
import type { Logger } from "../base/logger.js";
import type { CallTime } from "../call/call-scope.js";
import { operationApi, operationTimeoutMs, type TaskOperation, waitsForEnd } from "../call/task-operation.js";
import type { ServiceClass } from "../define/depends.js";
import type { ApiDescriptor, ServiceDescriptor } from "../define/descriptor.js";
import type { GrantedResources } from "../define/lifecycle.js";
import type { Graph } from "../graph/graph.js";
import { Directory } from "../handle/directory.js";
import { createEntryCaller } from "../handle/entry-caller.js";
import { createHandle } from "../handle/handle.js";
import type { HandleTarget } from "../handle/handle-target.js";
import type { EntryCaller } from "../handle/pending-call.js";
import { CallStats } from "../observe/call-stats.js";
import type { ApiSettings, AppSettings, ServiceSettings } from "../options/settings.js";
import type { ReplicaParts } from "../replica/replica.js";
import { openTaskStore } from "../tasks/open-store.js";
import type { TaskStore } from "../tasks/task-store.js";

/** What a site is made of. */
export interface SiteParts {
  readonly graph: Graph;
  readonly settings: AppSettings;
  readonly log: Logger;
  readonly time: CallTime;
  /** Folder of the app's service file: what the app keeps lies beside it. */
  readonly appFolder: string;
}

/** Which replica is wanted. */
export interface ReplicaIdentity {
  readonly service: string;
  readonly index: number;
  readonly resources: GrantedResources;
}

/**
 * One thread of execution in which replicas and handles of an app live: the app's own, a worker thread, or a child process.
 *
 * Joins handles, links and replicas; knows nothing of how the others came to be.
 */
export class Site {
  readonly directory = new Directory();
  readonly stats = new CallStats();
  readonly graph: Graph;
  readonly time: CallTime;
  readonly log: Logger;
  readonly #settings: AppSettings;
  readonly #names: ReadonlyMap<ServiceClass, string>;
  readonly #appFolder: string;
  #taskStore: Promise<TaskStore> | undefined;

  constructor({ graph, settings, log, time, appFolder }: SiteParts) {
    this.graph = graph;
    this.time = time;
    this.log = log;
    this.#settings = settings;
    this.#appFolder = appFolder;
    this.#names = new Map(graph.edges.map((edge) => [edge.target, edge.to]));
  }

  settingsOf(service: string): ServiceSettings {
    return this.#settings.services.get(service) as ServiceSettings;
  }

  /** How the HTTP edge calls the entry service. */
  entryCaller(): EntryCaller {
    return createEntryCaller(this.#targetOf(this.graph.entry, "http"));
  }

  /** A handle on any service, as a program or a test calls it. */
  handleOf(service: string): object {
    return createHandle(this.#targetOf(service, "local"), { caller: { service: "local", api: "" }, log: this.log });
  }

  /** What a replica that lives here is made of. */
  partsOf({ service, index, resources }: ReplicaIdentity): ReplicaParts {
    const id = `${service}#${index}`;
    const log = this.log.child({ service, replica: id });
    return {
      id,
      index,
      descriptor: this.graph.services.get(service) as ServiceDescriptor,
      settings: this.settingsOf(service),
      resources,
      bindHandle: (target, edge) => {
        const callee = this.#names.get(target) as string;
        return createHandle(this.#targetOf(callee, service, edge.timeoutMs), { caller: { service, api: "" }, log });
      },
      checksInside: this.#settings.server.checks === "all",
      stats: this.stats,
      time: this.time,
      log,
      tasks: { ...this.#settings.tasks, openStore: () => this.#openStore() },
    };
  }

  /** Closes the store of tasks, if it was opened; after the last replica here has stopped. */
  async closeStore(): Promise<void> {
    const opened = this.#taskStore;
    this.#taskStore = undefined;
    const store = await opened?.catch(() => undefined);
    await store?.close();
  }

  /** One store for all replicas here. Where it can't be opened, the next replica tries again. */
  #openStore(): Promise<TaskStore> {
    const place = { settings: this.#settings.tasks, appFolder: this.#appFolder, log: this.log };
    this.#taskStore ??= openTaskStore(place).catch((error: unknown) => {
      this.#taskStore = undefined;
      throw error;
    });
    return this.#taskStore;
  }

  /** How `caller` reaches a service; `edgeTimeoutMs` bounds each of its calls. */
  #targetOf(service: string, caller: string, edgeTimeoutMs = Number.POSITIVE_INFINITY): HandleTarget {
    const { apis } = this.graph.services.get(service) as ServiceDescriptor;
    const own = this.settingsOf(service);
    const routeOf = ({ name, contract, takesStream }: ApiDescriptor, operation?: TaskOperation | "call") => {
      const { timeoutMs, idempotent } = own.apis.get(name) as ApiSettings;
      const api = operation === undefined || operation === "call" ? name : operationApi(name, operation);
      return {
        service,
        api,
        timeoutMs: Math.min(operation === undefined ? timeoutMs : boundOperation(operation), edgeTimeoutMs),
        // An operation on a task may be sent again: it names its task.
        idempotent: operation !== undefined || idempotent,
        takesStream,
        itemSchema: contract.yields,
        holdMs: own.holdMs,
        links: this.directory.of(service),
        stats: this.stats.edge(caller, service, api),
        time: this.time,
      };
    };
    return { service, apis, routeOf };
  }
}

const boundOperation = (operation: TaskOperation | "call"): number =>
  waitsForEnd(operation) ? Number.POSITIVE_INFINITY : operationTimeoutMs;

/** Threads are whole, at least one, and never more than the machine has. */
export function grantResources({ resources }: ServiceSettings, gpus: readonly number[]): GrantedResources {
  const cpuThreads = Math.min(Math.max(1, Math.floor(resources.cpu)), os.availableParallelism());
  return { cpuThreads, memoryBytes: resources.memoryBytes, gpus };
}
