import type { Timer } from "../../base/clock.js";
import type { ApiTarget } from "../../call/invoke.js";
import { operationApi, type TaskOperation, taskOperations, waitsForEnd } from "../../call/task-state.js";
import type { TaskStats } from "../../observe/call-stats.js";
import type { ApiSettings } from "../../options/settings.js";
import type { TaskNews, TaskStore } from "../../tasks/task-store.js";
import { Lane } from "../lane.js";
import type { Replica, ReplicaApi, RunningTasks, TaskDeps } from "../replica.js";
import { TaskApis, TaskWaits } from "./task-apis.js";
import { TaskRunner } from "./task-runner.js";

// The durable tasks of one replica: its operations on them, and those it runs.
//
// V1  The store is told apart from its engine here and below: one `watch`, from `begin` to `stop`.
// V2  Of a service, the replica with index 0 alone counts the tasks that wait, and forgets old ones.

/** How tasks are run and kept. */
type TaskBounds = Omit<TaskDeps, "openStore">;

/** One task api of the service: what runs it, and its bounds. */
interface TaskEntry {
  readonly name: string;
  /** Where attempts run. */
  readonly api: ReplicaApi;
  readonly settings: ApiSettings;
}

/** Operations that only read or write a row. */
const quickBounds = { maxConcurrent: 64, maxQueued: 1024 };
/** How old the count of waiting tasks may be. */
const countAgeMs = 900;
/** How often old tasks are looked for, at least a minute after the start. */
const purgeIntervalMs = 10 * 60_000;
const firstPurgeMs = 60_000;

export class ReplicaTasks implements RunningTasks {
  readonly #replica: Replica;
  readonly #store: TaskStore;
  readonly #bounds: TaskBounds;
  readonly #waits = new TaskWaits();
  readonly #runners = new Map<string, TaskRunner>();
  /** Figures of its process that are read here. */
  readonly #figures: { readonly stats: TaskStats; readonly read: () => number }[] = [];
  #endWatch: (() => void) | undefined;
  #purgeTimer: Timer | undefined;
  #isDraining = false;
  #waiting: ReadonlyMap<string, number> = new Map();
  #countedAt = Number.NEGATIVE_INFINITY;
  #isCounting = false;

  constructor(replica: Replica, store: TaskStore, bounds: TaskBounds) {
    this.#replica = replica;
    this.#store = store;
    this.#bounds = bounds;
  }

  get waiters(): number {
    return this.#waits.size;
  }

  /** Prepares a task api. @returns The apis that callers reach: the task itself, which waits for its result, and its operations. */
  add({ name, api, settings }: TaskEntry): ReadonlyMap<string, ReplicaApi> {
    const { deps: parts } = this.#replica;
    const service = parts.descriptor.name;
    const stats = parts.stats.task(service, name);
    const { leaseMs, namespace, life } = this.#bounds;
    this.#runners.set(
      name,
      new TaskRunner({
        replica: this.#replica,
        name,
        api,
        settings,
        store: this.#store,
        namespace,
        life,
        leaseMs,
        stats,
      }),
    );
    if (parts.index === 0) {
      const read = () => this.#readWaiting(name);
      stats.readWaiting = read;
      this.#figures.push({ stats, read });
    }
    const apis = new TaskApis({
      ...{ namespace, service, name, store: this.#store, waits: this.#waits, stats },
      isOwn: this.#bounds.isOwn,
      checkInput: api.target.checkInput,
      isOver: (id) => this.#isDraining && ![...this.#runners.values()].some((runner) => runner.has(id)),
    });
    return this.#createApis(name, apis, settings);
  }

  /** Begins to run tasks. */
  begin(): void {
    const endWatch = this.#store.watch((news) => this.#hear(news));
    const endLives = this.#bounds.endedLives.watch((life) => this.#takeOver(life));
    this.#endWatch = () => {
      endWatch();
      endLives();
    };
    for (const runner of this.#runners.values()) runner.wake();
    this.#bounds.census?.start(this.#store);
    if (this.#replica.deps.index === 0) this.#purgeIn(firstPurgeMs);
  }

  /** Claims nothing more; resolves when what runs here has ended. Callers that wait for tasks elsewhere are sent on. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    const drained = [...this.#runners.values()].map((runner) => runner.drain());
    this.#waits.tell();
    await Promise.all(drained);
    this.#waits.tell();
  }

  /** Gives back what still runs. */
  async stop(): Promise<void> {
    this.#isDraining = true;
    this.#purgeTimer?.clear();
    // The next replica of this place may already have taken its own reading.
    for (const { stats, read } of this.#figures) if (stats.readWaiting === read) stats.readWaiting = undefined;
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop()));
    await this.#bounds.census?.stop(this.#store);
    this.#endWatch?.();
    this.#waits.tell();
  }

  get waitingTasks(): number | undefined {
    if (this.#replica.deps.index !== 0) return undefined;
    this.#count();
    return [...this.#waiting.values()].reduce((sum, count) => sum + count, 0);
  }

  #readWaiting(name: string): number {
    this.#count();
    return this.#waiting.get(name) ?? 0;
  }

  /** Brings a new count for whoever asks next: nobody waits for a store that may be out of reach. */
  #count(): void {
    const { time, descriptor } = this.#replica.deps;
    const now = time.clock.now();
    if (now < this.#countedAt + countAgeMs || this.#isCounting || this.#isDraining) return;
    this.#countedAt = now;
    this.#isCounting = true;
    this.#store
      .countWaiting({ namespace: this.#bounds.namespace, service: descriptor.name })
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

  /** A thread or process of the app has ended: what it ran waits for its lease no longer. */
  #takeOver(life: string): void {
    if (this.#isDraining) return;
    for (const runner of this.#runners.values()) runner.takeOver(life);
  }

  #hear({ id, namespace, service, api }: TaskNews): void {
    if (namespace !== undefined && namespace !== this.#bounds.namespace) return;
    if (service !== undefined && service !== this.#replica.deps.descriptor.name) return;
    this.#waits.tell(id);
    for (const [name, runner] of this.#runners) {
      if (api !== undefined && api !== name) continue;
      runner.look(id);
      runner.wake();
    }
  }

  #purgeIn(waitMs: number): void {
    const { time, log } = this.#replica.deps;
    this.#purgeTimer = time.clock.setTimer(() => {
      this.#store.purge(this.#bounds.retentionMs).then(
        (count) => {
          if (count > 0) log.info({ count }, "old tasks were forgotten");
        },
        (error: unknown) => log.warn({ err: error }, "old tasks could not be forgotten; it is tried again later"),
      );
      if (!this.#isDraining) this.#purgeIn(purgeIntervalMs);
    }, waitMs);
  }

  #createApis(name: string, apis: TaskApis, { maxQueued }: ApiSettings): ReadonlyMap<string, ReplicaApi> {
    const { deps: parts } = this.#replica;
    // Whoever waits for a task takes no more than its place among those that wait.
    const waitBounds = { maxConcurrent: Math.max(1, maxQueued), maxQueued: 0 };
    const create = (operation: TaskOperation | "call"): ReplicaApi => {
      const stats = parts.stats.lane(parts.descriptor.name, `${name}:${operation}`);
      const target: ApiTarget = {
        kind: operation === "watch" ? "stream" : "unary",
        // What comes is what a handle has made; each operation looks at it itself.
        run: (input) => apis[operation](input as never),
        checkInput: keep,
        checkOutput: keep,
        itemSchema: undefined,
      };
      const bounds = waitsForEnd(operation) ? waitBounds : quickBounds;
      const lane = new Lane({ bounds, stats, time: parts.time });
      return { target, lane, stats, batcher: undefined };
    };
    const operations = taskOperations.map((operation) => [operationApi(name, operation), create(operation)] as const);
    return new Map([[name, create("call")], ...operations]);
  }
}

const keep = (value: unknown) => value;
