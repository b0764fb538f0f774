import os from "node:os";
import type { Logger } from "../base/logger.js";
import type { CallTime } from "../call/call-scope.js";
import { isEnded, isTaskId, type TaskState, toTaskState } from "../call/task-state.js";
import { fail } from "../failure/failures.js";
import { unreachable } from "../failure/serving-error.js";
import type { Graph } from "../graph/graph.js";
import type { FormerTask } from "../http/http-state.js";
import type { CallStats } from "../observe/call-stats.js";
import type { AppSettings, ServiceSettings } from "../options/settings.js";
import type { TaskDeps } from "../replica/tasks/replica-tasks.js";
import { EndedLives } from "../tasks/lease-grace.js";
import { formatStore, hasTaskStore, openTaskStore, type StoreWait } from "../tasks/open-store.js";
import { StoreCensus } from "../tasks/store-census.js";
import type { StoreRun, TaskPlace, TaskRecord, TaskStore } from "../tasks/task-store.js";
import { unpackValue } from "../transport/stored-value.js";
import { decodeError, encodeError } from "../transport/wire-error.js";

/** Longest time that a replica which starts waits for a store it can't reach. */
const storeWaitMs = 60_000;

/** Names one run of an app, with all its threads and processes, to other users of its task store. */
export type AppRun = Omit<StoreRun, "namespace" | "host">;

/** Constructor arguments of `AppTasks`. */
interface AppTasksDeps {
  readonly graph: Graph;
  readonly settings: AppSettings;
  /** Folder of the app's service file. A SQLite store lies beside it. */
  readonly appFolder: string;
  readonly log: Logger;
  readonly time: CallTime;
  readonly stats: CallStats;
  /** Unique to this thread or process. */
  readonly life: string;
  /** Lives of other threads and processes of the app that have ended. */
  readonly endedLives: readonly string[] | undefined;
  /** Default: a run that consists of this process alone. */
  readonly run: AppRun | undefined;
}

/**
 * Durable tasks of an app in one of its threads or processes: opens the task store once and watches its other users.
 */
export class AppTasks {
  readonly run: AppRun;
  readonly endedLives: EndedLives;
  readonly #deps: AppTasksDeps;
  /** Task apis of the whole graph. */
  readonly #own: readonly TaskPlace[];
  #store: Promise<TaskStore> | undefined;

  constructor(deps: AppTasksDeps) {
    const { life } = deps;
    this.#deps = deps;
    this.run = deps.run ?? { id: life, pid: process.pid, session: life };
    this.endedLives = new EndedLives(deps.endedLives);
    this.#own = listTasks(deps.graph, deps.settings.tasks.namespace);
  }

  /** Longest time that the start of a replica waits for the task store; 0 for a service without tasks. */
  storeLimitMsOf(service: string): number {
    return this.#own.some((own) => own.service === service) ? this.#storeWaitOf(service) : 0;
  }

  /** Access to tasks for one replica of this thread or process. */
  depsOf(service: string, index: number): TaskDeps {
    const { settings, life, time } = this.#deps;
    const { namespace, leaseMs, retentionMs, schedules, keepHeaders, keyScope } = settings.tasks;
    const isCounting = index === 0 && service === this.#own[0]?.service;
    return {
      namespace,
      leaseMs,
      retentionMs,
      schedules,
      keepHeaders,
      keyScope,
      life,
      isAlive,
      endedLives: this.endedLives,
      isOwn: (of, api) => this.#isOwn(of, api),
      census: isCounting ? this.#createCensus() : undefined,
      openStore: (signal) => this.#open({ limitMs: this.#storeWaitOf(service), signal, clock: time.clock }),
    };
  }

  /** Reports old tasks of an app that declares no tasks any more. Logs a store that it can't read. */
  async lookOver(): Promise<void> {
    const { settings, appFolder, log } = this.#deps;
    const place = { settings: settings.tasks, appFolder };
    if (this.#own.length > 0 || !hasTaskStore(place)) return;
    try {
      const store = await openTaskStore({ ...place, log });
      await this.#createCensus()
        .look(store)
        .finally(() => store.close());
    } catch (error) {
      log.debug({ err: error }, "task store of an app without tasks could not be read");
    }
  }

  /** Finds a task of an api that the app no longer has. @returns `undefined` for any other id. */
  async findFormer(id: string): Promise<FormerTask | undefined> {
    const { settings, appFolder } = this.#deps;
    if (!isTaskId(id) || !hasTaskStore({ settings: settings.tasks, appFolder })) return undefined;
    const store = await this.#open();
    const record = await store.get(id);
    if (record?.namespace !== settings.tasks.namespace || this.#isOwn(record.service, record.api)) return undefined;
    return createFormerTask(store, record);
  }

  /** Closes the store if it was opened. Call it when the last replica here has stopped. */
  async close(): Promise<void> {
    const opened = this.#store;
    this.#store = undefined;
    const store = await opened?.catch(() => undefined);
    if (store === undefined) return;
    await store.close();
    this.#deps.log.debug({}, "task store closed");
  }

  #storeWaitOf(service: string): number {
    const { startTimeoutMs } = this.#deps.settings.services.get(service) as ServiceSettings;
    return Math.min(startTimeoutMs, storeWaitMs);
  }

  #isOwn(service: string, api: string): boolean {
    return this.#own.some((own) => own.service === service && own.api === api);
  }

  #createCensus(): StoreCensus {
    const { settings, appFolder, log, time, stats } = this.#deps;
    return new StoreCensus({
      run: { ...this.run, namespace: settings.tasks.namespace, host: os.hostname() },
      own: this.#own,
      place: formatStore({ settings: settings.tasks, appFolder }),
      log,
      clock: time.clock,
      isAlive,
      lostFailure: encodeError(fail("task_lost", { attempts: 1 })),
      onOrphans: (orphans) => {
        stats.orphans = orphans.map(({ service, api, waiting, running, held }) => ({
          service,
          api,
          count: waiting + running + held,
        }));
      },
      onHeld: (held) => {
        stats.held = held.map(({ service, api, count }) => ({ service, api, count }));
      },
    });
  }

  /** Opens one store for all replicas here. The next replica tries again when that fails. */
  #open(wait?: StoreWait): Promise<TaskStore> {
    const { settings, appFolder, log } = this.#deps;
    const place = { settings: settings.tasks, appFolder, log };
    this.#store ??= openTaskStore(place, wait).then(
      (store) => {
        log.debug({ store: formatStore(place) }, "task store opened");
        return store;
      },
      (error: unknown) => {
        this.#store = undefined;
        throw error;
      },
    );
    return this.#store;
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
    // EPERM: the process exists and belongs to another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Everything that may be done with a task whose api is gone: read its state, read its result, cancel it. */
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
