import type { Priority } from "../../call/call.js";
import type { CallScope } from "../../call/call-scope.js";
import { type ApiTarget, currentScope } from "../../call/invoke.js";
import {
  isEnded,
  isTaskId,
  type SubmittedTask,
  type TaskQuery,
  type TaskState,
  type TaskSubmission,
  toTaskState,
} from "../../call/task-state.js";
import { fail } from "../../failure/failures.js";
import { type ServingError, unreachable } from "../../failure/serving-error.js";
import { toServingError } from "../../failure/to-serving-error.js";
import type { TaskStats } from "../../observe/call-stats.js";
import type { TaskRecord, TaskResult, TaskStore } from "../../tasks/task-store.js";
import { fingerprintValue, packValue, unpackValue } from "../../transport/stored-value.js";
import { encodeError } from "../../transport/wire-error.js";
import { scopeOfKeys } from "./scope-of-keys.js";
import { formatTaskContext, readTaskFailure } from "./task-attempt.js";

/** Priorities of tasks. Tasks submitted by background calls are claimed when no others wait. */
const ranks: Readonly<Record<Priority, number>> = { interactive: 1, background: 0 };

/** Parts that the operations of one task api need. */
interface TaskApiDeps {
  readonly namespace: string;
  readonly service: string;
  readonly name: string;
  /** Returns true when the app has a task of this name. An api that was removed may have left tasks behind. */
  readonly isOwn: (service: string, api: string) => boolean;
  /** Headers of a request that are stored with a task, in lower case. */
  readonly keepHeaders: readonly string[];
  /** Paths of the fields of a context that name the requester, for keys; empty for the whole context. */
  readonly keyScope: readonly string[];
  readonly checkInput: ApiTarget["checkInput"];
  /** Digest of the contract of the task. */
  readonly contract: string;
  readonly store: TaskStore;
  readonly waits: TaskWaits;
  readonly stats: TaskStats;
  /**
   * Returns true when the end of the task can't be observed here: the replica drains, and the task does not run in it.
   */
  readonly isOver: (id: string) => boolean;
}

/**
 * Operations on the tasks of one api. They are ordinary calls, answered from the store by any replica of the service.
 *
 * A submitted input is checked here, so that invalid input is refused. It is stored as it arrived. When the task runs,
 * the input is checked again, and the author's function gets what its schema makes of it.
 */
export class TaskApis {
  readonly #deps: TaskApiDeps;

  constructor(deps: TaskApiDeps) {
    this.#deps = deps;
  }

  async call(submission: TaskSubmission): Promise<unknown> {
    const { id } = await this.submit(submission);
    return this.result({ id, waits: true });
  }

  async submit({ id, input, key: text, delayMs }: TaskSubmission): Promise<SubmittedTask> {
    const { namespace, service, name, contract, store, stats, checkInput, keepHeaders, keyScope } = this.#deps;
    const { call } = scopeOf();
    this.#checkId(id);
    // Packed before the check: a schema may change the value, and the original is stored.
    const packed = this.#placed(async () => {
      checkKey(text);
      checkDelay(delayMs);
      return packValue(input, "input");
    });
    packed.catch(() => {});
    await this.#placed(async () => checkInput(input));
    const bytes = await packed;
    const context = formatTaskContext(call, keepHeaders);
    const scope = scopeOfKeys(call.request.appContext, keyScope);
    const key = text === undefined ? undefined : { text, scope, fingerprint: fingerprintValue(bytes) };
    const own = { input: bytes, contract, context, priority: ranks[call.priority], key, delayMs };
    const record = await this.#placed(() => store.submit({ id, namespace, service, api: name, ...own }));
    if (record.id === id) stats.submitted++;
    return { id: record.id, status: record.status };
  }

  async status({ id }: TaskQuery): Promise<TaskState> {
    return this.#describe(await this.#read(id));
  }

  async result({ id, waits }: TaskQuery): Promise<unknown> {
    const record = waits === true ? await this.#waitForEnd(id) : await this.#read(id);
    if (!isEnded(record)) {
      this.#refuseStuck(record);
      throw this.#fail("task_not_finished", { taskId: id, status: record.status });
    }
    const result = await this.#placed(() => this.#deps.store.result(id));
    if (result === undefined) throw this.#unknown(id);
    return this.#placed(async () => readResult(result));
  }

  async cancel({ id }: TaskQuery): Promise<TaskState> {
    const { service, name, store } = this.#deps;
    await this.#read(id);
    const failure = encodeError(fail("task_canceled", { taskId: id }, { service, api: name }));
    const record = await this.#placed(() => store.cancel(id, failure));
    if (record === undefined) throw this.#unknown(id);
    return this.#describe(record);
  }

  async retry({ id, newId }: TaskQuery): Promise<SubmittedTask> {
    this.#checkId(newId);
    const old = await this.#read(id);
    this.#refuseGone(old);
    const { status, isHeld } = old;
    if (isHeld && (await this.#placed(() => this.#deps.store.resume({ id }))) > 0) return { id, status };
    const record = await this.#placed(() => this.#deps.store.retry(id, newId as string));
    if (record === undefined) throw this.#unknown(id);
    if (record.id === id) throw this.#fail("task_not_finished", { taskId: id, status });
    this.#deps.stats.submitted++;
    return { id: record.id, status: record.status };
  }

  /**
   * Yields the state of a task each time it changes, until the task has ended. A slow reader misses states in between.
   */
  async *watch({ id }: TaskQuery): AsyncGenerator<TaskState, void, undefined> {
    const scope = scopeOf();
    for (let last = ""; ; ) {
      const listening = this.#deps.waits.listen(id, scope);
      try {
        const record = await this.#read(id);
        const state = this.#describe(record);
        const text = JSON.stringify(state);
        if (text !== last) yield state;
        last = text;
        if (isEnded(state)) return;
        this.#refuseGone(record);
        this.#refuseIfOver(id);
        await listening.happened;
      } finally {
        listening.stop();
      }
    }
  }

  async #waitForEnd(id: string): Promise<TaskRecord> {
    const scope = scopeOf();
    for (;;) {
      const listening = this.#deps.waits.listen(id, scope);
      try {
        const record = await this.#read(id);
        if (isEnded(record)) return record;
        this.#refuseStuck(record);
        this.#refuseIfOver(id);
        await listening.happened;
      } finally {
        listening.stop();
      }
    }
  }

  #refuseIfOver(id: string): void {
    if (this.#deps.isOver(id)) throw this.#fail("task_wait_ended", { taskId: id });
  }

  /** Refuses a task that does not run before somebody acts. */
  #refuseStuck(record: TaskRecord): void {
    this.#refuseGone(record);
    const { id: taskId, isHeld, heldFor, failure } = record;
    // Replicas of this version claim it at once if it was submitted to their contract.
    if (!isHeld || heldFor === this.#deps.contract) return;
    throw this.#fail("task_held", { taskId, reason: readTaskFailure(failure)?.message ?? "its input was refused" });
  }

  /** Refuses a task that no app will ever run. */
  #refuseGone(record: TaskRecord): void {
    const { id: taskId, status } = record;
    const api = this.#nameGone(record);
    if (api !== undefined) throw this.#fail("task_api_gone", { taskId, api, status });
  }

  /** Names the api of a task if the app no longer has it. */
  #nameGone({ service, api }: TaskRecord): string | undefined {
    return this.#deps.isOwn(service, api) ? undefined : `${service}.${api}`;
  }

  #describe(record: TaskRecord): TaskState {
    return toTaskState(record, readTaskFailure(record.failure), this.#nameGone(record));
  }

  /**
   * Reads a task. Treats a task that belongs to another api as unknown, unless that api is gone and this one has its
   * name: then its service was renamed.
   */
  async #read(id: string): Promise<TaskRecord> {
    this.#checkId(id);
    const record = await this.#placed(() => this.#deps.store.get(id));
    const { namespace, service, name } = this.#deps;
    const isHere = record?.namespace === namespace && record.api === name;
    if (!isHere || (record.service !== service && this.#deps.isOwn(record.service, name))) {
      throw this.#unknown(id);
    }
    return record;
  }

  #checkId(id: unknown): void {
    if (!isTaskId(id)) throw this.#unknown(String(id).slice(0, 64));
  }

  #unknown(taskId: string) {
    return this.#fail("unknown_task", { taskId });
  }

  #fail<Id extends "unknown_task" | "task_not_finished" | "task_wait_ended" | "task_api_gone" | "task_held">(
    id: Id,
    details: Parameters<typeof fail<Id>>[1],
  ) {
    const { service, name } = this.#deps;
    return fail(id, details, { service, api: name });
  }

  /** Runs a step. Its failures name the api of the task, not the operation. */
  async #placed<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw toServingError(error, this.#deps.service, this.#deps.name);
    }
  }
}

/** Form of a key: text that an HTTP header can carry, so that a key means the same over HTTP. */
const keyForm = /^[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?$/;

/** Checks the form of a key. @throws {ServingError} `invalid_task_key`. */
function checkKey(key: unknown): void {
  if (key === undefined || (typeof key === "string" && keyForm.test(key))) return;
  throw fail("invalid_task_key", {
    problem: typeof key === "string" ? `got ${key.length} characters` : `got ${typeof key}`,
  });
}

/** Longest delay of a task: 365 days. */
const mostDelayMs = 365 * 24 * 3_600_000;

/** Checks the delay of a task. @throws {ServingError} `invalid_task_delay`. */
function checkDelay(delayMs: unknown): void {
  if (
    delayMs === undefined ||
    (Number.isSafeInteger(delayMs) && Number(delayMs) >= 0 && Number(delayMs) <= mostDelayMs)
  )
    return;
  const value = typeof delayMs === "number" ? String(delayMs) : `a ${typeof delayMs}`;
  throw fail("invalid_task_delay", { value, mostMs: mostDelayMs });
}

function scopeOf(): CallScope {
  return currentScope() ?? unreachable("a task operation runs outside of a call");
}

function readResult({ record, output }: TaskResult): unknown {
  if (record.status === "completed" && output !== undefined) return unpackValue(output);
  throw readTaskFailure(record.failure) ?? unreachable(`task ${record.id} ended without a reason`);
}

// Callers that wait for news of tasks, in one replica.
//
// RW1  A caller that listens before it reads misses nothing: a change after the read wakes it.
// RW2  A caller that leaves frees everything that its wait used.

/** Wait of one caller for the next news of one task. */
interface Listening {
  /** Resolves at the next news; rejects when the caller leaves. */
  readonly happened: Promise<void>;
  stop(): void;
}

export class TaskWaits {
  readonly #byTask = new Map<string, Set<() => void>>();
  #size = 0;

  /** Number of waiting callers. */
  get size(): number {
    return this.#size;
  }

  /** Listens until `stop`. */
  listen(id: string, scope: CallScope): Listening {
    let settle!: { resolve: () => void; reject: (reason: ServingError) => void };
    const happened = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
    });
    // It may reject before the caller awaits it.
    happened.catch(() => {});
    const { resolve, reject } = settle;
    this.#add(id, resolve);
    scope.onCancel(reject);
    const stop = () => {
      this.#remove(id, resolve);
      scope.offCancel(reject);
    };
    return { happened, stop };
  }

  /**
   * Wakes the callers that wait for a task.
   *
   * @param id Absent when the changed task is unknown: all callers are woken.
   */
  tell(id?: string): void {
    const sets = id === undefined ? [...this.#byTask.values()] : [this.#byTask.get(id) ?? []];
    for (const wakes of sets) for (const wake of wakes) wake();
  }

  #add(id: string, wake: () => void): void {
    const wakes = this.#byTask.get(id) ?? new Set();
    this.#byTask.set(id, wakes.add(wake));
    this.#size++;
  }

  #remove(id: string, wake: () => void): void {
    const wakes = this.#byTask.get(id);
    if (wakes?.delete(wake) !== true) return;
    this.#size--;
    if (wakes.size === 0) this.#byTask.delete(id);
  }
}
