import { row } from "./failure-row.js";

/** What can go wrong with durable tasks. */
export const taskFailures = {
  task_id_missing: row<{ parameter: string }>({
    code: "invalid_argument",
    text: (d) => `the request does not say which task it is about: ${d.parameter} is required, once`,
    fix: "Add ?task_id=… with the id that submit answered.",
  }),
  unknown_task: row<{ taskId: string }>({
    code: "not_found",
    text: (d) => `this api has no task ${d.taskId}`,
    fix: "Use the id that submit answered, at the api it was submitted to. Tasks that ended are forgotten after tasks.retentionMs.",
  }),
  task_not_finished: row<{ taskId: string; status: string }>({
    code: "failed_precondition",
    text: (d) => `task ${d.taskId} has not finished: it is ${d.status}`,
    fix: "Ask for its status until it is completed, failed or canceled, or let the result wait for it.",
  }),
  task_canceled: row<{ taskId: string }>({
    code: "cancelled",
    httpStatus: 409,
    text: (d) => `task ${d.taskId} was canceled`,
    fix: "Somebody asked for that. Retry it to run it again with the same input.",
  }),
  task_lost: row<{ attempts: number }>({
    code: "unavailable",
    retryable: false,
    text: (d) => `the replica that ran it ended without an answer, ${d.attempts} times in all`,
    fix: "See in the log why replicas ended; raise attempts when the task itself is not the reason, and retry it.",
  }),
  task_lease_lost: row<{ taskId: string }>({
    code: "aborted",
    text: (d) => `another replica has taken over task ${d.taskId}`,
    fix: "This replica did not renew its lease in time: its event loop was blocked, or the store was out of reach. Raise tasks.leaseMs.",
  }),
  invalid_task_key: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `the key of a task is 1 to 255 printable characters of ASCII: ${d.problem}`,
    fix: "Give a text that names this very submit, such as the id of the order it is for; over HTTP in the header idempotency-key.",
  }),
  task_key_reused: row<{ key: string; taskId: string }>({
    code: "already_exists",
    text: (d) => `the key ${JSON.stringify(d.key)} was submitted with another input before, as task ${d.taskId}`,
    fix: "Use a key for one input alone: the same key finds the task that it was first submitted with, as long as that is kept.",
  }),
  task_api_gone: row<{ taskId: string; api: string; status: string }>({
    code: "failed_precondition",
    httpStatus: 409,
    text: (d) => `task ${d.taskId} is ${d.status}, and nobody runs it: this app has no task ${d.api} any more`,
    fix: "The task was renamed or removed since it was handed in. Move what waits for it: `ekiben tasks move Old.task New.task`; or cancel it.",
  }),
  task_wait_ended: row<{ taskId: string }>({
    code: "unavailable",
    text: (d) => `the replica that waited for task ${d.taskId} is shutting down; the task goes on`,
    fix: "Ask for its result by its id.",
  }),
  invalid_progress: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `currentCall().progress(): ${d.problem}`,
    fix: "Give a number from 0 to 1, and a text if there is something to say.",
  }),
};
