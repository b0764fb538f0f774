import { newBytes } from "../base/new-bytes.js";
import { ServingError } from "../failure/serving-error.js";
import { copyError } from "../failure/to-serving-error.js";
import {
  addStep,
  copySelf,
  countVisit,
  forbiddenKey,
  formatValue,
  maxValueDepth,
  type PortableArray,
  Refusal,
  refuseSparse,
  refuseValue,
  type SelfCopying,
  tooDeep,
  walkBounded,
} from "./value-walk.js";

/**
 * Copies a value that goes from one service to another, so that later changes on one side don't show on the other.
 *
 * The copy is also the check that the value could cross to another process. Allowed are JSON values, `Uint8Array` and
 * the other arrays of tensors, `Tensor`, `Blob`, `File`, `Date`, `bigint`, `Map`, `Set` and `undefined`; everything
 * else is refused. Blobs and files are immutable and shared.
 *
 * @param name Role of the value in its call.
 * @throws {ServingError} `not_transferable` (an input) or `output_not_transferable`, with the path.
 */
export function copyValue(value: unknown, name: "input" | "output"): unknown {
  if (typeof value !== "object" || value === null) {
    if (typeof value !== "function" && typeof value !== "symbol") return value;
    throw refuseValue(new Refusal(formatValue(value)), name, value);
  }
  try {
    return walkBounded(value, copyRoot);
  } catch (error) {
    throw refuseValue(error, name, value);
  }
}

const copyRoot = (value: object): unknown => copyObject(value, 0);

function copyObject(value: object, depth: number): unknown {
  if (depth > maxValueDepth) throw tooDeep();
  countVisit();
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return copyRecord(value as Record<string, unknown>, depth);
  if (Array.isArray(value)) return copyArray(value, depth);
  if (copySelf in value) return (value as SelfCopying)[copySelf](copyElements);
  if (ArrayBuffer.isView(value)) return copyBytes(value);
  if (value instanceof Blob) return value;
  if (value instanceof Date) return new Date(value);
  if (value instanceof Map) return copyMap(value, depth);
  if (value instanceof Set) return new Set(copyArray([...value], depth));
  throw new Refusal(formatValue(value));
}

const hasOwn = Object.prototype.hasOwnProperty;

/** Copies field by field, which skips symbol keys: a spread would cost as much again to remove them. */
function copyRecord(source: Record<string, unknown>, depth: number): Record<string, unknown> {
  const target: Record<string, unknown> = {};
  for (const key in source) {
    if (!hasOwn.call(source, key)) continue;
    if (key === "__proto__") throw forbiddenKey();
    const item = source[key];
    const isPart = typeof item === "object" || typeof item === "function" || typeof item === "symbol";
    target[key] = isPart ? copyItem(item, `.${key}`, depth) : item;
  }
  return target;
}

function copyArray(source: readonly unknown[], depth: number): unknown[] {
  refuseSparse(source);
  const target = new Array<unknown>(source.length);
  for (let i = 0; i < source.length; i++) {
    const item = source[i];
    if (typeof item === "number" || typeof item === "string") target[i] = item;
    else target[i] = copyItem(item, i, depth);
  }
  return target;
}

/** Copies typed arrays of the dtypes of tensors. A `Buffer` becomes the `Uint8Array` it is. */
function copyBytes(view: ArrayBufferView): unknown {
  if (findPortable(view) === undefined) throw new Refusal(formatValue(view));
  return copyElements(view as PortableArray);
}

const portableTypes = [Uint8Array, Float32Array, Float64Array, Int32Array, BigInt64Array] as const;

/** Returns the portable array type of a view; `undefined` for any other view. */
const findPortable = (view: ArrayBufferView) => portableTypes.find((type) => view instanceof type);

/** Copies into a new buffer of the plain type: `slice` of a `Buffer` would not copy. */
function copyElements<T extends PortableArray>(source: T): T {
  const { buffer, byteOffset, byteLength, length } = source;
  const Plain = findPortable(source) as unknown as Float32ArrayConstructor;
  const bytes = newBytes(byteLength);
  bytes.set(new Uint8Array(buffer, byteOffset, byteLength));
  return new Plain(bytes.buffer as ArrayBuffer, 0, length) as T;
}

function copyMap(source: ReadonlyMap<unknown, unknown>, depth: number): Map<unknown, unknown> {
  const target = new Map<unknown, unknown>();
  for (const [key, item] of source) target.set(copyItem(key, "[key]", depth), copyItem(item, "[value]", depth));
  return target;
}

/** @param step Path step from the parent to the item. */
function copyItem(item: unknown, step: string | number, depth: number): unknown {
  if (typeof item !== "object" || item === null) {
    if (typeof item !== "function" && typeof item !== "symbol") return item;
    throw addStep(new Refusal(formatValue(item)), step);
  }
  try {
    return copyObject(item, depth + 1);
  } catch (error) {
    throw addStep(error, step);
  }
}

/**
 * Returns an author's value as it is now, for a reader that runs later: a slow check, or the other pieces of a call.
 * The author may reuse the same memory in the next call.
 *
 * Unlike `copyValue` it refuses nothing: a value that can't be copied is returned itself, since a schema may still
 * convert it. Costs nothing for a text or a number.
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

/**
 * Returns a failure with its own copy of the details: an author may have kept the object. Other values are returned
 * unchanged.
 */
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

/** A tensor whose fields no longer agree is refused by its check, in the words of the check. */
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
