import type { Frame } from "../../src/transport/frame.js";
import { frameBound, prefixBytes, writeFrame } from "../../src/transport/frame.js";
import { Random } from "../http/random.js";

/** Random bytes to cut tails from: making each byte of a large tail would take most of a test's time. */
const pool = new Random(0x5eed).bytes(64 * 1024);

/** Returns bytes that are the same for the same random choices. */
export function createBytes(random: Random, byteLength: number): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  let from = random.between(0, pool.length - 1);
  for (let at = 0; at < byteLength; from = 0) {
    const part = pool.subarray(from, from + byteLength - at);
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Makes text of all UTF-8 lengths, from one to four bytes, with controls and newlines. */
export function createText(random: Random, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) {
    const top = random.pick([0x20, 0x7f, 0x7ff, 0xffff, 0x10ffff]);
    const point = random.between(0, top);
    text += String.fromCodePoint(point >= 0xd800 && point <= 0xdfff ? 0xe000 : point);
  }
  return text;
}

/** Bounds of random frames. */
export interface FrameBounds {
  readonly maxTails: number;
  readonly maxTailBytes: number;
  readonly maxHead: number;
}

/** Makes a frame of any kind, flags and number, with real contents: sizes near the limits of buffers are likely. */
export function createFrame(random: Random, { maxTails, maxTailBytes, maxHead }: FrameBounds): Frame {
  const tailCount = random.chance(0.5) ? 0 : random.between(0, maxTails);
  const tails = Array.from({ length: tailCount }, () => {
    const most = random.chance(0.2) ? maxTailBytes : Math.min(maxTailBytes, random.pick([0, 9, 64, 5000]));
    return createBytes(random, random.between(0, most));
  });
  return {
    kind: random.between(0, 255),
    flags: random.between(0, 255),
    id: random.pick([0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, random.between(0, 0xffff_ffff)]),
    head: createText(random, random.between(0, random.chance(0.2) ? maxHead : 12)),
    tails,
  };
}

/** Encodes a frame as it is sent over a socket. */
export function encodeFrame(frame: Frame): Buffer {
  const bytes = Buffer.alloc(frameBound(frame, undefined));
  return bytes.subarray(0, writeFrame(frame, undefined, bytes, 0));
}

/** Makes a prefix with any content. */
export function createPrefix(parts: {
  readonly bodyBytes: number;
  readonly kind?: number;
  readonly tails?: number;
  readonly id?: number;
  readonly headBytes?: number;
}): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32LE(parts.bodyBytes, 0);
  prefix.writeUInt8(parts.kind ?? 3, 4);
  prefix.writeUInt16LE(parts.tails ?? 0, 6);
  prefix.writeUInt32LE(parts.id ?? 1, 8);
  prefix.writeUInt32LE(parts.headBytes ?? 0, 12);
  return prefix;
}

/** Slab reader of a frame whose tails are all in it. */
export const noSlabs = (): Uint8Array => {
  throw new Error("no tail is in a slab");
};
