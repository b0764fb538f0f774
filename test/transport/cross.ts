import type { Tail } from "../../src/held/held-file.js";
import { decodeValue } from "../../src/transport/decode-value.js";
import { encodeValue } from "../../src/transport/encode-value.js";
import { loadTail } from "../../src/transport/frame.js";

/** Returns a value as it arrives on the other side of a link. */
export async function cross(value: unknown): Promise<unknown> {
  const { text, tails, isMarked } = await encodeValue(value, "input");
  return decodeValue(text, tails.map(copyTail), isMarked);
}

/** Copies a tail as a channel delivers it: over a buffer of its own. */
export function copyTail(tail: Tail): Uint8Array {
  const copy = new Uint8Array(tail.byteLength);
  copy.set(loadTail(tail));
  return copy;
}

/** Converts a value so that `deepEqual` sees everything: the contents of blobs and files, and invalid dates. */
export async function toComparable(value: unknown): Promise<unknown> {
  if (value instanceof Date) return ["date", value.getTime()];
  if (value instanceof Blob) return ["blob", value.type, ...describeFile(value), await value.text()];
  if (value instanceof Map) return new Map(await Promise.all([...value].map(async (entry) => both(entry))));
  if (value instanceof Set) return new Set(await Promise.all([...value].map(toComparable)));
  if (Array.isArray(value)) return Promise.all(value.map(toComparable));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const entries = Object.entries(value).map(async ([key, item]) => [key, await toComparable(item)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

const both = async ([key, item]: [unknown, unknown]) => [await toComparable(key), await toComparable(item)] as const;

const describeFile = (blob: Blob): unknown[] => (blob instanceof File ? [blob.name, blob.lastModified] : []);
