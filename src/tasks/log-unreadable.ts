import type { Logger } from "../base/logger.js";
import type { TaskRow } from "./task-row.js";

/** Says that a task was claimed in vain. It is left to the end of its lease, since trying again at once would fail again. */
export function logUnreadable(log: Logger, { id, service, api }: TaskRow, error: unknown): void {
  const fields = { err: error, task: id, service, api };
  log.error(fields, "the input of a task can't be read; its lease is left to run out");
}
