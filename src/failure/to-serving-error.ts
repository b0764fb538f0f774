import { fail } from "./failures.js";
import { isError, maxTextLength, readCauses, readField, readText, textOf } from "./read-thrown.js";
import { createWithoutFrames, isCode, ServingError, type ServingErrorInit } from "./serving-error.js";

/**
 * Whatever an api threw, as the failure its caller gets. Never throws, whatever that was.
 *
 * A `ServingError` keeps its fields and learns where it happened if it did not know; anything else becomes
 * `unhandled_error` (code `internal`) with the thrown value as its cause.
 */
export function toServingError(thrown: unknown, service: string, api: string): ServingError {
  if (!(thrown instanceof ServingError)) {
    return fail("unhandled_error", { error: messageOf(thrown) }, { service, api, cause: thrown });
  }
  if (!isPlainFailure(thrown)) return copyError(thrown, readField(thrown, "service") ? {} : { service, api });
  return thrown.service === "" && service !== "" ? copyError(thrown, { service, api }) : thrown;
}

/** Details carry a message as it was thrown; what shows it cuts it further. */
const maxMessageLength = 256 * 1024;

const plainFields = ["code", "message", "details", "service", "api"] as const;

const otherFields = ["id", "retryable", "httpStatus", "fix", "incident", "cause"] as const;

function isNoAccessor(error: object, field: string): boolean {
  const descriptor = Object.getOwnPropertyDescriptor(error, field);
  return descriptor === undefined || "value" in descriptor;
}

/** Whether a failure is just what `new ServingError` makes: nothing in it runs when it is read, and nothing is of another type. */
export function isPlainFailure(error: ServingError): boolean {
  try {
    if (Object.getPrototypeOf(error) !== ServingError.prototype || !Object.isExtensible(error)) return false;
    for (const field of plainFields) {
      const value = Object.getOwnPropertyDescriptor(error, field)?.value;
      // With an accessor in its place there is no value.
      if (field === "details" ? typeof value !== "object" || value === null : typeof value !== "string") return false;
    }
    return isCode(error.code) && otherFields.every((field) => isNoAccessor(error, field));
  } catch {
    return false;
  }
}

/**
 * A copy with other fields, since an author may give one error object many times and from several apis. Keeps the stack. Of what
 * can't be read, or is of another type than it should be, the copy has the default.
 */
export function copyError(error: ServingError, fields: Partial<ServingErrorInit>): ServingError {
  const code = readField(error, "code");
  const details = readField(error, "details");
  const [retryable, httpStatus] = [readField(error, "retryable"), readField(error, "httpStatus")];
  const stack = readText(error, "stack");
  const init: ServingErrorInit = {
    code: isCode(code) ? code : "internal",
    message: readText(error, "message") ?? "",
    details: typeof details === "object" && details !== null ? (details as Record<string, unknown>) : undefined,
    retryable: typeof retryable === "boolean" ? retryable : undefined,
    httpStatus: typeof httpStatus === "number" ? httpStatus : undefined,
    cause: readField(error, "cause"),
    ...{ id: readText(error, "id"), fix: readText(error, "fix"), incident: readText(error, "incident") },
    ...{ service: readText(error, "service"), api: readText(error, "api") },
    ...fields,
  };
  return stack === undefined ? new ServingError(init) : createWithoutFrames(init, stack);
}

/** What to show of a thrown value: its message, or the value itself where it is no error; cut at 256 Ki characters. Never throws. */
export function messageOf(thrown: unknown): string {
  if (isError(thrown))
    return readText(thrown, "message", maxMessageLength) || readText(thrown, "name") || "an error without a text";
  if (typeof thrown === "string") return thrown.slice(0, maxMessageLength);
  const kind = typeof thrown;
  return `${/^[ou]/.test(kind) ? "an" : "a"} ${kind} was thrown: ${textOf(thrown)}`;
}

/** How many causes of an error are told. */
const maxCauses = 4;

/** `messageOf`, and of an error that has causes what they say: the outer one often only says what was attempted. */
export function messageWithCauses(thrown: unknown): string {
  const texts = [thrown, ...readCauses(thrown, maxCauses)].map((error) => messageOf(error).slice(0, maxTextLength));
  return texts.join("; caused by: ");
}
