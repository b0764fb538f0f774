import { fail } from "./fail.js";
import { ServingError } from "./serving-error.js";

/**
 * Whatever an api threw, as the failure its caller gets.
 *
 * A `ServingError` stays the same object and learns where it happened if it did not know; anything else becomes
 * `unhandled_error` (code `internal`) with the thrown value as its cause.
 */
export function toServingError(thrown: unknown, service: string, api: string): ServingError {
  if (!(thrown instanceof ServingError)) {
    return fail("unhandled_error", { error: messageOf(thrown) }, { service, api, cause: thrown });
  }
  if (thrown.service === "" && service !== "") Object.assign(thrown, { service, api });
  return thrown;
}

/** What to show of a thrown value: its message, or the value itself where it is no error. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message === "" ? thrown.name : thrown.message;
  return typeof thrown === "string" ? thrown : `a ${typeof thrown} was thrown: ${String(thrown)}`;
}
