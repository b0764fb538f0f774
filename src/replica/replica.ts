import { createDeferred, within } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { CallTime } from "../call/call-scope.js";
import type { ApiTarget } from "../call/invoke.js";
import { settlePromises } from "../call/value-walk.js";
import { createTarget, nameRun, readApi } from "../define/api.js";
import { constructIn, type EdgeOptions, type ServiceClass } from "../define/depends.js";
import type { ApiDescriptor, ServiceDescriptor } from "../define/descriptor.js";
import type { GrantedResources, ServiceHooks } from "../define/service.js";
import { fail } from "../failure/failures.js";
import { ServingError, unreachable } from "../failure/serving-error.js";
import { messageWithCauses } from "../failure/to-serving-error.js";
import type { CallStats } from "../observe/call-stats.js";
import type { ApiSettings, ServiceSettings } from "../options/settings.js";
import { runBatch } from "./batch/batch-run.js";
import { Batcher } from "./batch/batcher.js";
import type { CallHost, ReplicaApi } from "./call-host.js";
import { Lane } from "./lane.js";
import { LaneWatch } from "./lane-watch.js";
import { serveAttempt } from "./serve-call.js";
import type { ReplicaTasks, TaskDeps } from "./tasks/replica-tasks.js";
import type { TaskHost } from "./tasks/task-attempt.js";

// One running instance of a service.
//
// R1  No call begins before `start` has resolved or after `close` was called: what waits then never runs.
// R2  `stop()` of the author runs once, after the last call has ended or was cut off, also when `start()` failed half-way.
// R3  What has ended leaves nothing in the figures of its process, which may live on.

/** How long the author's `ready()` and `stop()` are waited for. */
const readyLimitMs = 2_000;
const stopLimitMs = 10_000;
/** How long the store may take to take running tasks back. */
const tasksLimitMs = 1_500;

/** What a replica is made of; the same in every placement. */
export interface ReplicaDeps {
  /** `"Model#0"`. */
  readonly id: string;
  readonly index: number;
  readonly descriptor: ServiceDescriptor;
  readonly settings: ServiceSettings;
  readonly resources: GrantedResources;
  /** Gives the handle of a dependency. */
  readonly bindHandle: (target: ServiceClass, edge: EdgeOptions) => object;
  /** Checks also values that never left the process. */
  readonly checksInside: boolean;
  readonly stats: CallStats;
  readonly time: CallTime;
  readonly log: Logger;
  /** How durable tasks are kept; asked for only by a service that has some. */
  readonly tasks?: TaskDeps;
}

/** Runs one service, from the author's constructor to the author's `stop()`. */
export class Replica implements CallHost {
  readonly deps: ReplicaDeps;
  readonly apis = new Map<string, ReplicaApi>();
  readonly #watch: LaneWatch;
  /** Of all its apis, those of tasks and of their operations included. */
  readonly #places: (Lane | Batcher)[] = [];
  #tasks: ReplicaTasks | undefined;
  #service: ServiceHooks | undefined;
  #isDraining = false;
  #inFlight = 0;
  #onIdle: (() => void) | undefined;

  constructor(deps: ReplicaDeps) {
    this.deps = deps;
    this.#watch = new LaneWatch(deps.time.clock, deps.log);
  }

  /** Calls that have begun and not ended, waiting ones included. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Of each api that answers less than is asked of it, why, in words; see `LaneWatch.readStrains`. */
  readStrains(): string[] {
    return this.#watch.readStrains();
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Durable tasks, where the service has some. */
  get tasks(): ReplicaTasks | undefined {
    return this.#tasks;
  }

  /**
   * Constructs the service, binds its handles and runs its `start()`.
   *
   * @throws {ServingError} `start_failed` naming the hook, or `start_timeout`; an author's own `ServingError` as it is; the
   *   reason of `signal`.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { descriptor } = this.deps;
    await this.#runHook("constructor", async () => {
      const instance = this.#construct();
      this.#service = instance as ServiceHooks;
      for (const api of descriptor.apis.values()) this.apis.set(api.name, this.#createApi(api, instance));
    });
    await this.#openTasks(signal);
    if (descriptor.fake === undefined) await this.#runStart(signal);
    // Stopped meanwhile, in a thread or process that goes on.
    signal.throwIfAborted();
    this.#tasks?.begin();
  }

  async #runStart(signal: AbortSignal): Promise<void> {
    const { descriptor, id, index, resources, log } = this.deps;
    const started = this.#runHook("start", async () =>
      this.#service?.start({ resources, replica: { index, id }, log, signal }),
    );
    const { startTimeoutMs } = this.deps.settings;
    await within(this.deps.time.clock, startTimeoutMs, started, () => {
      throw fail("start_timeout", { startTimeoutMs }, { service: descriptor.name });
    });
  }

  /** The author's `ready()`; a hook that throws means no. */
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

  /** Takes no new call; resolves when the last one has ended. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await this.#tasks?.drain();
    if (this.#inFlight === 0) return;
    const idle = createDeferred<void>();
    this.#onIdle = idle.resolve;
    await idle.promise;
  }

  /**
   * From now on nothing begins here (R1). Resolves when running tasks were given back; whoever waited for them is answered by
   * then, and callers can be cut off. May be called more than once.
   */
  async close(): Promise<void> {
    this.#isDraining = true;
    // First: an attempt that still waits for its place is given back, and has not failed.
    const given = this.#stopTasks();
    this.#watch.stop();
    for (const places of this.#places) places.close();
    await given;
  }

  /** Closes, and runs the author's `stop()`; an error in it is logged, since nothing can be done about it any more. */
  async stop(): Promise<void> {
    await this.close();
    const service = this.#service;
    this.#service = undefined;
    if (service === undefined || this.deps.descriptor.fake !== undefined) return;
    try {
      const { log, time } = this.deps;
      await within(time.clock, stopLimitMs, Promise.resolve(service.stop()), () => {
        log.warn({ stopLimitMs }, "stop() did not finish in time and was left behind");
      });
    } catch (error) {
      settlePromises(error);
      this.deps.log.error({ err: error }, "stop() threw");
    }
  }

  /** Counts a call in. Pair with `endCall()`. */
  beginCall(): void {
    this.#inFlight++;
  }

  endCall(): void {
    if (--this.#inFlight === 0) this.#onIdle?.();
  }

  /** Each task of the service becomes what callers reach of it: an api that waits for its result, and one for each operation. */
  async #openTasks(signal: AbortSignal): Promise<void> {
    const { id, index, descriptor, settings, stats, time, log, tasks } = this.deps;
    const own = [...descriptor.apis.values()].filter(({ kind }) => kind === "task");
    if (own.length === 0) return;
    if (tasks === undefined) unreachable(`${id} has tasks and no store`);
    const host: TaskHost = { id, service: descriptor.name, index, log, time, stats };
    const { ReplicaTasks } = await import("./tasks/replica-tasks.js");
    const running = new ReplicaTasks(host, await tasks.openStore(signal), tasks);
    for (const { name } of own) {
      const api = this.apis.get(name) as ReplicaApi;
      const reached = running.add({
        name,
        settings: settings.apis.get(name) as ApiSettings,
        checkInput: api.target.checkInput,
        countFreeSlots: () => api.lane.free,
        serve: (scope, input, reply) => serveAttempt({ replica: this, scope, input, reply, api }),
      });
      for (const [label, operation] of reached) {
        this.apis.set(label, operation);
        this.#places.push(operation.lane);
      }
    }
    this.#tasks = running;
  }

  /** Gives running tasks back, before the author's `stop()` takes away what they use. */
  async #stopTasks(): Promise<void> {
    const { log, time } = this.deps;
    await within(time.clock, tasksLimitMs, this.#tasks?.stop() ?? Promise.resolve(), () => {
      log.warn(
        { tasksLimitMs },
        "running tasks could not be given back; they are begun again when their leases run out",
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
    const target = createTarget(definition);
    const batcher = this.#createBatcher(api.name, target, bounds);
    const isPatient = api.kind === "task";
    const lane = new Lane({ bounds, stats: laneStats, time, isPatient, watch: this.#watch });
    this.#places.push(lane);
    return { target, lane, stats: laneStats, batcher };
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
    this.#places.push(batcher);
    return batcher;
  }

  async #runHook(hook: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      // A promise may be thrown where its failure was meant.
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
