import os from "node:os";
import type { Logger } from "../base/logger.js";
import { silentLogger } from "../base/logger.js";
import { type CallTime, systemTime } from "../call/call-scope.js";
import type { ServiceClass } from "../define/depends.js";
import type { ApiDescriptor, ServiceDescriptor } from "../define/descriptor.js";
import type { GrantedResources } from "../define/lifecycle.js";
import type { Graph } from "../graph/graph.js";
import type { DeploymentPlan, Plan } from "../graph/plan.js";
import { Directory } from "../handle/directory.js";
import { createEntryCaller } from "../handle/entry-caller.js";
import { createHandle, type HandleTarget } from "../handle/handle.js";
import type { EntryCaller } from "../handle/pending-call.js";
import { CallStats } from "../observe/call-stats.js";
import type { Readiness } from "../observe/readiness.js";
import type { ApiSettings, ServiceSettings } from "../options/settings.js";
import { createHost } from "../placement/create-host.js";
import type { ReplicaHost } from "../placement/placement.js";
import type { OnProgress } from "../supervisor/progress.js";
import { Supervisor } from "../supervisor/supervisor.js";

/** What an app is started with besides its plan. */
export interface AppParts {
  readonly log?: Logger;
  readonly time?: CallTime;
  readonly onProgress?: OnProgress;
  /** Wraps each replica's host; used by tests to inject faults. */
  readonly wrapHost?: (host: ReplicaHost, service: string) => ReplicaHost;
}

/** A running graph, without HTTP. */
export interface App {
  readonly graph: Graph;
  readonly plan: Plan;
  readonly stats: CallStats;
  /** For the HTTP edge. */
  readonly caller: EntryCaller;
  /** A handle on any service of the graph, as a program or a test calls it. */
  handle(service: string): object;
  readiness(): Promise<Readiness>;
  /** Ends one replica as a crash would, and starts another in its place. */
  replaceReplica(service: string, index: number): Promise<void>;
  /** Drains, callers before callees, then stops. What is left when `limit` is aborted is cancelled. */
  stop(limit?: AbortSignal): Promise<void>;
}

/**
 * Starts every service of a plan.
 *
 * @throws {ServingError} of the first service that does not start; what had started is stopped again.
 */
export async function startApp(plan: Plan, parts: AppParts = {}): Promise<App> {
  const wiring = new Wiring(plan, parts);
  const supervisor = new Supervisor(plan, {
    createHost: (own, index) => wiring.createHost(own, index),
    directory: wiring.directory,
    clock: wiring.time.clock,
    onProgress: parts.onProgress ?? (() => {}),
  });
  applyEnvironment(plan.env);
  await supervisor.start();
  const { graph } = plan;
  return {
    graph,
    plan,
    stats: wiring.stats,
    caller: createEntryCaller(wiring.targetOf(graph.entry, "http")),
    handle: (service) => createHandle(wiring.targetOf(service, "local"), { service: "local", api: "" }),
    readiness: () => supervisor.readiness(),
    replaceReplica: (service, index) => supervisor.replaceReplica(service, index),
    stop: (limit) => supervisor.stop(limit),
  };
}

/** Joins handles, links and replicas of one app in this process. */
class Wiring {
  readonly directory = new Directory();
  readonly stats = new CallStats();
  readonly time: CallTime;
  readonly #plan: Plan;
  readonly #parts: AppParts;
  readonly #names: ReadonlyMap<ServiceClass, string>;

  constructor(plan: Plan, parts: AppParts) {
    this.#plan = plan;
    this.#parts = parts;
    this.time = parts.time ?? systemTime;
    this.#names = new Map(plan.graph.edges.map((edge) => [edge.target, edge.to]));
  }

  /** How `caller` reaches a service; `edgeTimeoutMs` bounds each of its calls. */
  targetOf(service: string, caller: string, edgeTimeoutMs = Number.POSITIVE_INFINITY): HandleTarget {
    const { graph, settings } = this.#plan;
    const { apis } = graph.services.get(service) as ServiceDescriptor;
    const own = settings.services.get(service) as ServiceSettings;
    const routeOf = ({ name }: ApiDescriptor) => ({
      service,
      api: name,
      timeoutMs: Math.min((own.apis.get(name) as ApiSettings).timeoutMs, edgeTimeoutMs),
      links: this.directory.of(service),
      stats: this.stats.edge(caller, service, name),
      time: this.time,
    });
    return { apis, routeOf };
  }

  createHost({ descriptor, settings, placement }: DeploymentPlan, index: number): ReplicaHost {
    const { name } = descriptor;
    const id = `${name}#${index}`;
    const host = createHost(placement, {
      id,
      index,
      descriptor,
      settings,
      resources: grantResources(settings),
      bindHandle: (target, edge) => {
        const service = this.#names.get(target) as string;
        return createHandle(this.targetOf(service, name, edge.timeoutMs), { service: name, api: "" });
      },
      checksInside: this.#plan.settings.server.checks === "all",
      stats: this.stats,
      time: this.time,
      log: (this.#parts.log ?? silentLogger).child({ service: name, replica: id }),
    });
    return this.#parts.wrapHost?.(host, name) ?? host;
  }
}

/** A variable that the process was started with stays as it is: whoever runs the app has the last word. */
function applyEnvironment(env: ReadonlyMap<string, string>): void {
  for (const [variable, value] of env) process.env[variable] ??= value;
}

/** Threads are whole, at least one, and never more than the machine has. */
function grantResources({ resources }: ServiceSettings): GrantedResources {
  const cpuThreads = Math.min(Math.max(1, Math.floor(resources.cpu)), os.availableParallelism());
  return { cpuThreads, memoryBytes: resources.memoryBytes, gpus: [] };
}
