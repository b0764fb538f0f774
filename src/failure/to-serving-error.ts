import { fail } from "./failures.js";
import { isError, maxTextLength, readCauses, readField, readText, textOf } from "./read-thrown.js";
import { createWithoutFrames, isCode, ServingError, type ServingErrorInit } from "./serving-error.js";

/**
 * Converts a value that an api threw to the failure its caller gets. Never throws.
 *
 * A `ServingError` keeps its fields, and gets its service and api if it has none. Any other value becomes
 * `unhandled_error` (code `internal`) with the thrown value as its cause.
 */
export function toServingError(thrown: unknown, service: string, api: string): ServingError {
  if (!(thrown instanceof ServingError)) {
    return fail("unhandled_error", { error: messageOf(thrown) }, { service, api, cause: thrown });
  }
  if (!isPlainFailure(thrown)) return copyError(thrown, readField(thrown, "service") ? {} : { service, api });
  return thrown.service === "" && service !== "" ? copyError(thrown, { service, api }) : thrown;
}

/** Most characters of a thrown message in details. Log lines and terminals cut it further. */
const maxMessageLength = 256 * 1024;

const plainFields = ["code", "message", "details", "service", "api"] as const;

const otherFields = ["id", "retryable", "httpStatus", "fix", "incident", "cause"] as const;

function isNoAccessor(error: object, field: string): boolean {
  const descriptor = Object.getOwnPropertyDescriptor(error, field);
  return descriptor === undefined || "value" in descriptor;
}

/** True for a failure as `new ServingError` makes it: no field is an accessor, and none has another type. */
export function isPlainFailure(error: ServingError): boolean {
  try {
    if (Object.getPrototypeOf(error) !== ServingError.prototype || !Object.isExtensible(error)) return false;
    for (const field of plainFields) {
      const value = Object.getOwnPropertyDescriptor(error, field)?.value;
      // An accessor has no value.
      if (field === "details" ? typeof value !== "object" || value === null : typeof value !== "string") return false;
    }
    return isCode(error.code) && otherFields.every((field) => isNoAccessor(error, field));
  } catch {
    return false;
  }
}

/**
 * Copies a failure with other fields, since an author may throw one error object many times and from several apis.
 * Keeps the stack. Fields that can't be read, or have the wrong type, get their defaults.
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

/** Formats a thrown value: the message of an error, else the value itself; cut at 256 Ki characters. Never throws. */
export function messageOf(thrown: unknown): string {
  if (isError(thrown))
    return readText(thrown, "message", maxMessageLength) || readText(thrown, "name") || "an error without a text";
  if (typeof thrown === "string") return thrown.slice(0, maxMessageLength);
  const kind = typeof thrown;
  return `${/^[ou]/.test(kind) ? "an" : "a"} ${kind} was thrown: ${textOf(thrown)}`;
}

/** Most causes of an error that are named. */
const maxCauses = 4;

/** Formats a thrown value with the messages of its causes: the outer message often only names what was attempted. */
export function messageWithCauses(thrown: unknown): string {
  const texts = [thrown, ...readCauses(thrown, maxCauses)].map((error) => messageOf(error).slice(0, maxTextLength));
  return texts.join("; caused by: ");
}
