import { encodeBase64 } from "../base/base64.js";
import {
  addStep,
  copySelf,
  countVisit,
  forbiddenKey,
  formatValue,
  maxValueDepth,
  Refusal,
  refuseSparse,
  tooDeep,
  walkBounded,
} from "../call/value-walk.js";
import { arrayByDType, type DType, heldBytesOf, Tensor } from "../define/tensor.js";
import { heldFileOf } from "../held/held-blob.js";
import { HeldFile, type Tail } from "../held/held-file.js";
import { LongText } from "../held/long-text.js";

/** A value as a tree that `JSON.stringify` writes without loss, and the bytes that stay outside the tree. */
export interface MarkedValue {
  /** Shares all parts without marks with the value: to be written before the value can change. */
  readonly tree: unknown;
  readonly tails: readonly Tail[];
  /** Blobs and files whose bytes are still to be read, by the index of their tail; absent when there are none. */
  readonly blobs: ReadonlyMap<number, Blob> | undefined;
}

/** Limits for tails. */
interface MarkBounds {
  /** Number of byte arrays that may be tails. Further ones go into the tree as base64; further files are refused. */
  readonly maxTails: number;
  /** Characters from which on a text is a tail. */
  readonly minTailChars: number;
  /** See `walkBounded`. */
  readonly free?: number;
}

/** State of one walk. */
interface Marking {
  readonly maxTails: number;
  readonly minTailChars: number;
  readonly tails: Tail[];
  blobs: Map<number, Blob> | undefined;
}

/**
 * Replaces each value that JSON can't write by a mark.
 *
 * @throws {Refusal} for a value that may not cross, exactly as `copyValue` refuses it.
 */
export function markValue(value: unknown, { maxTails, minTailChars, free }: MarkBounds): MarkedValue {
  const walk = (root: unknown): MarkedValue => {
    const marking: Marking = { maxTails, minTailChars, tails: [], blobs: undefined };
    const tree = markItem(root, "", -1, marking);
    return { tree, tails: marking.tails, blobs: marking.blobs };
  };
  return walkBounded(value, walk, free);
}

/** True when JSON writes a number as it is: finite, and not -0. */
export const isPlainNumber = (value: number): boolean => value - value === 0 && (value !== 0 || 1 / value > 0);

const toMark = (content: string | readonly unknown[]): object => ({ [markKey]: content });

/** Returns the name of a number that JSON can't write. */
const nameNumber = (value: number): string => (value === 0 ? "-0" : String(value));

/**
 * @param step Path step from the parent to the item.
 * @param depth Depth of the parent.
 */
function markItem(item: unknown, step: string | number, depth: number, marking: Marking): unknown {
  switch (typeof item) {
    case "string":
      return item.length < marking.minTailChars ? item : markText(item, marking);
    case "boolean":
      return item;
    case "number":
      return isPlainNumber(item) ? item : toMark(nameNumber(item));
    case "undefined":
      return toMark("undefined");
    case "bigint":
      // Hexadecimal digits are read in linear time, unlike decimal ones.
      return toMark(["bigint", item.toString(16)]);
    case "object":
      if (item === null) return null;
      try {
        return markObject(item, depth + 1, marking);
      } catch (error) {
        throw addStep(error, step);
      }
    default:
      throw addStep(new Refusal(formatValue(item)), step);
  }
}

/** Asks in the same order as `copyValue`, since an object may match several kinds. */
function markObject(value: object, depth: number, marking: Marking): unknown {
  if (depth > maxValueDepth) throw tooDeep();
  countVisit();
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return markRecord(value as Plain, depth, marking);
  if (Array.isArray(value)) return markArray(value, depth, marking);
  if (copySelf in value) return markTensor(value as unknown as Tensor, marking);
  if (ArrayBuffer.isView(value)) return markBytes(value, marking);
  if (value instanceof Blob) return markBlob(value, marking);
  if (value instanceof Date) return toMark(["date", Date.prototype.getTime.call(value)]);
  if (value instanceof Map) return markMap(value, depth, marking);
  if (value instanceof Set) return toMark(["set", markArray([...value], depth, marking)]);
  throw new Refusal(formatValue(value));
}

type Plain = Record<string, unknown> & { toJSON?: unknown };

function markRecord(source: Plain, depth: number, marking: Marking): unknown {
  // A copy has no hidden toJSON.
  let target = source.toJSON === undefined ? undefined : { ...source };
  let looksLikeMark = false;
  for (const key of Object.keys(source)) {
    if (key === "__proto__") throw forbiddenKey();
    if (key === markKey) looksLikeMark = true;
    const item = source[key];
    const marked = markItem(item, `.${key}`, depth, marking);
    if (marked !== item) (target ??= { ...source })[key] = marked;
  }
  return looksLikeMark ? toMark(["record", target ?? source]) : (target ?? source);
}

function markArray(source: readonly unknown[] & { toJSON?: unknown }, depth: number, marking: Marking): unknown {
  refuseSparse(source);
  let target = source.toJSON === undefined ? undefined : [...source];
  for (let i = 0; i < source.length; i++) {
    const item = source[i];
    // Long lists are lists of numbers.
    if (typeof item === "number" && isPlainNumber(item)) continue;
    const marked = markItem(item, i, depth, marking);
    if (marked !== item) (target ??= [...source])[i] = marked;
  }
  return target ?? source;
}

/** Keys and values in turn. */
function markMap(source: ReadonlyMap<unknown, unknown>, depth: number, marking: Marking): unknown {
  const items: unknown[] = [];
  for (const [key, item] of source) {
    items.push(markItem(key, "[key]", depth, marking), markItem(item, "[value]", depth, marking));
  }
  return toMark(["map", items]);
}

/** @throws {ServingError} `invalid_input`, like its own copying, when its shape was replaced afterwards. */
function markTensor(value: Tensor, marking: Marking): unknown {
  const held = heldBytesOf(value);
  if (held instanceof HeldFile && held.name !== undefined && marking.tails.length < marking.maxTails) {
    return toMark(["tensor", value.dtype, value.shape, marking.tails.push(held) - 1]);
  }
  const { dtype, shape, data } = new Tensor(value.dtype, [...value.shape], value.data);
  return toMark(["tensor", dtype, shape, placeBytes(data, marking)]);
}

function markText(text: string, { tails, maxTails }: Marking): unknown {
  if (tails.length >= maxTails) return text;
  const tail = new LongText(text);
  return toMark(["text", tail.form, tails.push(tail) - 1]);
}

const dtypes = Object.entries(arrayByDType) as [DType, (typeof arrayByDType)[DType]][];

/** Marks typed arrays of the dtypes of tensors. A `Buffer` becomes the `Uint8Array` it is. */
function markBytes(view: ArrayBufferView, marking: Marking): unknown {
  for (const [dtype, array] of dtypes) {
    if (view instanceof array) return toMark([dtype, placeBytes(view, marking)]);
  }
  throw new Refusal(formatValue(view));
}

/** Gives bytes a tail. @returns The index of the tail, or the bytes as base64 when there are too many. */
function placeBytes(view: ArrayBufferView, { tails, maxTails }: Marking): number | string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return tails.length < maxTails ? tails.push(bytes) - 1 : encodeBase64(bytes);
}

const noBytes = new Uint8Array();

function markBlob(blob: Blob, marking: Marking): unknown {
  const { tails, maxTails } = marking;
  if (tails.length >= maxTails) throw new Refusal(`a file beyond the ${maxTails} files and byte arrays allowed`);
  const held = heldFileOf(blob);
  const tail = tails.push(held ?? noBytes) - 1;
  if (held === undefined) {
    marking.blobs ??= new Map();
    marking.blobs.set(tail, blob);
  }
  if (!(blob instanceof File)) return toMark(["blob", blob.type, tail]);
  const { name, type, lastModified } = blob;
  return toMark(["file", name, type, isPlainNumber(lastModified) ? lastModified : nameNumber(lastModified), tail]);
}

// A value that JSON can't write becomes a mark, an object with the one key "$":
//
//   { "$": "NaN" }                        a value without parts
//   { "$": ["date", 1700000000000] }      a kind and its parts
//
// A record of the author's that has this key is itself marked, so that it is never taken for a mark.
// docs/reference/wire.md lists the kinds.

/** The one key of a mark. */
export const markKey = "$";

/**
 * Characters from which on texts are tails: JSON looks at each of their characters when it writes and when it reads.
 * Shorter ones are cheaper in the text.
 */
export const minTailChars = 32_768;

/** Tails that fit in one frame; further ones go into the text as base64. */
export const maxTails = 65_535;

/** Values whose mark has no parts, by their text. */
export const namedValues: ReadonlyMap<string, undefined | number> = new Map<string, undefined | number>([
  ["undefined", undefined],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
]);
