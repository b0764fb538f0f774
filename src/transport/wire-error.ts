import { fail } from "../failure/failures.js";
import { maxTextLength, readField, readText } from "../failure/read-thrown.js";
import { createWithoutFrames, isCode, ServingError, type ServingErrorInit } from "../failure/serving-error.js";
import { isPlainFailure, messageOf } from "../failure/to-serving-error.js";
import { decodeValue } from "./decode-value.js";
import { noTails } from "./frame.js";
import { markValue } from "./mark-value.js";

// Limits in characters, such that a failure always fits in a frame.
const maxStackLength = 8 * 1024;
/** Objects that details may have when they share objects. */
const maxDetailObjects = 1 << 14;
const detailBounds = { maxTails: 0, minTailChars: Number.POSITIVE_INFINITY, free: maxDetailObjects };
/** Fields of details that are checked one by one. */
const maxFields = 1_000;
const maxErrorLength = 1024 * 1024;

/**
 * Encodes a failure as the head of a frame. Never throws.
 *
 * All fields cross but `cause`; the stack crosses as text, for the caller's log. Texts are cut at 16 Ki characters.
 * Details that may not cross, by the rules of `copyValue`, are left out, as are files, and those that make it more than
 * 1 MiB.
 */
export function encodeError(error: ServingError): string {
  const details = readField(error, "details");
  const fields = encodeFields(error);
  return encodeWith(fields, details) ?? encodeWith(fields, keepPortable(details)) ?? JSON.stringify(fields);
}

/**
 * Returns a failure as it would arrive over a boundary, for a caller in the same thread: a copy that shares nothing
 * with the thrown failure, without the cause and without details that can't cross.
 */
export function crossError(error: ServingError): ServingError {
  const details = isPlainFailure(error) ? copyPlainDetails(error.details) : undefined;
  return details === undefined ? decodeError(encodeError(error)) : readError({ ...encodeFields(error), details });
}

const maxPlainFields = 16;

/**
 * Copies details that are a few numbers and short texts, like those of the failure table: they need no encoding.
 *
 * @returns `undefined` for all others.
 */
function copyPlainDetails(details: object): Record<string, unknown> | undefined {
  try {
    if (Object.getPrototypeOf(details) !== Object.prototype) return undefined;
    const keys = Object.keys(details);
    if (keys.length > maxPlainFields) return undefined;
    const copy: Record<string, unknown> = {};
    for (const key of keys) {
      const value: unknown = Object.getOwnPropertyDescriptor(details, key)?.value;
      if (!isPlain(value) || key === "__proto__") return undefined;
      copy[key] = value;
    }
    return copy;
  } catch {
    return undefined;
  }
}

const isPlain = (value: unknown): boolean =>
  typeof value === "number" ||
  typeof value === "boolean" ||
  (typeof value === "string" && value.length <= maxTextLength);

/**
 * Decodes a failure that `encodeError` has encoded: the same class, the same fields, the stack of its origin. Never
 * throws: a text that is no failure becomes `malformed_frame`, and an unknown code `internal`.
 */
export function decodeError(text: string): ServingError {
  try {
    return readError(decodeValue(text, noTails, true));
  } catch (error) {
    return error instanceof ServingError ? error : fail("malformed_frame", { problem: messageOf(error) });
  }
}

type Fields = Readonly<Record<string, unknown>>;

function encodeFields(error: ServingError): Fields {
  const read = (key: keyof ServingError) => readText(error, key);
  const httpStatus = readField(error, "httpStatus");
  return {
    code: read("code"),
    id: read("id"),
    message: read("message") ?? "",
    service: read("service"),
    api: read("api"),
    fix: read("fix"),
    incident: read("incident"),
    stack: read("stack")?.slice(0, maxStackLength),
    retryable: readField(error, "retryable") === true,
    httpStatus: typeof httpStatus === "number" ? httpStatus : undefined,
  };
}

/** @returns `undefined` when details can't cross or are too long. */
function encodeWith(fields: Fields, details: unknown): string | undefined {
  try {
    // Marked by their kinds, as fields of an object, and without tails: their bytes are in the text.
    const text = JSON.stringify({ ...fields, ...(markValue({ details }, detailBounds).tree as object) });
    return text.length <= maxErrorLength ? text : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the fields of details that can cross, as far as there is room. */
function keepPortable(details: unknown): object {
  const kept: [string, unknown][] = [];
  let room = maxErrorLength / 2;
  for (const key of keysOf(details)) {
    const field = readDetail(details, key);
    const text = encodeWith({}, Object.fromEntries([field]));
    if (text === undefined || text.length > room) continue;
    room -= text.length;
    kept.push(field);
  }
  return Object.fromEntries(kept);
}

function keysOf(details: unknown): string[] {
  try {
    return Object.keys(details as object).slice(0, maxFields);
  } catch {
    return [];
  }
}

function readDetail(details: unknown, key: string): [string, unknown] {
  try {
    return [key, (details as Record<string, unknown>)[key]];
  } catch (error) {
    return [key, `(can't be read: ${messageOf(error)})`];
  }
}

function readError(value: unknown): ServingError {
  const fields = isRecord(value) ? value : {};
  const { code, message, retryable, httpStatus, details, stack } = fields;
  if (typeof message !== "string") throw fail("malformed_frame", { problem: "a failure without a message" });
  const read = (key: string): string | undefined => (typeof fields[key] === "string" ? fields[key] : undefined);
  const init: ServingErrorInit = {
    code: isCode(code) ? code : "internal",
    id: read("id"),
    message,
    details: isRecord(details) ? details : {},
    service: read("service"),
    api: read("api"),
    fix: read("fix"),
    incident: read("incident"),
    retryable: typeof retryable === "boolean" ? retryable : undefined,
    httpStatus: typeof httpStatus === "number" ? httpStatus : undefined,
  };
  return typeof stack === "string" ? createWithoutFrames(init, stack) : new ServingError(init);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
