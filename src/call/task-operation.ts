import { randomUUID } from "node:crypto";

/**
 * What may be asked about the tasks of one api, besides running one and waiting for it.
 *
 * Each is a call like any other, to an api of its own that a replica has beside the task's: `"train:submit"`.
 */
export const taskOperations = ["submit", "status", "result", "cancel", "retry", "watch"] as const;

export type TaskOperation = (typeof taskOperations)[number];

/** Operations that last as long as the task does. */
const waitingOperations: readonly (TaskOperation | "call")[] = ["call", "result", "watch"];

/** Whether an operation, or a direct call of a task, waits until the task has ended. */
export const waitsForEnd = (operation: TaskOperation | "call"): boolean => waitingOperations.includes(operation);

/** Time for what does not wait for the end of a task. */
export const operationTimeoutMs = 60_000;

/** The name under which a replica answers an operation: `"train:submit"`. */
export const operationApi = (api: string, operation: TaskOperation): string => `${api}:${operation}`;

/** The input of a task as it is handed in. The caller makes the id, so that a call that was lost may be sent again. */
export interface TaskSubmission {
  readonly id: string;
  readonly input: unknown;
  /** A second submission with it finds the task of the first. */
  readonly key?: string;
}

/** Which task is meant. */
export interface TaskQuery {
  readonly id: string;
  /** Of `result`: whether to wait until it has ended. */
  readonly waits?: boolean;
  /** Of `retry`: the id of the new task. */
  readonly newId?: string;
}

/** What is answered to whoever submits a task. */
export interface SubmittedTask {
  readonly id: string;
  readonly status: string;
}

/** 32 hex digits. */
export const createTaskId = (): string => randomUUID().replaceAll("-", "");

const taskIdForm = /^[0-9a-f]{32}$/;

/** Whether a text may be the id of a task; nobody asks the store for any other. */
export const isTaskId = (id: unknown): id is string => typeof id === "string" && taskIdForm.test(id);
