import type { Priority } from "../call/call.js";
import type { CallScope } from "../call/call-scope.js";
import { currentScope } from "../call/current-call.js";
import type { ApiTarget } from "../call/invoke.js";
import { isTaskId, type SubmittedTask, type TaskQuery, type TaskSubmission } from "../call/task-operation.js";
import { describeTask, isEnded, type TaskState } from "../call/task-state.js";
import { fail } from "../failure/fail.js";
import { unreachable } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { TaskStats } from "../observe/task-stats.js";
import type { TaskRecord, TaskResult, TaskStore } from "../tasks/task-store.js";
import { packValue, unpackValue } from "../transport/stored-value.js";
import { encodeError } from "../transport/wire-error.js";
import { readTaskFailure } from "./task-attempt.js";
import { formatTaskContext } from "./task-context.js";
import type { TaskWaits } from "./task-waits.js";

/** Tasks handed in by background calls are claimed when no others wait. */
const ranks: Readonly<Record<Priority, number>> = { interactive: 1, background: 0 };

/** What the operations of one task api work with. */
export interface TaskApiParts {
  readonly service: string;
  readonly name: string;
  readonly checkInput: ApiTarget["checkInput"];
  readonly store: TaskStore;
  readonly waits: TaskWaits;
  readonly stats: TaskStats;
  /** Whether nothing that ends the task will be heard of here: the replica drains, and the task does not run in it. */
  readonly isOver: (id: string) => boolean;
}

/**
 * What callers may ask about the tasks of one api: calls like any other, answered from the store by whichever replica gets them.
 *
 * A submitted input is checked here, so that bad input is refused and not kept, and kept as it came: it is checked again when it
 * runs, and what its schema makes of it goes to the author's function.
 */
export class TaskApis {
  readonly #parts: TaskApiParts;

  constructor(parts: TaskApiParts) {
    this.#parts = parts;
  }

  async call(submission: TaskSubmission): Promise<unknown> {
    const { id } = await this.submit(submission);
    return this.result({ id, waits: true });
  }

  async submit({ id, input }: TaskSubmission): Promise<SubmittedTask> {
    const { service, name, store, stats, checkInput } = this.#parts;
    const { call } = scopeOf();
    this.#checkId(id);
    // Packed first: what is kept is what came, whatever a schema does to it.
    const packed = this.#placed(async () => packValue(input, "input"));
    packed.catch(() => {});
    await this.#placed(async () => checkInput(input));
    const bytes = await packed;
    const context = formatTaskContext(call);
    const record = await this.#placed(() =>
      store.submit({ id, service, api: name, input: bytes, context, priority: ranks[call.priority] }),
    );
    stats.submitted++;
    return { id: record.id, status: record.status };
  }

  async status({ id }: TaskQuery): Promise<TaskState> {
    return describe(await this.#read(id));
  }

  async result({ id, waits }: TaskQuery): Promise<unknown> {
    const record = waits === true ? await this.#waitForEnd(id) : await this.#read(id);
    if (!isEnded(record)) throw this.#fail("task_not_finished", { taskId: id, status: record.status });
    const result = await this.#placed(() => this.#parts.store.result(id));
    if (result === undefined) throw this.#unknown(id);
    return this.#placed(async () => readResult(result));
  }

  async cancel({ id }: TaskQuery): Promise<TaskState> {
    const { service, name, store } = this.#parts;
    await this.#read(id);
    const failure = encodeError(fail("task_canceled", { taskId: id }, { service, api: name }));
    const record = await this.#placed(() => store.cancel(id, failure));
    if (record === undefined) throw this.#unknown(id);
    return describe(record);
  }

  async retry({ id, newId }: TaskQuery): Promise<SubmittedTask> {
    this.#checkId(newId);
    const { status } = await this.#read(id);
    const record = await this.#placed(() => this.#parts.store.retry(id, newId as string));
    if (record === undefined) throw this.#unknown(id);
    if (record.id === id) throw this.#fail("task_not_finished", { taskId: id, status });
    this.#parts.stats.submitted++;
    return { id: record.id, status: record.status };
  }

  /** How a task is doing, each time that changes, until it has ended. A reader that is slow misses what lies between. */
  async *watch({ id }: TaskQuery): AsyncGenerator<TaskState, void, undefined> {
    const scope = scopeOf();
    for (let last = ""; ; ) {
      const listening = this.#parts.waits.listen(id, scope);
      try {
        const state = describe(await this.#read(id));
        const text = JSON.stringify(state);
        if (text !== last) yield state;
        last = text;
        if (isEnded(state)) return;
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
      const listening = this.#parts.waits.listen(id, scope);
      try {
        const record = await this.#read(id);
        if (isEnded(record)) return record;
        this.#refuseIfOver(id);
        await listening.happened;
      } finally {
        listening.stop();
      }
    }
  }

  #refuseIfOver(id: string): void {
    if (this.#parts.isOver(id)) throw this.#fail("task_wait_ended", { taskId: id });
  }

  /** A task of another api is none of this one's. */
  async #read(id: string): Promise<TaskRecord> {
    this.#checkId(id);
    const record = await this.#placed(() => this.#parts.store.get(id));
    if (record === undefined || record.service !== this.#parts.service || record.api !== this.#parts.name) {
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

  #fail<Id extends "unknown_task" | "task_not_finished" | "task_wait_ended">(
    id: Id,
    details: Parameters<typeof fail<Id>>[1],
  ) {
    const { service, name } = this.#parts;
    return fail(id, details, { service, api: name });
  }

  /** Failures name the task's api, not the operation. */
  async #placed<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw toServingError(error, this.#parts.service, this.#parts.name);
    }
  }
}

function scopeOf(): CallScope {
  return currentScope() ?? unreachable("a task operation runs outside of a call");
}

const describe = (record: TaskRecord): TaskState => describeTask(record, readTaskFailure(record.failure));

function readResult({ record, output }: TaskResult): unknown {
  if (record.status === "completed" && output !== undefined) return unpackValue(output);
  throw readTaskFailure(record.failure) ?? unreachable(`task ${record.id} ended without a reason`);
}
