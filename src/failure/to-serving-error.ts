import { fail } from "./fail.js";
import { ServingError, type ServingErrorInit } from "./serving-error.js";

/**
 * Whatever an api threw, as the failure its caller gets.
 *
 * A `ServingError` keeps its fields and learns where it happened if it did not know; anything else becomes
 * `unhandled_error` (code `internal`) with the thrown value as its cause.
 */
export function toServingError(thrown: unknown, service: string, api: string): ServingError {
  if (!(thrown instanceof ServingError)) {
    return fail("unhandled_error", { error: messageOf(thrown) }, { service, api, cause: thrown });
  }
  return thrown.service === "" && service !== "" ? copyError(thrown, { service, api }) : thrown;
}

/** A copy with other fields, since an author may give one error object many times and from several apis. Keeps the stack. */
export function copyError(error: ServingError, fields: Partial<ServingErrorInit>): ServingError {
  const { code, id, message, details, retryable, httpStatus, fix, incident, cause, service, api, stack } = error;
  const copy = new ServingError({
    ...{ code, id, message, details, retryable, httpStatus, fix, incident, cause, service, api },
    ...fields,
  });
  if (stack !== undefined) copy.stack = stack;
  return copy;
}

/** What to show of a thrown value: its message, or the value itself where it is no error. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message === "" ? thrown.name : thrown.message;
  if (typeof thrown === "string") return thrown;
  const kind = typeof thrown;
  return `${/^[ou]/.test(kind) ? "an" : "a"} ${kind} was thrown: ${textOf(thrown)}`;
}

/** How many causes of an error are told. */
const maxCauses = 4;

/** `messageOf`, and of an error that has causes what they say: the outer one often only says what was attempted. */
export function messageWithCauses(thrown: unknown): string {
  const messages = [messageOf(thrown)];
  let error = thrown;
  while (error instanceof Error && error.cause !== undefined && messages.length <= maxCauses) {
    error = error.cause;
    messages.push(messageOf(error));
  }
  return messages.join("; caused by: ");
}

/** Not every value can be made into a text: an object without a prototype can't. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return Object.prototype.toString.call(thrown);
  }
}
