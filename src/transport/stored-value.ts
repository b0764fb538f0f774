import { createHash } from "node:crypto";
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

/**
 * Encodes a value as bytes that can be kept: the frame by which the wire would send it as an answer.
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
  const sized: Frame = { kind: frameKinds.reply, flags, id: 0, head: text, tails };
  checkFrameSize(sized);
  const frame = { ...sized, tails: tails.map(loadTail) };
  const target = Buffer.allocUnsafeSlow(frameBound(frame, undefined));
  return target.subarray(0, writeFrame(frame, undefined, target, 0));
}

/** The value that `packValue` was given. @throws {ServingError} `malformed_frame`. */
export function unpackValue(bytes: Uint8Array): unknown {
  const { head, tails, isMarked } = readPacked(bytes);
  return decodeValue(head, tails, isMarked);
}

/** What `packValue` has made of a value: its text, and the bytes beside it. @throws {ServingError} `malformed_frame`. */
function readPacked(bytes: Uint8Array): { head: string; tails: readonly Uint8Array[]; isMarked: boolean } {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (source.length < prefixBytes) throw malformed(`it has ${source.length} bytes, fewer than a prefix`);
  const end = prefixBytes + readBodyLength(source, 0);
  if (end !== source.length) throw malformed(`it says it has ${end} bytes and has ${source.length}`);
  const { head, tails, flags } = readFrame(source, 0, end, refuseSlab);
  return { head, tails: tails.map(loadTail), isMarked: (flags & frameFlags.marked) !== 0 };
}

function refuseSlab(): never {
  throw malformed("a value that is kept can't be in shared memory");
}

/**
 * A text that is the same for equal values as `packValue` has packed them, and another for others. The order of fields does not
 * count, nor when a file was made: one that is uploaded again is new each time.
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

/** Where the mark of a file has its time. */
const fileTimeAt = 3;
