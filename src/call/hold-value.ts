import { ServingError } from "../failure/serving-error.js";
import { copyError } from "../failure/to-serving-error.js";
import { copySelf, type SelfCopying } from "./copy-self.js";
import { copyElements, findPortable } from "./copy-value.js";
import { maxValueDepth, refuseValue } from "./refuse-value.js";
import { countVisit, refuseSparse, walkBounded } from "./value-walk.js";

/**
 * A value of an author's as it is now, for whoever reads it after others have run: a check that takes its time, the other
 * pieces of a call. Its author may use the same memory again as soon as it is asked for something else.
 *
 * Unlike `copyValue` it refuses nothing: what can't be copied stays what it is, since a schema may still make something else
 * of it. Costs nothing for a text or a number.
 */
export function holdValue(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  try {
    return walkBounded(value, holdRoot);
  } catch (error) {
    throw refuseValue(error, "output", value);
  }
}

const holdRoot = (value: object): unknown => holdItem(value, 0);

/** A failure with its own details, of which an author may have kept the object. What is none stays what it is. */
export function holdError(thrown: unknown): unknown {
  if (!(thrown instanceof ServingError)) return thrown;
  try {
    return copyError(thrown, { details: holdValue(thrown.details) as ServingError["details"] });
  } catch {
    return copyError(thrown, {});
  }
}

function holdItem(item: unknown, depth: number): unknown {
  if (typeof item !== "object" || item === null || depth > maxValueDepth) return item;
  countVisit();
  const prototype: unknown = Object.getPrototypeOf(item);
  if (prototype === Object.prototype || prototype === null) return holdRecord(item as Record<string, unknown>, depth);
  if (Array.isArray(item)) refuseSparse(item);
  if (Array.isArray(item)) return item.map((each) => holdItem(each, depth + 1));
  if (copySelf in item) return holdTensor(item as SelfCopying);
  if (ArrayBuffer.isView(item)) return holdBytes(item);
  if (item instanceof Date) return new Date(item);
  if (item instanceof Map) {
    return new Map([...item].map(([key, each]) => [holdItem(key, depth + 1), holdItem(each, depth + 1)]));
  }
  if (item instanceof Set) return new Set([...item].map((each) => holdItem(each, depth + 1)));
  return item;
}

function holdRecord(source: Record<string, unknown>, depth: number): Record<string, unknown> {
  const target: Record<string, unknown> = { ...source };
  for (const key in target) {
    if (typeof target[key] === "object") target[key] = holdItem(target[key], depth + 1);
  }
  return target;
}

/** One whose fields don't agree any more is refused by its check, in the check's own words. */
function holdTensor(item: SelfCopying): unknown {
  try {
    return item[copySelf](copyElements);
  } catch {
    return item;
  }
}

function holdBytes(view: ArrayBufferView): ArrayBufferView {
  if (Buffer.isBuffer(view)) return Buffer.from(view);
  return findPortable(view) === undefined ? view : copyElements(view as Uint8Array);
}
