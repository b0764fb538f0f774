import { createHash } from "node:crypto";
import { fail } from "../failure/failures.js";
import { decodeValue } from "./decode-value.js";
import { type EncodedValue, encodeValue } from "./encode-value.js";
import {
  checkFrameSize,
  type Frame,
  frameBound,
  frameFlags,
  frameKinds,
  loadTail,
  malformed,
  prefixBytes,
  readBodyLength,
  readFrame,
  writeFrame,
} from "./frame.js";
import { markKey } from "./mark-value.js";

// Format of stored task values.
//
// A stored value outlives the process and the version that wrote it, so it carries a version. Version 1 is one frame,
// as in docs/reference/wire.md. Byte 4 of a frame is its kind, a number below 128. In a stored value it is 128 plus the
// version. Values of ekiben before versions have the kind of a reply, 3, in this place and are frames of the same
// layout. So both are told apart by one byte, whatever keeps them. Every later version keeps its version at byte 4 as
// well.

/** Version of the values that `packValue` writes. */
export const storedVersion = 1;
const versionAt = 4;
/** Byte 4 of a value of version 0; a larger one is no kind of frame. */
const versionBase = 0x80;

/**
 * Encodes a value as bytes that can be stored.
 *
 * @returns A promise only if the value holds a `Blob` or `File`.
 * @throws {ServingError} as `encodeValue`; `payload_too_large` for more than a frame may hold, 256 MiB.
 */
export function packValue(value: unknown, name: "input" | "output"): Uint8Array | Promise<Uint8Array> {
  const encoded = encodeValue(value, name, undefined, true);
  return encoded instanceof Promise ? encoded.then(pack) : pack(encoded);
}

function pack({ text, tails, isMarked }: EncodedValue): Uint8Array {
  const flags = isMarked ? frameFlags.marked : 0;
  const sized: Frame = { kind: versionBase + storedVersion, flags, id: 0, head: text, tails };
  checkFrameSize(sized);
  const frame = { ...sized, tails: tails.map(loadTail) };
  // Filled with zeros: padding would otherwise take other memory of the process into the store.
  const target = Buffer.alloc(frameBound(frame, undefined));
  return target.subarray(0, writeFrame(frame, undefined, target, 0));
}

/**
 * Decodes what `packValue` returned, also that of a version of ekiben whose values had no version.
 *
 * @throws {ServingError} `stored_value_newer`, `malformed_frame`.
 */
export function unpackValue(bytes: Uint8Array): unknown {
  const { head, tails, isMarked } = readPacked(bytes);
  return decodeValue(head, tails, isMarked);
}

/**
 * Reads the parts of a stored value: its text, and the bytes beside the text.
 * @throws {ServingError} as `unpackValue`.
 */
function readPacked(bytes: Uint8Array): { head: string; tails: readonly Uint8Array[]; isMarked: boolean } {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (source.length < prefixBytes) throw malformed(`it has ${source.length} bytes, fewer than a prefix`);
  checkVersion(source[versionAt] as number);
  const end = prefixBytes + readBodyLength(source, 0);
  if (end !== source.length) throw malformed(`it says it has ${end} bytes and has ${source.length}`);
  const { head, tails, flags } = readFrame(source, 0, end, refuseSlab);
  return { head, tails: tails.map(loadTail), isMarked: (flags & frameFlags.marked) !== 0 };
}

/** @throws {ServingError} `stored_value_newer`; `malformed_frame` for bytes that never were a stored value. */
function checkVersion(byte: number): void {
  if (byte === frameKinds.reply) return;
  if (byte <= versionBase) throw malformed(`its byte ${versionAt} is ${byte}, which no stored value has`);
  const version = byte - versionBase;
  if (version > storedVersion) throw fail("stored_value_newer", { version, known: storedVersion });
}

function refuseSlab(): never {
  throw malformed("a stored value can't be in shared memory");
}

/**
 * Returns a text that is the same for equal values and another for different ones. The order of fields does not count,
 * and neither does the time of a file, since a file that is uploaded again has a new time.
 *
 * @param packed The value as `packValue` returned it. Its version does not count either.
 */
export function fingerprintValue(packed: Uint8Array): string {
  const { head, tails, isMarked } = readPacked(packed);
  const hash = createHash("sha256");
  hash.update(JSON.stringify(JSON.parse(head), (key, value: unknown) => toOrdered(key, value, isMarked)));
  for (const tail of tails) hash.update(`\n${tail.length}\n`).update(tail);
  return hash.digest("base64url");
}

function toOrdered(key: string, value: unknown, isMarked: boolean): unknown {
  if (Array.isArray(value)) {
    return isMarked && key === markKey && value[0] === "file" ? value.filter((_, at) => at !== fileTimeAt) : value;
  }
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(fields);
}

/** Position of the time in the mark of a file. */
const fileTimeAt = 3;
