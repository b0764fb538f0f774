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

/**
 * What can go wrong with the store of durable tasks. No detail of a call says where it is, since details reach every caller: the log
 * does, and what is said when it can't be opened.
 */
export const storeFailures = {
  task_store_unavailable: row<{ engine: string; problem: string }>({
    code: "unavailable",
    text: (d) => `the task store (${d.engine}) can't be used: ${d.problem}`,
    fix: "The log says what the system said, and where. Tasks that were answered for are kept, and go on when the store is back. SQLite: see to the folder and its disk, or name another one, EKIBEN_DATA (--data). PostgreSQL: see to the server, or name another one, EKIBEN_TASKS_STORE.",
  }),
  task_store_full: row<{ engine: string; problem: string }>({
    code: "resource_exhausted",
    httpStatus: 507,
    text: (d) => `the task store (${d.engine}) has no room left, and nothing was changed: ${d.problem}`,
    fix: "Free disk space, or let ended tasks be forgotten sooner: tasks.retentionMs.",
  }),
  task_store_newer: row<{ engine: string; version: number; known: number }>({
    code: "failed_precondition",
    httpStatus: 503,
    text: (d) =>
      `the task store (${d.engine}) was written by a newer ekiben: its schema is ${d.version}, this one knows up to ${d.known}`,
    fix: "Run the newer version, or give this app a store of its own: EKIBEN_DATA or tasks.store.",
  }),
  stored_value_newer: row<{ version: number; known: number }>({
    code: "failed_precondition",
    httpStatus: 503,
    text: (d) =>
      `the stored input or result of a task was written by a newer ekiben: its format is ${d.version}, this one reads up to ${d.known}`,
    fix: "Run the newer version in every process that uses this task store. The stored value is unchanged: ask for the result again, or retry the task if it failed for this reason.",
  }),
  task_store_driver_missing: row<{ engine: string; driver: string }>({
    code: "failed_precondition",
    httpStatus: 503,
    text: (d) => `the task store (${d.engine}) needs the package ${d.driver}, which can't be loaded`,
    fix: "Durable tasks need a driver that ekiben does not bring along: `npm install libsql` for SQLite, `npm install pg` for PostgreSQL.",
  }),
};
