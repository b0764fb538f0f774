import { randomUUID } from "node:crypto";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";

/** Status of a task, by the names that BentoML's clients know. */
export type TaskStatus = "pending" | "in_progress" | "completed" | "failed" | "canceled";

/** Part of a stored task that its callers see. Times are wall-clock milliseconds. */
export interface VisibleRecord {
  /** 32 hex digits, made by the submitter. */
  readonly id: string;
  readonly status: TaskStatus;
  /** Number of claims so far. */
  readonly attempt: number;
  readonly createdAt: number;
  /** Start of the newest attempt. */
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  /** Instant until which a pending task waits before it can be claimed. */
  readonly waitsUntil: number | undefined;
  /** 0 to 1, as the author last reported it. */
  readonly progress: number | undefined;
  readonly note: string | undefined;
  /** True when a running task was asked to end. Its runner learns that when it renews the lease. */
  readonly isCancelAsked: boolean;
  /** True for a `pending` task that is held: its stored input was refused, and it does not run. */
  readonly isHeld: boolean;
}

/** Failure of a task, as plain data. */
export interface TaskFailure {
  readonly code: string;
  readonly id: string;
  readonly message: string;
  readonly service: string;
  readonly api: string;
  /** Id of the log line with the stack, for an unexpected error. */
  readonly incident?: string;
}

/** Current state of a task, as callers see it. */
export interface TaskState {
  readonly id: string;
  /** `pending` until it runs and again between two attempts; the last three are final. */
  readonly status: TaskStatus;
  /** Attempts begun so far; 0 before the first. */
  readonly attempt: number;
  readonly createdAt: Date;
  /** Start of the newest attempt. */
  readonly startedAt?: Date;
  readonly endedAt?: Date;
  /** Time before which a `pending` task does not run: it was submitted with a delay, or waits for its next attempt. */
  readonly notBefore?: Date;
  /** 0 to 1, as the api last reported it. */
  readonly progress?: number;
  readonly note?: string;
  /** Failure of the newest attempt. */
  readonly failure?: TaskFailure;
  /** True when its end was requested and it is still running. */
  readonly isCancelAsked?: true;
  /**
   * True for a `pending` task that is held and does not run: a newer version of the app refused its stored input, for
   * the reason in `failure`. `retry` lets it run again, under the same id.
   */
  readonly isHeld?: true;
  /** The api it was submitted to, where the app no longer has that api: the task can't run. */
  readonly goneApi?: string;
}

/** True when the state is final. */
export const isEnded = ({ status }: { readonly status: TaskStatus }): boolean =>
  status !== "pending" && status !== "in_progress";

/** Returns a record of the store as callers see it. @param failure Decoded failure of the record. */
export function toTaskState(record: VisibleRecord, failure: ServingError | undefined, goneApi?: string): TaskState {
  const { id, status, attempt, createdAt, startedAt, endedAt, waitsUntil, progress, note } = record;
  const { isCancelAsked, isHeld } = record;
  return {
    id,
    status,
    attempt,
    createdAt: new Date(createdAt),
    ...(startedAt !== undefined && { startedAt: new Date(startedAt) }),
    ...(endedAt !== undefined && { endedAt: new Date(endedAt) }),
    ...(waitsUntil !== undefined && { notBefore: new Date(waitsUntil) }),
    ...(progress !== undefined && { progress }),
    ...(note !== undefined && { note }),
    ...(failure !== undefined && { failure: toTaskFailure(failure) }),
    ...(isCancelAsked && status === "in_progress" && { isCancelAsked }),
    ...(isHeld && { isHeld }),
    ...(goneApi !== undefined && { goneApi }),
  };
}

function toTaskFailure({ code, id, message, service, api, incident }: ServingError): TaskFailure {
  return { code, id, message, service, api, ...(incident !== undefined && { incident }) };
}

/** Progress of a task. */
export interface Progress {
  /** 0 to 1. */
  readonly fraction: number;
  readonly note: string | undefined;
}

const maxNoteLength = 1000;

/** Checks the progress that an author reports. @throws {ServingError} `invalid_progress`. */
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
 * Operations on the tasks of one api, besides calling it and waiting for the result.
 *
 * Each is a call like any other, to an api of its own that a replica has beside the task's: `"train:submit"`.
 */
export const taskOperations = ["submit", "status", "result", "cancel", "retry", "watch"] as const;

export type TaskOperation = (typeof taskOperations)[number];

/** Operations that last as long as the task does. */
const waitingOperations: readonly (TaskOperation | "call")[] = ["call", "result", "watch"];

/** True when an operation, or a direct call of a task, waits until the task has ended. */
export const waitsForEnd = (operation: TaskOperation | "call"): boolean => waitingOperations.includes(operation);

/** Timeout of the operations that don't wait for the end of a task. */
export const operationTimeoutMs = 60_000;

/** The name under which a replica answers an operation: `"train:submit"`. */
export const operationApi = (api: string, operation: TaskOperation): string => `${api}:${operation}`;

/** Input of a submitted task. The caller makes the id, so that a lost call may be sent again. */
export interface TaskSubmission {
  readonly id: string;
  readonly input: unknown;
  /** Key of the task: a second submission with it finds the task of the first. */
  readonly key?: string;
  /** Milliseconds from the submission before which the task does not run. */
  readonly delayMs?: number;
}

/** Task that a query is about. */
export interface TaskQuery {
  readonly id: string;
  /** True when a `result` query waits until the task has ended. */
  readonly waits?: boolean;
  /** Id of the new task of a `retry` query. */
  readonly newId?: string;
}

/** Answer to a submission. */
export interface SubmittedTask {
  readonly id: string;
  readonly status: string;
}

/** 32 hex digits. */
export const createTaskId = (): string => randomUUID().replaceAll("-", "");

const taskIdForm = /^[0-9a-f]{32}$/;

/** True when a text may be the id of a task. Other texts never reach the store. */
export const isTaskId = (id: unknown): id is string => typeof id === "string" && taskIdForm.test(id);
