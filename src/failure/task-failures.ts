import { type Issue, issueText, row } from "./failure-row.js";

/** Failures of durable tasks. */
export const taskFailures = {
  task_id_missing: row<{ parameter: string }>({
    code: "invalid_argument",
    text: (d) => `the request names no task: ${d.parameter} is required, once`,
    fix: "Add ?task_id=… with the id that submit returned.",
  }),
  unknown_task: row<{ taskId: string }>({
    code: "not_found",
    text: (d) => `this api has no task ${d.taskId}`,
    fix: "Use the id that submit returned, at the api it was submitted to. Ended tasks are deleted after tasks.retentionMs.",
  }),
  task_not_finished: row<{ taskId: string; status: string }>({
    code: "failed_precondition",
    text: (d) => `task ${d.taskId} has not finished: it is ${d.status}`,
    fix: "Ask for its status until it is completed, failed or canceled, or wait for its result.",
  }),
  task_canceled: row<{ taskId: string }>({
    code: "cancelled",
    httpStatus: 409,
    text: (d) => `task ${d.taskId} was canceled`,
    fix: "Retry the task to run it again with the same input.",
  }),
  task_lost: row<{ attempts: number }>({
    code: "unavailable",
    retryable: false,
    text: (d) => `the replica that ran it ended without an answer, ${d.attempts} times in all`,
    fix: "Look in the log for the reason. If the task itself is not the reason, raise attempts, and retry it.",
  }),
  task_lease_lost: row<{ taskId: string }>({
    code: "aborted",
    text: (d) => `another replica has taken over task ${d.taskId}`,
    fix: "Raise tasks.leaseMs. This replica did not renew its lease in time: its event loop was blocked, or the store was out of reach.",
  }),
  invalid_task_key: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `the key of a task is 1 to 255 printable characters of ASCII: ${d.problem}`,
    fix: "Give a text that is unique to this submit, such as the id of an order; over HTTP in the header idempotency-key.",
  }),
  invalid_task_delay: row<{ value: string; mostMs: number }>({
    code: "invalid_argument",
    text: (d) => `the delay of a task is a whole number of milliseconds from 0 to ${d.mostMs}: got ${d.value}`,
    fix: "Give delayMs as such a number; over HTTP in the header ekiben-delay-ms.",
  }),
  task_key_reused: row<{ key: string; taskId: string }>({
    code: "already_exists",
    text: (d) => `the key ${JSON.stringify(d.key)} was submitted with another input before, as task ${d.taskId}`,
    fix: "Use each key for one input only: the same key finds the task it was first submitted with, as long as that task is kept.",
  }),
  task_api_gone: row<{ taskId: string; api: string; status: string }>({
    code: "failed_precondition",
    httpStatus: 409,
    text: (d) => `task ${d.taskId} is ${d.status}, and can't run: this app no longer has a task ${d.api}`,
    fix: "Move its waiting tasks with `ekiben tasks move Old.task New.task`, or cancel it. The api was renamed or removed after the task was submitted.",
  }),
  task_input_refused: row<{ issues: readonly Issue[] }>({
    code: "failed_precondition",
    httpStatus: 409,
    text: (d) =>
      `its stored input does not fit the contract of this version of the app: ${issueText("input", d.issues)}`,
    fix: "The task is kept and does not run. Deploy a version whose contract takes the input, then retry the task: `ekiben tasks retry <id>`. Or cancel it.",
  }),
  task_held: row<{ taskId: string; reason: string }>({
    code: "failed_precondition",
    httpStatus: 409,
    text: (d) => `task ${d.taskId} is held, and does not run: ${d.reason}`,
    fix: "Deploy a version of the app that takes its stored input, then retry the task: `ekiben tasks retry <id>`. Or cancel it.",
  }),
  task_wait_ended: row<{ taskId: string }>({
    code: "unavailable",
    text: (d) => `the replica that waited for task ${d.taskId} is shutting down; the task continues`,
    fix: "Ask for the result by the task's id.",
  }),
  invalid_progress: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `currentCall().progress(): ${d.problem}`,
    fix: "Give a number from 0 to 1, and optionally a text.",
  }),
};

/**
 * Failures of the task store. Details never contain the location of the store, since they reach every caller. The log
 * has the location, and so has the error when the store can't be opened.
 */
export const storeFailures = {
  task_store_unavailable: row<{ engine: string; problem: string }>({
    code: "unavailable",
    text: (d) => `the task store (${d.engine}) can't be used: ${d.problem}`,
    fix: "Look in the log for the system's error and the place. SQLite: check the folder and its disk, or set another folder, EKIBEN_DATA (--data). PostgreSQL: check the server, or set another one, EKIBEN_TASKS_STORE. Accepted tasks are kept, and continue when the store is back.",
  }),
  task_store_full: row<{ engine: string; problem: string }>({
    code: "resource_exhausted",
    httpStatus: 507,
    text: (d) => `the task store (${d.engine}) has no room left, and nothing was changed: ${d.problem}`,
    fix: "Free disk space, or delete ended tasks sooner: tasks.retentionMs.",
  }),
  task_store_newer: row<{ engine: string; version: number; known: number }>({
    code: "failed_precondition",
    httpStatus: 503,
    text: (d) =>
      `the task store (${d.engine}) was written by a newer ekiben: its schema is ${d.version}, this version supports up to ${d.known}`,
    fix: "Run the newer version, or set another store for this app: EKIBEN_DATA or tasks.store.",
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
    text: (d) =>
      d.engine === "sqlite"
        ? `the task store (sqlite) needs Node 22.13 or newer, or the package ${d.driver}, which can't be loaded`
        : `the task store (${d.engine}) needs the package ${d.driver}, which can't be loaded`,
    fix: "SQLite: run Node 22.13 or newer, which has it built in, or `npm install libsql`. PostgreSQL: `npm install pg`.",
  }),
  once_failed: row<{ name: string; error: string }>({
    code: "failed_precondition",
    httpStatus: 503,
    text: (d) => `once(${JSON.stringify(d.name)}) failed: ${d.error}`,
    fix: "Mend its cause. The next start of a replica runs it again.",
  }),
  once_out_of_place: row<{ name: string }>({
    code: "failed_precondition",
    text: (d) => `once(${JSON.stringify(d.name)}) was called outside of the start of a service`,
    fix: "Call it in start(), or in the function that opens a resource(). A test starts the service with compose().",
  }),
  invalid_once_name: row<{ value: string }>({
    code: "invalid_argument",
    text: (d) => `the name of once() is a text of 1 to 255 characters: got ${d.value}`,
    fix: 'Name the work and its version: once("migrate-3", …). The same name never runs again.',
  }),
};
