import type { TaskFailure, TaskState } from "../../call/task-state.js";
import type { JsonSchema } from "../../define/schema.js";

/** How a task is told over HTTP. The first four fields are those that BentoML's clients read. */
export interface TaskBody {
  readonly task_id: string;
  readonly status: string;
  /** ISO 8601. */
  readonly created_at: string;
  readonly executed_at?: string;
  readonly ended_at?: string;
  readonly attempt: number;
  readonly progress?: number;
  readonly note?: string;
  readonly cancel_asked?: true;
  /** The api that it was handed in to, where the app has that no more. */
  readonly gone_api?: string;
  readonly failure?: object;
}

/** A task as JSON. What an error says that nobody foresaw is not told, as in any answer. */
export function createTaskBody(state: TaskState): TaskBody {
  const { id, status, createdAt, startedAt, endedAt, attempt, progress, note, failure, isCancelAsked, goneApi } = state;
  return {
    ...{ task_id: id, status, created_at: createdAt.toISOString() },
    ...(startedAt !== undefined && { executed_at: startedAt.toISOString() }),
    ...(endedAt !== undefined && { ended_at: endedAt.toISOString() }),
    attempt,
    ...(progress !== undefined && { progress }),
    ...(note !== undefined && { note }),
    ...(isCancelAsked && { cancel_asked: isCancelAsked }),
    ...(goneApi !== undefined && { gone_api: goneApi }),
    ...(failure !== undefined && { failure: createTaskFailure(failure) }),
  };
}

function createTaskFailure({ message, ...rest }: TaskFailure): object {
  const text = rest.incident === undefined ? "internal error" : `internal error; incident ${rest.incident}`;
  return { error: rest.id === "unhandled_error" ? text : message, ...rest };
}

/** What `submit` and `retry` answer. */
export const createSubmittedBody = ({ id, status }: { readonly id: string; readonly status: string }): object => ({
  task_id: id,
  status,
});

const id: JsonSchema = { type: "string", description: "Names the task from now on." };
const status: JsonSchema = { type: "string", enum: ["pending", "in_progress", "completed", "failed", "canceled"] };
const time: JsonSchema = { type: "string", format: "date-time" };

/** Of `createSubmittedBody`. */
export const submittedSchema: JsonSchema = {
  type: "object",
  properties: { task_id: id, status },
  required: ["task_id", "status"],
};

/** Of `createTaskBody`. */
export const taskSchema: JsonSchema = {
  type: "object",
  properties: {
    ...{ task_id: id, status, created_at: time, executed_at: time, ended_at: time },
    attempt: { type: "integer", minimum: 0, description: "How often it was begun." },
    progress: { type: "number", minimum: 0, maximum: 1 },
    note: { type: "string", description: "What the task says it is doing." },
    cancel_asked: { type: "boolean" },
    gone_api: {
      type: "string",
      description: "The api it was handed in to, which the app has no more: nobody runs it.",
    },
    failure: { type: "object", description: "Why the newest attempt failed." },
  },
  required: ["task_id", "status", "created_at", "attempt"],
};
