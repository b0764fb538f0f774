import { fail } from "../failure/fail.js";
import { type TaskRow, toRecord } from "./task-row.js";
import type { TaskKey, TaskRecord } from "./task-store.js";

/** The row of a task that a submit has found in place of its own; found by its id it says nothing of its input. */
export type KeyedRow = TaskRow & { readonly fingerprint?: string | null };

/** What whoever submitted it again is told. @throws {ServingError} `task_key_reused` where the key came with another input. */
export function readSubmitted(row: KeyedRow, key: TaskKey | undefined): TaskRecord {
  const { id: taskId, service, api, fingerprint } = row;
  if (key !== undefined && fingerprint != null && fingerprint !== key.fingerprint) {
    throw fail("task_key_reused", { key: key.text, taskId }, { service, api });
  }
  return toRecord(row);
}
