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
export function describeTask(record: TaskRecord, failure: ServingError | undefined, goneApi?: string): TaskState {
  const { id, status, attempt, createdAt, startedAt, endedAt, progress, note, isCancelAsked } = record;
  return {
    ...{ id, status, attempt, createdAt: new Date(createdAt) },
    ...(startedAt !== undefined && { startedAt: new Date(startedAt) }),
    ...(endedAt !== undefined && { endedAt: new Date(endedAt) }),
    ...(progress !== undefined && { progress }),
    ...(note !== undefined && { note }),
    ...(failure !== undefined && { failure: describeFailure(failure) }),
    ...(isCancelAsked && status === "in_progress" && { isCancelAsked }),
    ...(goneApi !== undefined && { goneApi }),
  };
}

function describeFailure({ code, id, message, service, api, incident }: ServingError): TaskFailure {
  return { code, id, message, service, api, ...(incident !== undefined && { incident }) };
}
