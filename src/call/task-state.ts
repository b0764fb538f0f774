import { randomUUID } from "node:crypto";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { TaskRecord, TaskStatus } from "../tasks/task-store.js";

/** Why a task failed, as plain data. */
export interface TaskFailure {
  readonly code: string;
  readonly id: string;
  readonly message: string;
  readonly service: string;
  readonly api: string;
  /** Id of the log line that holds the stack, for an error that nobody foresaw. */
  readonly incident?: string;
}

/** How a task is doing. */
export interface TaskState {
  readonly id: string;
  /** `pending` until it runs and again between two attempts; the last three are final. */
  readonly status: TaskStatus;
  /** How often it was begun; 0 while nobody has. */
  readonly attempt: number;
  readonly createdAt: Date;
  /** Of the newest attempt. */
  readonly startedAt?: Date;
  readonly endedAt?: Date;
  /** 0 to 1, as the api last reported it. */
  readonly progress?: number;
  readonly note?: string;
  /** Why the newest attempt failed. */
  readonly failure?: TaskFailure;
  /** Somebody asked it to end; it has not yet. */
  readonly isCancelAsked?: true;
  /** The api that it was handed in to, where the app has that no more: nobody runs it. */
  readonly goneApi?: string;
}

/** Whether nothing will change any more. */
export const isEnded = ({ status }: { readonly status: TaskStatus }): boolean =>
  status !== "pending" && status !== "in_progress";

/** A record of the store as callers see it. @param failure The record's own, read. */
export function toTaskState(record: TaskRecord, failure: ServingError | undefined, goneApi?: string): TaskState {
  const { id, status, attempt, createdAt, startedAt, endedAt, progress, note, isCancelAsked } = record;
  return {
    ...{ id, status, attempt, createdAt: new Date(createdAt) },
    ...(startedAt !== undefined && { startedAt: new Date(startedAt) }),
    ...(endedAt !== undefined && { endedAt: new Date(endedAt) }),
    ...(progress !== undefined && { progress }),
    ...(note !== undefined && { note }),
    ...(failure !== undefined && { failure: toTaskFailure(failure) }),
    ...(isCancelAsked && status === "in_progress" && { isCancelAsked }),
    ...(goneApi !== undefined && { goneApi }),
  };
}

function toTaskFailure({ code, id, message, service, api, incident }: ServingError): TaskFailure {
  return { code, id, message, service, api, ...(incident !== undefined && { incident }) };
}

/** How far a task is. */
export interface Progress {
  /** 0 to 1. */
  readonly fraction: number;
  readonly note: string | undefined;
}

const maxNoteLength = 1000;

/** Checks what an author says about progress. @throws {ServingError} `invalid_progress`. */
export function readProgress(fraction: unknown, note: unknown): Progress {
  if (typeof fraction !== "number" || !(fraction >= 0 && fraction <= 1)) {
    throw fail("invalid_progress", { problem: `the fraction is ${String(fraction)}, not a number from 0 to 1` });
  }
  if (note === undefined) return { fraction, note };
  if (typeof note !== "string") throw fail("invalid_progress", { problem: `the note is a ${typeof note}, not a text` });
  if (note.length > maxNoteLength) {
    throw fail("invalid_progress", { problem: `the note has ${note.length} characters, more than ${maxNoteLength}` });
  }
  return { fraction, note };
}

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
