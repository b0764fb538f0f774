import { createDeferred, within } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { CallTime } from "../call/call-scope.js";
import { composeInterceptors, type InterceptorChain } from "../call/compose-interceptors.js";
import { type ApiTarget, type RunOnce, runAtStart } from "../call/invoke.js";
import { settlePromises } from "../call/value-walk.js";
import { createTarget, nameRun, readApi } from "../define/api.js";
import { constructIn, type EdgeOptions, type ServiceClass } from "../define/depends.js";
import type { ApiDescriptor, ServiceDescriptor } from "../define/descriptor.js";
import { listInterceptors } from "../define/interceptor.js";
import { type ModelDescriptor, provideModels } from "../define/model.js";
import { ServiceResources } from "../define/resource.js";
import { readSchedule } from "../define/schedule.js";
import type { GrantedResources, ServiceHooks } from "../define/service.js";
import { fail } from "../failure/failures.js";
import { ServingError, unreachable } from "../failure/serving-error.js";
import { messageWithCauses } from "../failure/to-serving-error.js";
import type { CallStats } from "../observe/call-stats.js";
import type { ApiSettings, ServiceSettings } from "../options/settings.js";
import type { createCache } from "./answer-cache.js";
import { runBatch } from "./batch/batch-run.js";
import { Batcher } from "./batch/batcher.js";
import { serveRows } from "./batch/serve-rows.js";
import type { CallHost, ReplicaApi } from "./call-host.js";
import { Lane } from "./lane.js";
import { LaneWatch } from "./lane-watch.js";
import { OnceRuns } from "./once-runs.js";
import { serveInside } from "./serve-call.js";
import type { ReplicaTasks, TaskDeps } from "./tasks/replica-tasks.js";
import type { TaskHost } from "./tasks/task-attempt.js";
import { type ApiLayers, wrapApi } from "./wrap-api.js";

// One running instance of a service.
//
// RP1  No call begins before `start` has resolved or after `close` was called. Calls that wait then never run.
// RP2  The author's `stop()` runs once, after the last call has ended or was cut off, even when `start()` failed
//      half-way.
// RP3  A replica that has ended leaves nothing in the statistics of its process, which may live on.

/** Time limits of the author's `ready()` and `stop()`. */
const readyLimitMs = 2_000;
const stopLimitMs = 10_000;
/** Time limit for giving running tasks back to the store. */
const tasksLimitMs = 1_500;

/** Parts that a replica is made with; the same in every placement. */
export interface ReplicaDeps {
  /** `"Model#0"`. */
  readonly id: string;
  readonly index: number;
  readonly descriptor: ServiceDescriptor;
  readonly settings: ServiceSettings;
  readonly resources: GrantedResources;
  /** Makes the handle of a dependency. */
  readonly bindHandle: (target: ServiceClass, edge: EdgeOptions) => object;
  /** True when values that never left the process are checked too. */
  readonly checksInside: boolean;
  readonly stats: CallStats;
  readonly time: CallTime;
  readonly log: Logger;
  /** Returns the path of a model, fetched if it is not there; used only by a service that has some. */
  readonly obtainModel?: (model: ModelDescriptor, signal: AbortSignal) => Promise<string>;
  /** Store and settings of durable tasks; used only by a service that has some. */
  readonly tasks?: TaskDeps;
}

/** Runs one service, from the author's constructor to the author's `stop()`. */
export class Replica implements CallHost {
  readonly deps: ReplicaDeps;
  readonly apis = new Map<string, ReplicaApi>();
  readonly #watch: LaneWatch;
  /** Lanes and batchers of all its apis, including those of tasks and their operations, and caches. */
  readonly #lanes: { close(): void }[] = [];
  #tasks: ReplicaTasks | undefined;
  #service: ServiceHooks | undefined;
  #resources: ServiceResources | undefined;
  #isDraining = false;
  #inFlight = 0;
  #onIdle: (() => void) | undefined;

  constructor(deps: ReplicaDeps) {
    this.deps = deps;
    this.#watch = new LaneWatch(deps.time.clock, deps.log);
  }

  /** Calls in flight, including waiting ones. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Describes each api that answers fewer calls than it gets; see `LaneWatch.readStrains`. */
  readStrains(): string[] {
    return this.#watch.readStrains();
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Durable tasks; `undefined` for a service without any. */
  get tasks(): ReplicaTasks | undefined {
    return this.#tasks;
  }

  /**
   * Constructs the service, binds its handles and runs its `start()`.
   *
   * @throws {ServingError} `start_failed` naming the hook, or `start_timeout`; an author's own `ServingError` as it is;
   *   the reason of `signal`.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { descriptor } = this.deps;
    await this.#runHook("constructor", async () => {
      const instance = this.#construct();
      this.#service = instance as ServiceHooks;
      this.#resources = new ServiceResources(instance, descriptor.name);
      // Loaded here: most services keep no answers.
      const create = this.#hasCache ? (await import("./answer-cache.js")).createCache : undefined;
      for (const api of descriptor.apis.values()) {
        const layers = {
          chain: this.#composeChain(api, instance),
          createCache: this.#bindCache(api, instance, create),
        };
        this.apis.set(api.name, wrapApi(this, this.#createApi(api, instance), layers));
      }
    });
    await this.#openTasks(signal);
    if (descriptor.fake === undefined) await this.#runStart(signal);
    // It may have been stopped meanwhile, in a thread or process that lives on.
    signal.throwIfAborted();
    this.#tasks?.begin();
  }

  async #runStart(signal: AbortSignal): Promise<void> {
    const { descriptor, id, index, resources, log } = this.deps;
    const context = { resources, replica: { index, id }, log, signal };
    let onces: OnceRuns | undefined;
    let isOver = false;
    let isStarted = false;
    const runOnce: RunOnce = (name, work) => {
      if (isOver) throw fail("once_out_of_place", { name });
      return (onces ??= this.#createOnceRuns(signal)).run(name, work);
    };
    const start = async () => {
      await this.#provideModels(signal);
      if (await this.#resources?.open(context)) await this.#service?.start(context);
    };
    const started = this.#runHook("start", () => runAtStart(runOnce, start));
    const { startTimeoutMs, startTimeoutFrom: from } = this.deps.settings;
    try {
      await within(this.deps.time.clock, startTimeoutMs, started, () => {
        throw fail("start_timeout", { startTimeoutMs, from }, { service: descriptor.name });
      });
      isStarted = true;
    } finally {
      isOver = true;
      onces?.end(isStarted ? undefined : startTimeoutMs);
    }
  }

  async #provideModels(signal: AbortSignal): Promise<void> {
    const { obtainModel, id } = this.deps;
    if (this.#service === undefined) return;
    await provideModels(this.#service, (model) => {
      return obtainModel?.(model, signal) ?? unreachable(`${id} has models and no folder of models`);
    });
  }

  #createOnceRuns(signal: AbortSignal): OnceRuns {
    const { id, log, time, tasks } = this.deps;
    if (tasks === undefined) unreachable(`${id} has no access to a task store`);
    return new OnceRuns({ ...tasks, id, log, clock: time.clock, signal });
  }

  /** Calls the author's `ready()`. False also when it throws or takes too long. */
  async isReady(): Promise<boolean> {
    if (this.#isDraining || this.#service === undefined) return false;
    if (this.deps.descriptor.fake !== undefined) return true;
    try {
      const ready = Promise.resolve(this.#service.ready());
      return (await within(this.deps.time.clock, readyLimitMs, ready, () => false)) === true;
    } catch (error) {
      settlePromises(error);
      this.deps.log.warn({ err: error }, "ready() threw");
      return false;
    }
  }

  /** Accepts no new call. Resolves when the last one has ended. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await this.#tasks?.drain();
    if (this.#inFlight === 0) return;
    const idle = createDeferred<void>();
    this.#onIdle = idle.resolve;
    await idle.promise;
  }

  /**
   * Begins nothing more (RP1). Resolves when running tasks were given back. Callers that waited for tasks have their
   * answers by then, so links can be cut. May be called more than once.
   */
  async close(): Promise<void> {
    this.#isDraining = true;
    // Tasks come first: an attempt that still waits for a slot is given back instead of failed.
    const given = this.#stopTasks();
    this.#watch.stop();
    for (const lane of this.#lanes) lane.close();
    await given;
  }

  /** Closes, runs the author's `stop()` and closes resources. Errors are logged, since no caller could handle them. */
  async stop(): Promise<void> {
    await this.close();
    const service = this.#service;
    this.#service = undefined;
    if (service === undefined || this.deps.descriptor.fake !== undefined) return;
    const { log, time } = this.deps;
    await within(time.clock, stopLimitMs, this.#runStop(service), () => {
      log.warn({ stopLimitMs }, "stop() timed out");
    });
  }

  /** A service whose resources could not all be opened has not begun its `start()` (VR1). */
  async #runStop(service: ServiceHooks): Promise<void> {
    const { log } = this.deps;
    const resources = this.#resources;
    try {
      if (resources?.areOpen !== false) await service.stop();
    } catch (error) {
      settlePromises(error);
      log.error({ err: error }, "stop() threw");
    }
    await resources?.close((err, resource) => {
      settlePromises(err);
      log.error({ err, resource }, "a resource could not be closed");
    });
  }

  /** Counts a call in. Pair with `endCall()`. */
  beginCall(): void {
    this.#inFlight++;
  }

  endCall(): void {
    if (--this.#inFlight === 0) this.#onIdle?.();
  }

  /**
   * Replaces each task api by those that callers reach: one that waits for the result of a new task, and one for each
   * operation.
   */
  async #openTasks(signal: AbortSignal): Promise<void> {
    const { id, index, descriptor, settings, stats, time, log, tasks } = this.deps;
    const own = [...descriptor.apis.values()].filter(({ kind }) => kind === "task");
    if (own.length === 0) return;
    if (tasks === undefined) unreachable(`${id} has tasks and no store`);
    const host: TaskHost = { id, service: descriptor.name, index, log, time, stats };
    const { ReplicaTasks, checkStored, digestContract } = await import("./tasks/replica-tasks.js");
    const running = new ReplicaTasks(host, await tasks.openStore(signal), tasks);
    for (const { name, contract } of own) {
      const api = this.apis.get(name) as ReplicaApi;
      const schedule = descriptor.fake === undefined ? readSchedule(contract) : undefined;
      const stored = { ...api, target: { ...api.target, checkInput: checkStored(api.target.checkInput) } };
      const reached = running.add({
        name,
        ...(schedule !== undefined && { schedule, scheduleInput: contract.scheduleInput }),
        settings: settings.apis.get(name) as ApiSettings,
        checkInput: api.target.checkInput,
        contract: digestContract(contract, settings.version),
        countFreeSlots: () => api.lane.freeSlots,
        serve: (scope, input, reply) => serveInside({ replica: this, scope, input, reply, api: stored }),
      });
      for (const [label, operation] of reached) {
        this.apis.set(label, operation);
        this.#lanes.push(operation.lane);
      }
    }
    this.#tasks = running;
  }

  /** Gives running tasks back, before the author's `stop()` releases what they use. */
  async #stopTasks(): Promise<void> {
    const { log, time } = this.deps;
    await within(time.clock, tasksLimitMs, this.#tasks?.stop() ?? Promise.resolve(), () => {
      log.warn(
        { tasksLimitMs },
        "running tasks could not be given back in time; they start again when their leases expire",
      );
    });
  }

  #construct(): object {
    const { descriptor, bindHandle } = this.deps;
    if (descriptor.fake !== undefined) return {};
    return constructIn({ depends: bindHandle }, () => new descriptor.service());
  }

  #createApi(api: ApiDescriptor, instance: object): ReplicaApi {
    const { descriptor, settings, stats, time } = this.deps;
    const definition =
      descriptor.fake === undefined
        ? readApi((instance as Record<string, unknown>)[api.name])
        : { kind: api.kind, contract: api.contract, run: fakeRun(descriptor, api) };
    if (definition === undefined) throw new TypeError(`field ${api.name} is not an api in this instance`);
    nameRun(definition, `${descriptor.name}.${api.name}`);
    const laneStats = stats.lane(descriptor.name, api.name);
    const bounds = settings.apis.get(api.name) as ApiSettings;
    const target = createTarget(definition, instance);
    const batcher = this.#createBatcher(api.name, target, bounds);
    const isPatient = api.kind === "task";
    const lane = new Lane({ bounds, stats: laneStats, time, isPatient, watch: this.#watch });
    this.#lanes.push(lane);
    return { target, lane, stats: laneStats, batcher, serve: batcher === undefined ? undefined : serveRows };
  }

  /** A fake is called without the interceptors of the class that it replaces: they belong to its code. */
  #composeChain({ name: api, kind }: ApiDescriptor, instance: object): InterceptorChain | undefined {
    const { name: service, options, fake } = this.deps.descriptor;
    const own = fake === undefined ? listInterceptors(options, instance) : [];
    return composeInterceptors(own, { service, api, kind });
  }

  get #hasCache(): boolean {
    return [...this.deps.settings.apis.values()].some(({ cache }) => cache !== undefined);
  }

  #bindCache(
    { name, contract }: ApiDescriptor,
    instance: object,
    create: typeof createCache | undefined,
  ): ApiLayers["createCache"] {
    const own = readApi((instance as Record<string, unknown>)[name])?.contract ?? contract;
    const settings = this.deps.settings.apis.get(name) as ApiSettings;
    if (create === undefined || settings.cache === undefined) return undefined;
    return (begin) => {
      const { descriptor, stats, time, log } = this.deps;
      const place = { service: descriptor.name, api: name, settings, key: own.cache?.key };
      const cache = create({ ...place, stats: stats.cache(descriptor.name, name), time, log, begin });
      this.#lanes.push(cache);
      return cache;
    };
  }

  #createBatcher(api: string, target: ApiTarget, { batch, maxQueued, idempotent }: ApiSettings): Batcher | undefined {
    if (target.rows === undefined || batch === undefined) return undefined;
    const { descriptor, stats, time } = this.deps;
    const figures = stats.batch(descriptor.name, api);
    const shared = { target, layout: target.rows, idempotent, time };
    const batcher = new Batcher({
      name: `${descriptor.name}.${api}`,
      watch: this.#watch,
      settings: batch,
      maxQueued,
      stats: stats.lane(descriptor.name, api),
      clock: time.clock,
      turns: time.turns,
      run: (joined, ended) => {
        figures.record(joined.rows, joined.pieces.length, joined.reason);
        runBatch(shared, joined, ended);
      },
    });
    this.#watch.add(batcher);
    this.#lanes.push(batcher);
    return batcher;
  }

  async #runHook(hook: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      // Authors may throw a promise by mistake, when they mean its rejection.
      settlePromises(error);
      if (error instanceof ServingError && error.service !== "") throw error;
      const service = this.deps.descriptor.name;
      throw fail("start_failed", { hook, error: messageWithCauses(error) }, { service, cause: error });
    }
  }
}

function fakeRun(descriptor: ServiceDescriptor, api: ApiDescriptor) {
  return (input: unknown): unknown => {
    const run = descriptor.fake?.[api.name];
    if (run === undefined) throw fail("not_replaced", { service: descriptor.name, api: api.name });
    return run(input);
  };
}
