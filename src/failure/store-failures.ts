import { row } from "./failure-row.js";

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
  task_store_driver_missing: row<{ engine: string; driver: string }>({
    code: "failed_precondition",
    httpStatus: 503,
    text: (d) => `the task store (${d.engine}) needs the package ${d.driver}, which can't be loaded`,
    fix: "Durable tasks need a driver that ekiben does not bring along: `npm install libsql` for SQLite, `npm install pg` for PostgreSQL.",
  }),
};
