import type { TaskState } from "../call/task-state.js";

/** A task that was handed in to an api which the app has no more. */
export interface FormerTask {
  readonly service: string;
  readonly api: string;
  readonly state: TaskState;
  /** @throws {ServingError} what it failed with; `task_api_gone` for one that has not ended. */
  result(): Promise<unknown>;
  cancel(): Promise<TaskState>;
}
