import { createHash } from "node:crypto";
import type { Timer } from "../../base/clock.js";
import type { ApiTarget } from "../../call/invoke.js";
import { operationApi, type TaskOperation, taskOperations, waitsForEnd } from "../../call/task-state.js";
import { type Contract, shapeJsonSchema } from "../../define/contract.js";
import { fail, type Issue } from "../../failure/failures.js";
import { ServingError } from "../../failure/serving-error.js";
import type { TaskStats } from "../../observe/call-stats.js";
import type { ApiSettings } from "../../options/settings.js";
import type { EndedLives } from "../../tasks/lease-grace.js";
import type { StoreCensus } from "../../tasks/store-census.js";
import type { TaskNews, TaskStore } from "../../tasks/task-store.js";
import { storedVersion } from "../../transport/stored-value.js";
import type { ReplicaApi } from "../call-host.js";
import { Lane } from "../lane.js";
import { TaskApis, TaskWaits } from "./task-apis.js";
import type { HostedTask, TaskHost } from "./task-attempt.js";
import { TaskRunner } from "./task-runner.js";
import { TaskSchedule } from "./task-schedule.js";

// Durable tasks of one replica: the operations on tasks, and the tasks that it runs.
//
// RT1  There is one `watch` of the store, from `begin` to `stop`. Nothing here or below depends on the engine of the
//      store.
// RT2  Only the replica with index 0 of a service counts waiting tasks and deletes expired ones.

/** Parts that a replica with durable tasks is given by its runtime. */
export interface TaskDeps {
  /**
   * Opens the store, once a process, and waits for one that is out of reach.
   *
   * @throws {ServingError} `task_store_unavailable`.
   */
  readonly openStore: (signal: AbortSignal) => Promise<TaskStore>;
  /** Namespace of the app's tasks in the store. */
  readonly namespace: string;
  /** Life of the thread or process: unique, and named by its leases. */
  readonly life: string;
  /** Returns true when the app has a task of this name. */
  readonly isOwn: (service: string, api: string) => boolean;
  /** Looks over the store while tasks run. Set in one replica of the app. */
  readonly census: StoreCensus | undefined;
  /** Other lives that are known to have ended: their tasks are begun again at once. */
  readonly endedLives: EndedLives;
  /** Milliseconds after which a lease that was not renewed runs out. */
  readonly leaseMs: number;
  /** Headers of a request that are stored with a task, in lower case. */
  readonly keepHeaders: readonly string[];
  /** Paths of the fields of a context that name the requester, for keys; empty for the whole context. */
  readonly keyScope: readonly string[];
  /** Milliseconds for which a task that has ended is kept. */
  readonly retentionMs: number;
  /** True when this program submits the tasks of schedules. */
  readonly schedules: boolean;
  /** Returns true when a process of this machine is alive. */
  readonly isAlive: (pid: number) => boolean;
}

/** Settings of how tasks are run and kept. */
type TaskBounds = Omit<TaskDeps, "openStore">;

/** Bounds of operations that only read or write a row. */
const quickBounds = { maxConcurrent: 64, maxQueued: 1024 };
/** Age up to which a count of waiting tasks is used again. */
const countAgeMs = 900;
/** Time between two deletions of expired tasks. The first is a minute after the start. */
const purgeIntervalMs = 10 * 60_000;
const firstPurgeMs = 60_000;

/** Durable tasks of one replica. Loaded only by a replica that has some. */
export class ReplicaTasks {
  readonly #host: TaskHost;
  readonly #store: TaskStore;
  readonly #bounds: TaskBounds;
  readonly #waits = new TaskWaits();
  readonly #runners = new Map<string, TaskRunner>();
  readonly #schedules: TaskSchedule[] = [];
  /** Statistics of the process that read their number of waiting tasks here. */
  readonly #figures: { readonly stats: TaskStats; readonly read: () => number }[] = [];
  #endWatch: (() => void) | undefined;
  #purgeTimer: Timer | undefined;
  #isDraining = false;
  #waiting: ReadonlyMap<string, number> = new Map();
  #countedAt = Number.NEGATIVE_INFINITY;
  #isCounting = false;

  constructor(host: TaskHost, store: TaskStore, bounds: TaskBounds) {
    this.#host = host;
    this.#store = store;
    this.#bounds = bounds;
  }

  /** Callers that wait here for tasks, wherever those run. They are no load. */
  get waiters(): number {
    return this.#waits.size;
  }

  /**
   * Prepares a task api.
   *
   * @returns The apis that callers reach: the task itself, which waits for its result, and its operations.
   */
  add(task: HostedTask): ReadonlyMap<string, ReplicaApi> {
    const { name, settings, checkInput, contract, schedule, scheduleInput: input } = task;
    const { service, index } = this.#host;
    const stats = this.#host.stats.task(service, name);
    const { leaseMs, namespace, life } = this.#bounds;
    this.#runners.set(
      name,
      new TaskRunner({
        host: this.#host,
        task,
        store: this.#store,
        namespace,
        life,
        leaseMs,
        stats,
      }),
    );
    if (schedule !== undefined && this.#bounds.schedules) {
      const place = { namespace, service, api: name };
      const [host, store] = [this.#host, this.#store];
      this.#schedules.push(new TaskSchedule({ host, place, contract, schedule, input, store, stats }));
    }
    if (index === 0) {
      const read = () => this.#readWaiting(name);
      stats.readWaiting = read;
      this.#figures.push({ stats, read });
    }
    const apis = new TaskApis({
      namespace,
      service,
      name,
      store: this.#store,
      waits: this.#waits,
      stats,
      isOwn: this.#bounds.isOwn,
      keepHeaders: this.#bounds.keepHeaders,
      keyScope: this.#bounds.keyScope,
      checkInput,
      contract,
      isOver: (id) => this.#isDraining && ![...this.#runners.values()].some((runner) => runner.has(id)),
    });
    return this.#createApis(name, apis, settings);
  }

  /** Starts to run tasks. */
  begin(): void {
    const endWatch = this.#store.watch((news) => this.#hear(news));
    const endLives = this.#bounds.endedLives.watch((life) => this.#takeOver(life));
    this.#endWatch = () => {
      endWatch();
      endLives();
    };
    for (const runner of this.#runners.values()) runner.wake();
    for (const schedule of this.#schedules) schedule.start();
    this.#bounds.census?.start(this.#store);
    if (this.#host.index === 0) this.#purgeIn(firstPurgeMs);
  }

  /**
   * Claims no more tasks. Resolves when running attempts have ended. Refuses callers that wait for tasks that run
   * elsewhere.
   */
  async drain(): Promise<void> {
    this.#isDraining = true;
    const drained = [...this.#runners.values()].map((runner) => runner.drain());
    this.#waits.tell();
    await Promise.all([...drained, this.#stopSchedules()]);
    this.#waits.tell();
  }

  /** Gives running tasks back to the store. */
  async stop(): Promise<void> {
    this.#isDraining = true;
    this.#purgeTimer?.clear();
    // The next replica of this index may have set its own function already.
    for (const { stats, read } of this.#figures) if (stats.readWaiting === read) stats.readWaiting = undefined;
    await Promise.all([...[...this.#runners.values()].map((runner) => runner.stop()), this.#stopSchedules()]);
    await this.#bounds.census?.stop(this.#store);
    this.#endWatch?.();
    this.#waits.tell();
  }

  /**
   * Tasks of the service that wait and could run now, as last counted. `undefined` in all replicas but that of index 0.
   */
  get waitingTasks(): number | undefined {
    if (this.#host.index !== 0) return undefined;
    this.#count();
    return [...this.#waiting.values()].reduce((sum, count) => sum + count, 0);
  }

  async #stopSchedules(): Promise<void> {
    await Promise.all(this.#schedules.map((schedule) => schedule.stop()));
  }

  #readWaiting(name: string): number {
    this.#count();
    return this.#waiting.get(name) ?? 0;
  }

  /** Counts in the background, for the next reader: a reader must not wait for a store that may be out of reach. */
  #count(): void {
    const { time, service } = this.#host;
    const now = time.clock.now();
    if (now < this.#countedAt + countAgeMs || this.#isCounting || this.#isDraining) return;
    this.#countedAt = now;
    this.#isCounting = true;
    this.#store
      .countWaiting({ namespace: this.#bounds.namespace, service })
      .then(
        (waiting) => {
          this.#waiting = waiting;
        },
        () => {},
      )
      .finally(() => {
        this.#isCounting = false;
      });
  }

  /** Takes over the tasks of a thread or process that has ended, without a wait for their leases. */
  #takeOver(life: string): void {
    if (this.#isDraining) return;
    for (const runner of this.#runners.values()) runner.takeOver(life);
  }

  #hear({ id, namespace, service, api }: TaskNews): void {
    if (namespace !== undefined && namespace !== this.#bounds.namespace) return;
    if (service !== undefined && service !== this.#host.service) return;
    this.#waits.tell(id);
    for (const [name, runner] of this.#runners) {
      if (api !== undefined && api !== name) continue;
      runner.look(id);
      runner.wake();
    }
  }

  #purgeIn(waitMs: number): void {
    const { time, log } = this.#host;
    this.#purgeTimer = time.clock.setTimer(() => {
      this.#store.purge(this.#bounds.retentionMs).then(
        (count) => {
          if (count > 0) log.info({ count }, "expired tasks deleted");
        },
        (error: unknown) => log.warn({ err: error }, "expired tasks could not be deleted; trying again later"),
      );
      if (!this.#isDraining) this.#purgeIn(purgeIntervalMs);
    }, waitMs);
  }

  #createApis(name: string, apis: TaskApis, { maxQueued }: ApiSettings): ReadonlyMap<string, ReplicaApi> {
    const { service, stats: all, time } = this.#host;
    // Callers that wait for a task use a lane of their own, with a slot for each.
    const waitBounds = { maxConcurrent: Math.max(1, maxQueued), maxQueued: 0 };
    const create = (operation: TaskOperation | "call"): ReplicaApi => {
      const stats = all.lane(service, `${name}:${operation}`);
      const target: ApiTarget = {
        kind: operation === "watch" ? "stream" : "unary",
        // Inputs are made by handles. Each operation checks its own.
        run: (input) => apis[operation](input as never),
        checkInput: keep,
        checkOutput: keep,
        itemSchema: undefined,
      };
      const bounds = waitsForEnd(operation) ? waitBounds : quickBounds;
      const lane = new Lane({ bounds, stats, time });
      return { target, lane, stats, batcher: undefined };
    };
    const operations = taskOperations.map((operation) => [operationApi(name, operation), create(operation)] as const);
    return new Map([[name, create("call")], ...operations]);
  }
}

const keep = (value: unknown) => value;

/**
 * Returns a text that differs for versions of an app that may differ in the inputs which they take for a task: by its
 * schema, by the version of the service, or by the format of stored values.
 */
export function digestContract({ input }: Contract, version = ""): string {
  const known = JSON.stringify([storedVersion, version, shapeJsonSchema(input, "input")]);
  return createHash("sha256").update(known).digest("base64url").slice(0, 22);
}

/** Wraps the check of an input, for inputs that were stored: one that does not fit fails with `task_input_refused`. */
export function checkStored(check: ApiTarget["checkInput"]): ApiTarget["checkInput"] {
  const refuse = (error: unknown): never => {
    if (!(error instanceof ServingError) || error.id !== "invalid_input") throw error;
    throw fail("task_input_refused", error.details as { issues: readonly Issue[] });
  };
  return (value) => {
    try {
      const checked = check(value);
      return checked instanceof Promise ? checked.catch(refuse) : checked;
    } catch (error) {
      return refuse(error);
    }
  };
}
