import { describeTask, isEnded, type TaskState } from "../call/task-state.js";
import { fail } from "../failure/fail.js";
import { unreachable } from "../failure/serving-error.js";
import type { FormerTask } from "../http/former-task.js";
import type { TaskRecord, TaskStore } from "../tasks/task-store.js";
import { unpackValue } from "../transport/stored-value.js";
import { decodeError, encodeError } from "../transport/wire-error.js";

/** What may be asked about a task whose api is gone: all but to run it. */
export function createFormerTask(store: TaskStore, record: TaskRecord): FormerTask {
  const { id, service, api } = record;
  return {
    service,
    api,
    state: describe(record),
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
      return describe((await store.cancel(id, failure)) ?? record);
    },
  };
}

function describe(record: TaskRecord): TaskState {
  const failure = record.failure === undefined ? undefined : decodeError(record.failure);
  return describeTask(record, failure, `${record.service}.${record.api}`);
}
