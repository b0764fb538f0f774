import { decodeBase64 } from "../base/base64.js";
import { hasFewBrackets } from "../base/is-deeper.js";
import { maxValueDepth } from "../call/value-walk.js";
import { arrayByDType, createHeldTensor, type DType, Tensor } from "../define/tensor.js";
import { messageOf } from "../failure/to-serving-error.js";
import { createHeldBlob, createHeldFile } from "../held/held-blob.js";
import { decodedBytes } from "../held/held-bytes.js";
import { HeldFile, type Tail } from "../held/held-file.js";
import { makeText } from "../held/long-text.js";
import { loadTail, malformed } from "./frame.js";
import { markKey, namedValues } from "./mark-value.js";

/**
 * Decodes a value that `encodeValue` has encoded.
 *
 * The text is not trusted: keys that reach a prototype, endless nesting and marks that fit nothing are refused, and
 * only fields that the text itself defines are assigned.
 *
 * @param tails Each over an `ArrayBuffer` of its own, from its first byte to its last. Tensors and byte arrays keep
 *   them.
 * @param isMarked True when the text may hold marks.
 * @throws {ServingError} `malformed_frame`.
 */
export function decodeValue(text: string, tails: readonly Tail[], isMarked: boolean): unknown {
  const value = parse(text);
  if (!isMarked) {
    if (tails.length > 0) throw malformed(`its value has ${tails.length} tails and no mark`);
    if (typeof value === "object" && value !== null && !isHarmless(text)) checkPlain(value, 0);
    return value;
  }
  const decoding: Decoding = { tails: [...tails], left: tails.length };
  const decoded = decodeItem(value, 0, decoding);
  if (decoding.left > 0) throw malformed(`${decoding.left} of its ${tails.length} tails belong to no mark`);
  return decoded;
}

interface Decoding {
  /** A taken tail leaves `undefined`. */
  readonly tails: (Tail | undefined)[];
  left: number;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed(`its value is no JSON: ${messageOf(error)}`);
  }
}

const tooDeep = () => malformed(`its value is nested more than ${maxValueDepth} levels deep`);
const forbiddenKey = () => malformed("its value has a key __proto__");

/**
 * True when a text has neither the forbidden key nor too many levels: the case of nearly all texts, and faster than a
 * walk.
 */
function isHarmless(text: string): boolean {
  // An escape may spell any key in another way.
  return !text.includes("__proto__") && !text.includes("\\u") && hasFewBrackets(text, maxValueDepth);
}

function checkPlain(value: object, depth: number): void {
  if (depth > maxValueDepth) throw tooDeep();
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const item: unknown = value[i];
      if (typeof item === "object" && item !== null) checkPlain(item, depth + 1);
    }
    return;
  }
  const record = value as Record<string, unknown>;
  for (const key in record) {
    if (key === "__proto__") throw forbiddenKey();
    const item = record[key];
    if (typeof item === "object" && item !== null) checkPlain(item, depth + 1);
  }
}

/** Decodes in place: the tree was just parsed and has no other owner. @param depth Depth of the item itself. */
function decodeItem(item: unknown, depth: number, decoding: Decoding): unknown {
  if (typeof item !== "object" || item === null) return item;
  if (Array.isArray(item)) return decodeArray(item, depth, decoding);
  const record = item as Record<string, unknown>;
  if (Object.hasOwn(record, markKey)) return decodeMark(record, depth, decoding);
  return decodeRecord(record, depth, decoding);
}

function decodeArray(list: unknown[], depth: number, decoding: Decoding): unknown[] {
  if (depth > maxValueDepth) throw tooDeep();
  for (let i = 0; i < list.length; i++) {
    const item = list[i];
    if (typeof item === "object" && item !== null) list[i] = decodeItem(item, depth + 1, decoding);
  }
  return list;
}

/** Keys are the record's own, and fields of parsed JSON have no setters. */
function decodeRecord(record: Record<string, unknown>, depth: number, decoding: Decoding): object {
  if (depth > maxValueDepth) throw tooDeep();
  for (const key of Object.keys(record)) {
    if (key === "__proto__") throw forbiddenKey();
    const item = record[key];
    if (typeof item === "object" && item !== null) record[key] = decodeItem(item, depth + 1, decoding);
  }
  return record;
}

function decodeMark(record: Record<string, unknown>, depth: number, decoding: Decoding): unknown {
  const content = record[markKey];
  if (Object.keys(record).length !== 1) throw malformed("a mark has further keys");
  if (typeof content === "string" && namedValues.has(content)) return namedValues.get(content);
  if (!Array.isArray(content)) throw malformed("a mark is of no known kind");
  const decoded = decodeParts(content, depth, decoding);
  if (decoded === undefined) throw malformed(`a mark of kind ${describeKind(content[0])} has parts that don't fit it`);
  return decoded;
}

/** @returns `undefined` for an unknown kind, or a kind with other parts than its own. */
function decodeParts(parts: readonly unknown[], depth: number, decoding: Decoding): unknown {
  const [kind, first, second, third, fourth] = parts;
  switch (kind) {
    case "bigint":
      return parts.length === 2 ? decodeInteger(first) : undefined;
    case "date":
      return parts.length === 2 ? decodeDate(first) : undefined;
    case "text":
      return parts.length === 3 ? decodeText(first, second, decoding) : undefined;
    case "tensor":
      return parts.length === 4 ? decodeTensor(first, second, third, decoding) : undefined;
    case "blob":
      return parts.length === 3 ? decodeBlob(first, second, decoding) : undefined;
    case "file":
      return parts.length === 5 ? decodeFile([first, second, third], fourth, decoding) : undefined;
    case "map":
      return parts.length === 2 ? decodeMap(first, depth, decoding) : undefined;
    case "set":
      return parts.length === 2 && Array.isArray(first) ? new Set(decodeArray(first, depth, decoding)) : undefined;
    case "record":
      return parts.length === 2 && isRecord(first) ? decodeRecord(first, depth, decoding) : undefined;
    default:
      return parts.length === 2 ? decodeBytes(kind, first, decoding) : undefined;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const describeKind = (kind: unknown): string => (typeof kind === "string" ? kind.slice(0, 40) : "(no text)");

function decodeInteger(digits: unknown): bigint | undefined {
  if (typeof digits !== "string" || !/^-?[0-9a-f]+$/.test(digits)) return undefined;
  return digits.startsWith("-") ? -BigInt(`0x${digits.slice(1)}`) : BigInt(`0x${digits}`);
}

const decodeDate = (time: unknown): Date | undefined =>
  time === null ? new Date(Number.NaN) : typeof time === "number" ? new Date(time) : undefined;

function decodeText(form: unknown, tail: unknown, decoding: Decoding): string | undefined {
  if (typeof tail !== "number" || (form !== "latin1" && form !== "utf16")) return undefined;
  const held = decoding.tails[tail];
  if (form === "utf16" && held !== undefined && held.byteLength % 2 !== 0) return undefined;
  if (held instanceof HeldFile) return takeHeld(tail, held, decoding).takeText(form);
  return makeText(takeTail(tail, decoding), form);
}

function decodeMap(items: unknown, depth: number, decoding: Decoding): Map<unknown, unknown> | undefined {
  if (!Array.isArray(items) || items.length % 2 !== 0) return undefined;
  decodeArray(items, depth, decoding);
  const map = new Map<unknown, unknown>();
  for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1]);
  return map;
}

function decodeTensor(dtype: unknown, shape: unknown, tail: unknown, decoding: Decoding): Tensor | undefined {
  const held = typeof tail === "number" ? decoding.tails[tail] : undefined;
  const data = held instanceof HeldFile ? takeHeld(tail as number, held, decoding) : decodeBytes(dtype, tail, decoding);
  if (data === undefined) return undefined;
  try {
    if (data instanceof HeldFile) return createHeldTensor(dtype as DType, shape as number[], data);
    return new Tensor(dtype as DType, shape as number[], data as never);
  } catch (error) {
    throw malformed(`a tensor: ${messageOf(error)}`);
  }
}

function decodeBytes(dtype: unknown, tail: unknown, decoding: Decoding): ArrayBufferView | undefined {
  if (typeof dtype !== "string" || !Object.hasOwn(arrayByDType, dtype)) return undefined;
  const bytes = takeTail(tail, decoding);
  if (dtype === "uint8") return bytes;
  const array = arrayByDType[dtype as DType];
  if (bytes.byteLength % array.BYTES_PER_ELEMENT !== 0) {
    throw malformed(`${bytes.byteLength} bytes are no whole number of ${dtype} elements`);
  }
  return new array(bytes.buffer as ArrayBuffer);
}

function decodeBlob(type: unknown, tail: unknown, decoding: Decoding): Blob | undefined {
  if (typeof type !== "string" || typeof tail !== "number") return undefined;
  const held = takeOpened(tail, decoding);
  return held === undefined ? new Blob([takeTail(tail, decoding)], { type }) : createHeldBlob(held, type);
}

function decodeFile([name, type, time]: readonly unknown[], tail: unknown, decoding: Decoding): File | undefined {
  const lastModified = typeof time === "string" ? namedValues.get(time) : time;
  const isFitting = typeof name === "string" && typeof type === "string" && typeof lastModified === "number";
  if (!isFitting || typeof tail !== "number") return undefined;
  const held = takeOpened(tail, decoding);
  const options = { type, lastModified };
  return held === undefined ? new File([takeTail(tail, decoding)], name, options) : createHeldFile(held, name, options);
}

/** Takes a file that can be used as an author's file directly. */
function takeOpened(tail: number, decoding: Decoding): HeldFile | undefined {
  const held = decoding.tails[tail];
  return held instanceof HeldFile && held.blob !== undefined ? takeHeld(tail, held, decoding) : undefined;
}

/** Takes a tail that stays in its file. */
function takeHeld(tail: number, held: HeldFile, decoding: Decoding): HeldFile {
  decoding.tails[tail] = undefined;
  decoding.left--;
  return held;
}

/** @param tail Index of the tail, or its bytes as base64. */
function takeTail(tail: unknown, decoding: Decoding): Uint8Array {
  if (typeof tail === "string") {
    const bytes = decodeBase64(tail);
    if (bytes === undefined) throw malformed("bytes in its value are no base64");
    // A Buffer lies in memory it shares with others.
    return new Uint8Array(bytes);
  }
  const held = typeof tail === "number" ? decoding.tails[tail] : undefined;
  if (held === undefined) throw malformed(`tail ${String(tail).slice(0, 40)} is not there, or used twice`);
  if (held instanceof HeldFile) return takeHeld(tail as number, held, decoding).take();
  const bytes = loadTail(held);
  decoding.tails[tail as number] = undefined;
  decoding.left--;
  decodedBytes.count += bytes.byteLength;
  if (bytes.byteLength !== bytes.buffer.byteLength) throw malformed(`tail ${tail} shares its memory with others`);
  return bytes;
}
