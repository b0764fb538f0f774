import type { ClientRow, FailureRow } from "./failure-row.js";
import { isError, readText } from "./read-thrown.js";
import { createWithoutFrames, ServingError, type ServingErrorInit } from "./serving-error.js";

/** Origin of a failure, and its cause. */
export interface FailureOrigin {
  readonly service?: string | undefined;
  readonly api?: string | undefined;
  readonly cause?: unknown;
  readonly incident?: string | undefined;
}

/** Makes the failure of a row. The compiler checks the details where the row is named by its id. */
export function createFailure(
  id: string,
  given: ClientRow<never> & Partial<FailureRow<never>>,
  details: unknown,
  origin: FailureOrigin | undefined,
): ServingError {
  const row = given as ClientRow<unknown> & Partial<FailureRow<unknown>>;
  const init: ServingErrorInit = {
    id,
    code: row.code,
    message: row.text(details),
    details: details as Record<string, unknown>,
    fix: row.fixFor?.(details) ?? row.fix,
    httpStatus: row.httpStatus,
    retryable: row.retryable,
    ...origin,
  };
  if (row.hasNoStack === true) return createWithoutFrames(init);
  const error = new ServingError(init);
  adoptStack(error, origin?.cause);
  return error;
}

/** Gives a failure the stack of its cause, which shows where the error was thrown. */
function adoptStack(error: ServingError, cause: unknown): void {
  const stack = isError(cause) ? readText(cause, "stack") : undefined;
  const frames = stack?.indexOf("\n    at ") ?? -1;
  if (stack !== undefined && frames >= 0) error.stack = `${error.name}: ${error.message}${stack.slice(frames)}`;
}
