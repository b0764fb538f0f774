import type { JsonSchema } from "../../define/schema.js";
import { type TaskPath, taskPath, taskPaths } from "../../define/task-paths.js";
import type { ApiRoute } from "../api-route.js";
import { eventsType } from "../media-type.js";
import { submittedSchema, taskSchema } from "../tasks/task-body.js";

/** What the operations of a task share with that of its api. */
export interface TaskOperationParts {
  readonly requestBody: object | undefined;
  /** Media types of the result. */
  readonly answers: object;
  readonly timeoutParameter: object;
  readonly failures: object;
}

const json = (schema: JsonSchema): object => ({ "application/json": { schema } });

const told: Readonly<Record<TaskPath, readonly [summary: string, answer: string]>> = {
  submit: ["Hands a task in; it survives the end of every process.", "The task is kept."],
  status: ["How a task is doing. With accept: text/event-stream an event each time that changes.", "The task."],
  get: ["The result of a task, or its failure.", "The result."],
  cancel: ["Ends a task that waits; asks a running one to end.", "The task."],
  retry: ["Hands the input of a task that has ended in again.", "The new task."],
};

const idParameter = {
  name: "task_id",
  in: "query",
  required: true,
  description: "What submit answered.",
  schema: { type: "string" },
};

const waitParameter = {
  name: "wait",
  in: "query",
  required: false,
  description: "Wait until the task has ended, instead of a failure while it has not.",
  schema: { type: "boolean" },
};

/** The paths below that of a task, for the OpenAPI document. */
export function describeTaskPaths(route: ApiRoute, parts: TaskOperationParts): Record<string, object> {
  const entries = (Object.entries(taskPaths) as [TaskPath, string][]).map(([what, method]) => {
    const [summary, description] = told[what];
    const parameters = what === "submit" ? [] : [idParameter];
    const operation = {
      operationId: `${route.name}:${what}`,
      tags: [route.service],
      summary,
      "x-ekiben-task-of": route.name,
      parameters: [...parameters, ...(what === "get" ? [waitParameter] : []), parts.timeoutParameter],
      ...(what === "submit" && parts.requestBody !== undefined && { requestBody: parts.requestBody }),
      responses: { "200": { description, content: describeAnswer(what, parts.answers) }, ...parts.failures },
    };
    return [taskPath(route.path, what), { [method.toLowerCase()]: operation }];
  });
  return Object.fromEntries(entries);
}

function describeAnswer(what: TaskPath, answers: object): object {
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
