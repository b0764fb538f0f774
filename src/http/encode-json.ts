import { encodeBase64 } from "../base/base64.js";
import {
  addStep,
  countVisit,
  formatValue,
  Refusal,
  refuseSparse,
  settlePromises,
  walkBounded,
} from "../call/value-walk.js";
import { isTensor, type Tensor } from "../define/tensor.js";
import { encodeInteger, encodeTensor } from "../define/tensor-forms.js";
import { fail } from "../failure/failures.js";

/** Forms of values that JSON has no notation for. */
export interface JsonForm {
  /** `lists`: nested arrays. `base64`: `{ dtype, shape, data }`. */
  readonly tensors: "lists" | "base64";
}

/** Deepest nesting that is encoded. A deeper answer almost certainly contains itself. */
const maxDepth = 500;

interface Encoding extends JsonForm {
  /** True when the result must share nothing with the value, because it is written later. */
  readonly isOwn: boolean;
  /**
   * Objects whose `data` is filled in later, with the blobs that it comes from: a blob's bytes can only be read
   * asynchronously.
   */
  blobs: Map<{ data: string }, Blob> | undefined;
}

/**
 * Turns an answer into a value that `JSON.stringify` writes without loss.
 *
 * Tensors, bytes, dates, maps, sets and bigints get their JSON forms. A blob or file becomes `{ name?, contentType,
 * data }` with data in base64. A value that needs no conversion is returned as it is, not copied.
 *
 * @returns The value to stringify; a promise of it only when it holds blobs.
 * @throws {ServingError} `not_json`, naming the path, for NaN, infinities and other values that JSON would drop or
 *   change.
 */
export function encodeJson(value: unknown, { tensors }: JsonForm): unknown | Promise<unknown> {
  if (value === undefined) return null;
  try {
    const { encoded, blobs } = encodeRoot(value, { tensors, isOwn: false, blobs: undefined });
    return blobs === undefined ? encoded : encodeWithBlobs(value, tensors);
  } catch (error) {
    settlePromises(value);
    if (error instanceof Refusal) throw fail("not_json", { path: `output${error.path}`, what: error.what });
    throw error;
  }
}

function encodeRoot(value: unknown, start: Encoding): { encoded: unknown; blobs: Encoding["blobs"] } {
  return walkBounded(value, () => {
    const encoding = { ...start };
    return { encoded: encodeItem(value, "", encoding, 0), blobs: encoding.blobs };
  });
}

/** Encodes the value again as a copy: it may change while the bytes of its blobs are read. */
async function encodeWithBlobs(value: unknown, tensors: JsonForm["tensors"]): Promise<unknown> {
  const { encoded, blobs } = encodeRoot(value, { tensors, isOwn: true, blobs: undefined });
  for (const [target, blob] of blobs ?? []) {
    target.data = encodeBase64(new Uint8Array(await blob.arrayBuffer()));
  }
  return encoded;
}

/** @param step Step from the parent to the item, e.g. `".name"`. */
function encodeItem(item: unknown, step: string, encoding: Encoding, depth: number): unknown {
  switch (typeof item) {
    case "string":
    case "boolean":
      return item;
    case "number":
      if (Number.isFinite(item)) return item;
      return refuse(String(item), step);
    case "bigint":
      return encodeInteger(item);
    case "object":
      if (item === null) return null;
      return encodeObject(item, step, encoding, depth);
    default:
      return refuse(item === undefined ? "undefined" : `a ${typeof item}`, step);
  }
}

function refuse(what: string, step: string): never {
  const refusal = new Refusal(what);
  refusal.path = step;
  throw refusal;
}

function encodeObject(value: object, step: string, encoding: Encoding, depth: number): unknown {
  try {
    countVisit();
    if (depth > maxDepth) throw new Refusal(`nested more than ${maxDepth} levels deep, or contains itself`);
    if (Array.isArray(value)) return encodeArray(value, encoding, depth);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      if ("dtype" in value && isTensor(value)) return writeTensor(value, encoding);
      return encodeRecord(value as Record<string, unknown>, encoding, depth);
    }
    return encodeSpecial(value, encoding, depth);
  } catch (error) {
    throw addStep(error, step);
  }
}

function encodeSpecial(value: object, encoding: Encoding, depth: number): unknown {
  if (isTensor(value)) return writeTensor(value, encoding);
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new Refusal("an invalid Date");
    return value.toISOString();
  }
  if (value instanceof Uint8Array) return encodeBase64(value);
  if (value instanceof Blob) return encodeBlob(value, encoding);
  if (value instanceof Map) return encodeMap(value, encoding, depth);
  if (value instanceof Set) return encodeArray([...value], encoding, depth);
  if (ArrayBuffer.isView(value)) throw new Refusal(`a ${value.constructor.name}; return a Tensor or an array`);
  throw new Refusal(formatValue(value));
}

function encodeArray(source: readonly unknown[], encoding: Encoding, depth: number): readonly unknown[] {
  refuseSparse(source);
  let target = encoding.isOwn ? source.slice() : undefined;
  for (let i = 0; i < source.length; i++) {
    const item = source[i];
    // Long lists are lists of numbers.
    if (typeof item === "number" && Number.isFinite(item)) continue;
    if (typeof item === "string") continue;
    const encoded = encodeItem(item, `[${i}]`, encoding, depth + 1);
    if (encoded !== item) (target ??= source.slice())[i] = encoded;
  }
  return target ?? source;
}

function encodeRecord(source: Record<string, unknown>, encoding: Encoding, depth: number): object {
  let target: Record<string, unknown> | undefined = encoding.isOwn ? { ...source } : undefined;
  for (const key of Object.keys(source)) {
    const item = source[key];
    // JSON drops such a field, which is the meaning of an undefined field.
    if (item === undefined || typeof item === "string") continue;
    const encoded = encodeItem(item, `.${key}`, encoding, depth + 1);
    if (encoded !== item) (target ??= { ...source })[key] = encoded;
  }
  return target ?? source;
}

function encodeMap(source: ReadonlyMap<unknown, unknown>, encoding: Encoding, depth: number): object {
  const entries: [string, unknown][] = [];
  for (const [key, item] of source) {
    if (typeof key !== "string") throw new Refusal(`a Map with a key of type ${typeof key}; JSON has only string keys`);
    entries.push([key, encodeItem(item, `.${key}`, encoding, depth + 1)]);
  }
  // `Object.fromEntries` defines properties, so `__proto__` is a plain key.
  return Object.fromEntries(entries);
}

function writeTensor(value: Tensor, { tensors }: Encoding): unknown {
  if (tensors === "base64") return encodeTensor(value);
  if (value.shape.length === 0) return encodeElement(value, 0);
  return nestElements(value, 0, 0, value.data.length);
}

/** Returns the elements `from` to `from + size` as nested lists, of the dimensions from `depth` on. */
function nestElements(value: Tensor, depth: number, from: number, size: number): readonly unknown[] {
  const count = value.shape[depth] as number;
  const list = new Array<unknown>(count);
  const step = count === 0 ? 0 : size / count;
  const isInnermost = depth === value.shape.length - 1;
  for (let i = 0; i < count; i++) {
    list[i] = isInnermost ? encodeElement(value, from + i) : nestElements(value, depth + 1, from + i * step, step);
  }
  return list;
}

function encodeElement(value: Tensor, at: number): number | string {
  const element = value.data[at] as number | bigint;
  if (typeof element === "bigint") return encodeInteger(element);
  if (Number.isFinite(element)) return element;
  const refusal = new Refusal(`${element}, which only binary forms of a tensor carry`);
  refusal.path = elementPath(value.shape, at);
  throw refusal;
}

/** Formats an element's index as a path: 5 in shape [2, 3] → `"[1][2]"`. */
function elementPath(shape: readonly number[], at: number): string {
  let path = "";
  let rest = at;
  for (const dim of shape.toReversed()) {
    path = `[${rest % dim}]${path}`;
    rest = Math.floor(rest / dim);
  }
  return path;
}

function encodeBlob(value: Blob, encoding: Encoding): unknown {
  const name = value instanceof File ? { name: value.name } : undefined;
  const encoded = { ...name, contentType: value.type || "application/octet-stream", data: "" };
  encoding.blobs ??= new Map();
  encoding.blobs.set(encoded, value);
  return encoded;
}
