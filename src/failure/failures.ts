import { callFailures } from "./call-failures.js";
import { definitionFailures } from "./definition-failures.js";
import { hostFailures } from "./host-failures.js";
import { httpFailures } from "./http-failures.js";
import { isError, readText } from "./read-thrown.js";
import { linkFailures, replicaFailures } from "./replica-failures.js";
import { createWithoutFrames, ServingError, type ServingErrorInit } from "./serving-error.js";
import { storeFailures, taskFailures } from "./task-failures.js";

export type { FailureRow, GraphFault, Issue } from "./failure-row.js";

/** Every failure ekiben itself can raise. Ids are public API: they are never renamed or reused. */
export const failures = {
  ...definitionFailures,
  ...callFailures,
  ...replicaFailures,
  ...linkFailures,
  ...httpFailures,
  ...hostFailures,
  ...storeFailures,
  ...taskFailures,
};

/** Id of a row of the failure table. */
export type FailureId = keyof typeof failures;

/** Numbers and names that the text of failure `Id` needs. */
export type FailureDetails<Id extends FailureId> = Parameters<(typeof failures)[Id]["text"]>[0];

/** Origin of a failure, and its cause. */
interface FailureOrigin {
  readonly service?: string | undefined;
  readonly api?: string | undefined;
  readonly cause?: unknown;
  readonly incident?: string | undefined;
}

/**
 * Makes the `ServingError` of one row of the failure table.
 *
 * @param id      Id of the row.
 * @param details Values that its text names; sent to the caller as `details`.
 * @param place   Service and api, when known where it is raised.
 */
export function fail<Id extends FailureId>(id: Id, details: FailureDetails<Id>, place?: FailureOrigin): ServingError {
  const row = failures[id];
  const init: ServingErrorInit = {
    id,
    code: row.code,
    message: (row.text as (details: unknown) => string)(details),
    details: details as Record<string, unknown>,
    fix: ("fixFor" in row ? (row.fixFor as (details: unknown) => string | undefined)(details) : undefined) ?? row.fix,
    ...("httpStatus" in row ? { httpStatus: row.httpStatus } : undefined),
    ...("retryable" in row ? { retryable: row.retryable } : undefined),
    ...place,
  };
  if ("hasNoStack" in row) return createWithoutFrames(init);
  const error = new ServingError(init);
  adoptStack(error, place?.cause);
  return error;
}

/** Gives a failure the stack of its cause, which shows where the error was thrown. */
function adoptStack(error: ServingError, cause: unknown): void {
  const stack = isError(cause) ? readText(cause, "stack") : undefined;
  const frames = stack?.indexOf("\n    at ") ?? -1;
  if (stack !== undefined && frames >= 0) error.stack = `${error.name}: ${error.message}${stack.slice(frames)}`;
}
