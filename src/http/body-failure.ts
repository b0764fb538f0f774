import { fail } from "../failure/fail.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";

const goneCodes: readonly unknown[] = ["ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE"];

/** Why a body broke off: its client went away, or what a hook made of it failed. */
export function bodyFailure(error: unknown): ServingError {
  if (error instanceof ServingError) return error;
  const { code } = (error ?? {}) as { code?: unknown };
  if (error === undefined || goneCodes.includes(code)) {
    return fail("cancelled", { reason: "the client closed the connection" });
  }
  return fail("unreadable_body", { problem: messageOf(error) }, { cause: error });
}
