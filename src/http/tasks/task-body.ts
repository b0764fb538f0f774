import type { TaskFailure, TaskState } from "../../call/task-state.js";
import type { JsonSchema } from "../../define/schema.js";
import { type TaskPath, taskPath, taskPaths } from "../../define/task-paths.js";
import type { ApiRoute } from "../http-state.js";
import { eventsType } from "../media-type.js";

/** A task as JSON over HTTP. BentoML's clients read the first four fields. */
interface TaskBody {
  readonly task_id: string;
  readonly status: string;
  /** ISO 8601. */
  readonly created_at: string;
  readonly executed_at?: string;
  readonly ended_at?: string;
  /** Time before which a pending task does not run. */
  readonly not_before?: string;
  readonly attempt: number;
  readonly progress?: number;
  readonly note?: string;
  readonly cancel_asked?: true;
  /** True when it is kept and does not run, since its stored input was refused. */
  readonly held?: true;
  /** Name of the api that the task was submitted to; set when the app no longer has it. */
  readonly gone_api?: string;
  readonly failure?: object;
}

/** Formats a task as JSON. Messages of unexpected errors are masked, as in every response. */
export function createTaskBody(state: TaskState): TaskBody {
  const { id, status, createdAt, startedAt, endedAt, notBefore, attempt } = state;
  const { progress, note, failure, isCancelAsked, isHeld, goneApi } = state;
  return {
    task_id: id,
    status,
    created_at: createdAt.toISOString(),
    ...(startedAt !== undefined && { executed_at: startedAt.toISOString() }),
    ...(endedAt !== undefined && { ended_at: endedAt.toISOString() }),
    ...(notBefore !== undefined && { not_before: notBefore.toISOString() }),
    attempt,
    ...(progress !== undefined && { progress }),
    ...(note !== undefined && { note }),
    ...(isCancelAsked && { cancel_asked: isCancelAsked }),
    ...(isHeld && { held: isHeld }),
    ...(goneApi !== undefined && { gone_api: goneApi }),
    ...(failure !== undefined && { failure: createTaskFailure(failure) }),
  };
}

function createTaskFailure({ message, ...rest }: TaskFailure): object {
  const text = rest.incident === undefined ? "internal error" : `internal error; incident ${rest.incident}`;
  return { error: rest.id === "unhandled_error" ? text : message, ...rest };
}

/** Formats the answer of `submit` and `retry`. */
export const createSubmittedBody = ({ id, status }: { readonly id: string; readonly status: string }): object => ({
  task_id: id,
  status,
});

const id: JsonSchema = { type: "string", description: "Id of the task." };
const status: JsonSchema = { type: "string", enum: ["pending", "in_progress", "completed", "failed", "canceled"] };
const time: JsonSchema = { type: "string", format: "date-time" };

/** Schema of `createSubmittedBody`. */
export const submittedSchema: JsonSchema = {
  type: "object",
  properties: { task_id: id, status },
  required: ["task_id", "status"],
};

/** Schema of `createTaskBody`. */
export const taskSchema: JsonSchema = {
  type: "object",
  properties: {
    task_id: id,
    status,
    created_at: time,
    executed_at: time,
    ended_at: time,
    not_before: { ...time, description: "Time before which a pending task does not run." },
    attempt: { type: "integer", minimum: 0, description: "Attempts begun so far." },
    progress: { type: "number", minimum: 0, maximum: 1 },
    note: { type: "string", description: "Progress in the task's own words." },
    cancel_asked: { type: "boolean" },
    held: {
      type: "boolean",
      description:
        "True when it does not run: a newer version of the app refused its stored input. Retry it, or cancel it.",
    },
    gone_api: {
      type: "string",
      description: "Api that the task was submitted to, when the app no longer has it: the task will not run.",
    },
    failure: { type: "object", description: "Failure of the latest attempt." },
  },
  required: ["task_id", "status", "created_at", "attempt"],
};

/** Parts that the operations of a task share with the operation of its api. */
interface TaskOperationParts {
  readonly requestBody: object | undefined;
  /** Content types of the result. */
  readonly answers: object;
  readonly timeoutParameter: object;
  readonly failures: object;
}

const json = (schema: JsonSchema): object => ({ "application/json": { schema } });

const told: Readonly<Record<TaskPath, readonly [summary: string, answer: string]>> = {
  submit: ["Submits a task; it survives the end of every process.", "The task is stored."],
  status: ["Returns the state of a task. With accept: text/event-stream, sends an event for each change.", "The task."],
  get: ["Returns the result of a task, or its failure.", "The result."],
  cancel: ["Cancels a waiting task; asks a running one to end.", "The task."],
  retry: ["Submits the input of an ended task again; lets a held task run, under its own id.", "The task that runs."],
};

const keyParameter = {
  name: "idempotency-key",
  in: "header",
  required: false,
  description: "Key of the submit: later submits with it return the task of the first.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
};

const delayParameter = {
  name: "ekiben-delay-ms",
  in: "header",
  required: false,
  description: "Milliseconds before which the task does not run.",
  schema: { type: "integer", minimum: 0 },
};

const idParameter = {
  name: "task_id",
  in: "query",
  required: true,
  description: "Id that submit returned.",
  schema: { type: "string" },
};

const waitParameter = {
  name: "wait",
  in: "query",
  required: false,
  description: "Waits until the task has ended, instead of failing while it has not.",
  schema: { type: "boolean" },
};

/** Returns the paths below a task's api, for the OpenAPI document. */
export function createTaskPaths(route: ApiRoute, parts: TaskOperationParts): Record<string, object> {
  const entries = (Object.entries(taskPaths) as [TaskPath, string][]).map(([what, method]) => {
    const [summary, description] = told[what];
    const parameters = what === "submit" ? [keyParameter, delayParameter] : [idParameter];
    const operation = {
      operationId: `${route.name}:${what}`,
      tags: [route.service],
      summary,
      "x-ekiben-task-of": route.name,
      parameters: [...parameters, ...(what === "get" ? [waitParameter] : []), parts.timeoutParameter],
      ...(what === "submit" && parts.requestBody !== undefined && { requestBody: parts.requestBody }),
      responses: { "200": { description, content: createTaskResponse(what, parts.answers) }, ...parts.failures },
    };
    return [taskPath(route.path, what), { [method.toLowerCase()]: operation }];
  });
  return Object.fromEntries(entries);
}

function createTaskResponse(what: TaskPath, answers: object): object {
  switch (what) {
    case "get":
      return answers;
    case "submit":
    case "retry":
      return json(submittedSchema);
    case "cancel":
      return json(taskSchema);
    case "status":
      return {
        ...json(taskSchema),
        [eventsType]: { schema: { type: "string", title: "one JSON value an event" }, "x-ekiben-item": taskSchema },
      };
  }
}
