/**
 * The sixteen failure codes and the HTTP status of each.
 *
 * Codes are those of gRPC in snake case; the statuses follow its documented HTTP mapping
 * (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md), with 429 for `resource_exhausted`
 * and 499 for a client that went away.
 */
export const statusByCode = {
  cancelled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
} as const;

/** One of the sixteen codes a failure carries, in every placement and over HTTP. */
export type Code = keyof typeof statusByCode;

/** Whether a caller may expect the same call to succeed later, when the failure itself does not say. */
export function isRetryableCode(code: Code): boolean {
  return code === "unavailable" || code === "resource_exhausted" || code === "aborted";
}

/** Whether `value` is one of the sixteen codes. */
export function isCode(value: unknown): value is Code {
  return typeof value === "string" && Object.hasOwn(statusByCode, value);
}
