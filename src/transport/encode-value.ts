import { constants } from "node:buffer";
import { countVisit, maxValueDepth, Refusal, refuseValue, walkBounded } from "../call/value-walk.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { FileStore } from "../held/file-store.js";
import { minHeldBytes } from "../held/held-bytes.js";
import { HeldFile, type Tail } from "../held/held-file.js";
import { spoolBlob } from "../held/spool-file.js";
import { maxFrameBytes, noTails } from "./frame.js";
import { isPlainNumber, type MarkedValue, markValue, maxTails, minTailChars } from "./mark-value.js";

/** A value in the form in which a frame carries it. */
export interface EncodedValue {
  /** JSON without raw newlines. */
  readonly text: string;
  /** Raw bytes of tensors, byte arrays and files: views of the value itself, not copies; or files that hold them. */
  readonly tails: readonly Tail[];
  /** True when decoding has to look for marks; false for plain JSON, the fast way. */
  readonly isMarked: boolean;
}

/**
 * Encodes a value for the wire. Allowed and refused values are those of `copyValue`.
 *
 * Plain JSON costs one look at each item and `JSON.stringify`. Elements of a tensor are never looked at.
 *
 * @param name Role of the value in its call.
 * @param files Store for large files of the author that are in memory.
 * @param textsStay True when long texts stay in the text, so that it is the same for equal values.
 * @returns A promise only if the value holds a `Blob` or `File`, whose bytes are read later. The value may be changed
 * meanwhile: its other tails are then copies.
 * @throws {ServingError} `not_transferable` (an input) or `output_not_transferable`, with the path; `payload_too_large`
 * for more than a text can hold.
 */
export function encodeValue(
  value: unknown,
  name: "input" | "output",
  files?: FileStore,
  textsStay = false,
): EncodedValue | Promise<EncodedValue> {
  plainChars = textsStay ? Number.POSITIVE_INFINITY : minTailChars;
  if (isPlainValue(value, name)) return { text: stringify(value), tails: noTails, isMarked: false };
  const { tree, tails, blobs } = mark(value, name);
  const text = stringify(tree);
  if (blobs === undefined) return { text, tails: tails.length === 0 ? noTails : tails, isMarked: true };
  return readBlobs(tails, blobs, files).then(
    (read) => ({ text, tails: read, isMarked: true }),
    (error: unknown) => {
      if (error instanceof ServingError) throw error;
      throw refuseValue(new Refusal(`a value with a Blob that can't be read (${messageOf(error)})`), name, value);
    },
  );
}

function mark(value: unknown, name: "input" | "output"): MarkedValue {
  try {
    return markValue(value, { maxTails, minTailChars: plainChars });
  } catch (error) {
    throw refuseValue(error, name, value);
  }
}

/** @throws {ServingError} as `encodeValue`. */
function isPlainValue(value: unknown, name: "input" | "output"): boolean {
  if (typeof value !== "object" || value === null) return isPlain(value, 0);
  try {
    return walkBounded(value, isPlainRoot);
  } catch (error) {
    throw refuseValue(error, name, value);
  }
}

const isPlainRoot = (value: object): boolean => isPlainObject(value, 0);

/** Characters left for texts of the current value: more of them are no plain JSON. */
let plainChars = minTailChars;

/** True when `JSON.stringify` alone loses nothing of a value. Allocates nothing. */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
      return value.length < plainChars;
    case "boolean":
      return true;
    case "number":
      return isPlainNumber(value);
    case "object":
      return value === null || isPlainObject(value, depth);
    default:
      return false;
  }
}

function isPlainObject(value: object, depth: number): boolean {
  if (depth > maxValueDepth) return false;
  countVisit();
  // JSON.stringify would call it, even where no loop over keys shows it.
  if ((value as { toJSON?: unknown }).toJSON !== undefined) return false;
  if (Array.isArray(value)) return isPlainArray(value, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const record = value as Record<string, unknown>;
  for (const key in record) {
    if (key === "__proto__" || !isPlain(record[key], depth + 1)) return false;
  }
  return true;
}

function isPlainArray(list: readonly unknown[], depth: number): boolean {
  for (let i = 0; i < list.length; i++) {
    const item = list[i];
    // Long lists are lists of numbers.
    if (typeof item === "number" ? !isPlainNumber(item) : !isPlain(item, depth + 1)) return false;
  }
  return true;
}

function stringify(tree: unknown): string {
  try {
    return JSON.stringify(tree);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw fail("payload_too_large", { bytes: constants.MAX_STRING_LENGTH, maxBytes: maxFrameBytes }, { cause: error });
  }
}

async function readBlobs(
  tails: readonly Tail[],
  blobs: ReadonlyMap<number, Blob>,
  files: FileStore | undefined,
): Promise<Tail[]> {
  let bytes = 0;
  for (const blob of blobs.values()) if (!mayLieInFile(blob, files)) bytes += blob.size;
  checkSize(bytes);
  const reading = tails.map(async (tail, i) => {
    const blob = blobs.get(i);
    if (blob !== undefined) return readBlob(blob, files);
    if (tail instanceof Uint8Array) return new Uint8Array(tail);
    // The author may change its tensor meanwhile.
    if (tail instanceof HeldFile) tail.share();
    return tail;
  });
  return Promise.all(reading);
}

const mayLieInFile = (blob: Blob, files: FileStore | undefined): boolean =>
  files !== undefined && blob.size >= minHeldBytes && files.hasDisk;

/** Refuses bytes that are too many for a frame before they are read. @throws {ServingError} `payload_too_large`. */
function checkSize(bytes: number): void {
  if (bytes > maxFrameBytes) throw fail("payload_too_large", { bytes, maxBytes: maxFrameBytes });
}

/** Reads a blob. A large one is written to a file before it is sent, and is in memory only in pieces. */
async function readBlob(blob: Blob, files: FileStore | undefined): Promise<Tail> {
  if (mayLieInFile(blob, files)) {
    const spooled = await spoolBlob(files as FileStore, blob);
    if (spooled !== undefined) return spooled;
    checkSize(blob.size);
  }
  return new Uint8Array(await blob.arrayBuffer());
}
