import { newBytes } from "../base/new-bytes.js";
import { fail } from "../failure/failures.js";
import { HeldFile, type Tail } from "../held/held-file.js";
import { LongText } from "../held/long-text.js";

/** Version of the wire, in every hello. See docs/reference/wire.md. */
export const wireVersion = 5;

/** Largest frame, body included; a larger value can't be sent. */
export const maxFrameBytes = 256 * 1024 ** 2;

/** Kinds of frames. The numbers are those of the wire. */
export const frameKinds = {
  hello: 1,
  call: 2,
  reply: 3,
  failure: 4,
  item: 5,
  end: 6,
  cancel: 7,
  credit: 8,
  ping: 9,
  pong: 10,
  drain: 11,
  slab: 12,
  release: 13,
  file: 14,
  response: 15,
  load: 16,
  contract: 17,
} as const;

export const frameFlags = {
  /** The value in the head holds marks. */
  marked: 1,
  /** The call asks for a stream. */
  stream: 2,
  /** The input of the call is a stream: its items follow once the replica asks for them. */
  fed: 4,
  /** The head of an item holds several, with a newline between: plain JSON, without tails. */
  several: 8,
  /** The call waits behind interactive ones. */
  background: 16,
  /** The first text of the head is the number of the call that reads the output of this one, on the same channel. */
  read: 32,
  /** The file becomes a file of the author, not a tensor or bytes. */
  blob: 64,
  /**
   * The caller keeps no input: a replica that refuses the call returns the input with the refusal. Set on a failure:
   * the input is in it.
   */
  lent: 128,
} as const;

/** One unit on a channel. */
export interface Frame {
  readonly kind: number;
  readonly flags: number;
  /** Number of its call; 0 for none. */
  readonly id: number;
  readonly head: string;
  /**
   * Bytes of tensors and similar values. Sent: views of the memory of their owner. Received: each over a buffer of its
   * own, or in a file.
   */
  readonly tails: readonly Tail[];
}

export const noTails: readonly Uint8Array[] = Object.freeze([]);

/** Bytes before the body of every frame. */
export const prefixBytes = 16;
/** Bytes of one tail in the table at the start of the body. */
const tailEntryBytes = 8;

/** Number of the slab that holds a tail, from 1; 0 for a tail in the frame. */
type SlabNumbers = readonly number[];

const padTo8 = (bytes: number): number => (bytes + 7) & ~7;

/** Returns the largest possible size of a frame in bytes: a character of the head takes at most three. */
export function frameBound({ head, tails }: Frame, slabs: SlabNumbers | undefined): number {
  let bytes = prefixBytes + tails.length * tailEntryBytes + head.length * 3 + 8;
  for (let i = 0; i < tails.length; i++) {
    if (slabs === undefined || slabs[i] === 0) bytes += padTo8((tails[i] as Tail).byteLength);
  }
  return bytes;
}

/**
 * Refuses a frame that is too large to send, before anything is copied for it. Bytes that will go in slabs count too:
 * the value alone decides whether it can be sent.
 *
 * @param givesFiles True when only the name of a file on the disk crosses. Default false: its bytes are in the frame.
 * @throws {ServingError} `payload_too_large`.
 */
export function checkFrameSize({ head, tails }: Frame, givesFiles = false): void {
  let bound = head.length * 3 + 8;
  for (let i = 0; i < tails.length; i++) bound += tailEntryBytes + countedBytes(tails[i] as Tail, givesFiles) + 7;
  if (bound <= maxFrameBytes) return;
  // Not by `padTo8`, which counts in 32 bits.
  const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8;
  const headEnd = tails.length * tailEntryBytes + Buffer.byteLength(head);
  const addTail = (sum: number, tail: Tail) => sum + padded(countedBytes(tail, givesFiles));
  const bytes = tails.length === 0 ? headEnd : tails.reduce(addTail, padded(headEnd));
  if (bytes > maxFrameBytes) throw fail("payload_too_large", { bytes, maxBytes: maxFrameBytes });
}

/** Loads the bytes of a tail, for a destination that takes no file. */
export const loadTail = (tail: Tail): Uint8Array => (tail instanceof Uint8Array ? tail : tail.copy());

const countedBytes = (tail: Tail, givesFiles: boolean): number =>
  givesFiles && tail instanceof HeldFile && tail.name?.place === "disk" ? 0 : tail.byteLength;

/**
 * Writes a frame into `target` from `start` on; `target` must have room for `frameBound`.
 *
 * @returns The position of the next frame.
 */
export function writeFrame(frame: Frame, slabs: SlabNumbers | undefined, target: Buffer, start: number): number {
  const { tails } = frame;
  const body = start + prefixBytes;
  const headAt = body + tails.length * tailEntryBytes;
  const headBytes = target.write(frame.head, headAt);
  let at = headAt + headBytes;
  if (tails.length > 0) {
    at = body + padTo8(at - body);
    for (let i = 0; i < tails.length; i++) {
      const tail = tails[i] as Tail;
      const slab = slabs?.[i] ?? 0;
      writeUint32(target, body + i * tailEntryBytes, tail.byteLength);
      writeUint32(target, body + i * tailEntryBytes + 4, slab);
      if (slab !== 0) continue;
      if (tail instanceof LongText) tail.copyTo(target, at);
      else target.set(tail as Uint8Array, at);
      at += padTo8(tail.byteLength);
    }
  }
  writeUint32(target, start, at - body);
  target[start + 4] = frame.kind;
  target[start + 5] = frame.flags;
  target[start + 6] = tails.length & 0xff;
  target[start + 7] = tails.length >>> 8;
  writeUint32(target, start + 8, frame.id);
  writeUint32(target, start + 12, headBytes);
  return at;
}

/** Returns the tail in a slab or a file. */
type ReadSlab = (slab: number, byteLength: number) => Tail;

/**
 * Reads one whole frame.
 *
 * @param source Holds at least the frame.
 * @param start Position of its prefix.
 * @param end End of its body.
 * @throws {ServingError} `malformed_frame` when its parts don't fit into it.
 */
export function readFrame(source: Buffer, start: number, end: number, readSlab: ReadSlab): Frame {
  const tailCount = (source[start + 6] as number) | ((source[start + 7] as number) << 8);
  const body = start + prefixBytes;
  const headAt = body + tailCount * tailEntryBytes;
  const headEnd = headAt + readUint32(source, start + 12);
  if (headEnd > end) throw malformed(`its head ends ${headEnd - end} bytes after the frame`);
  return {
    kind: source[start + 4] as number,
    flags: source[start + 5] as number,
    id: readUint32(source, start + 8),
    head: source.toString("utf8", headAt, headEnd),
    tails: tailCount === 0 ? noTails : readTails(source, { tailCount, body, headEnd, end, readSlab }),
  };
}

interface TailPlace {
  readonly tailCount: number;
  readonly body: number;
  readonly headEnd: number;
  readonly end: number;
  readonly readSlab: ReadSlab;
}

/** Gives every tail that is not in a file a buffer of its own: an author's use of `.buffer` touches nothing else. */
function readTails(source: Buffer, { tailCount, body, headEnd, end, readSlab }: TailPlace): Tail[] {
  const tails = new Array<Tail>(tailCount);
  let at = body + padTo8(headEnd - body);
  for (let i = 0; i < tailCount; i++) {
    const byteLength = readUint32(source, body + i * tailEntryBytes);
    const slab = readUint32(source, body + i * tailEntryBytes + 4);
    if (slab !== 0) {
      tails[i] = readSlab(slab, byteLength);
      continue;
    }
    if (at + byteLength > end) throw malformed(`tail ${i} ends ${at + byteLength - end} bytes after the frame`);
    const tail = newBytes(byteLength);
    tail.set(source.subarray(at, at + byteLength));
    tails[i] = tail;
    at += padTo8(byteLength);
  }
  return tails;
}

/**
 * Returns the bytes of the body after the prefix at `start`. @throws {ServingError} `malformed_frame` beyond the limit.
 */
export function readBodyLength(source: Uint8Array, start: number, maxBytes = maxFrameBytes): number {
  const length = readUint32(source, start);
  if (length > maxBytes) throw malformed(`it says it has ${length} bytes; at most ${maxBytes} are allowed`);
  return length;
}

export const malformed = (problem: string) => fail("malformed_frame", { problem });

// Written out: Buffer's own methods check their arguments each time, which costs more than the work.
function writeUint32(target: Uint8Array, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
}

function readUint32(source: Uint8Array, at: number): number {
  return (
    ((source[at] as number) |
      ((source[at + 1] as number) << 8) |
      ((source[at + 2] as number) << 16) |
      ((source[at + 3] as number) << 24)) >>>
    0
  );
}

const nothing = Buffer.alloc(0);

/** Bytes of the first buffer of a frame: one up to this size gets its whole buffer at once. */
const firstBytes = 1024 * 1024;

/** Cuts a stream of bytes into frames, with chunks of any size. */
export class FrameReader {
  /** Largest body that is read. Lower as long as the other side is a stranger. */
  maxBytes = maxFrameBytes;
  readonly #receive: (frame: Frame) => void;
  readonly #readSlab: ReadSlab;
  /** Beginning of a prefix whose rest has not arrived. */
  #rest: Buffer = nothing;
  /** Arrived part of a frame whose rest has not arrived. */
  #begun: Buffer | undefined;
  #filled = 0;
  /** Arrived bytes that are not to be read yet; absent where reading is not held. */
  #held: Buffer[] | undefined;

  constructor(receive: (frame: Frame) => void, readSlab: ReadSlab) {
    this.#receive = receive;
    this.#readSlab = readSlab;
  }

  /** Stops reading, also of arrived bytes, until `resume`. */
  hold(): void {
    this.#held ??= [];
  }

  /** @throws {ServingError} as `push`. */
  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const chunk of held) this.push(chunk);
  }

  /** @throws {ServingError} `malformed_frame`; nothing more can be read then. */
  push(chunk: Buffer): void {
    if (this.#held !== undefined) {
      this.#held.push(chunk);
      return;
    }
    let source = chunk;
    let at = 0;
    if (this.#begun !== undefined) {
      at = this.#fill(this.#begun, chunk);
      if (this.#begun !== undefined) return;
      if (this.#isHeld(chunk, at)) return;
    } else if (this.#rest.length > 0) {
      source = Buffer.concat([this.#rest, chunk]);
      this.#rest = nothing;
    }
    const end = source.length;
    while (end - at >= prefixBytes) {
      const frameEnd = at + prefixBytes + readBodyLength(source, at, this.maxBytes);
      if (frameEnd > end) {
        this.#keep(source, at, frameEnd);
        return;
      }
      this.#receive(readFrame(source, at, frameEnd, this.#readSlab));
      at = frameEnd;
      if (this.#isHeld(source, at)) return;
    }
    if (at < end) this.#rest = source.subarray(at);
  }

  /** True when the last frame has held the reader; the bytes after that frame are then kept. */
  #isHeld(source: Buffer, at: number): boolean {
    if (this.#held === undefined) return false;
    if (at < source.length) this.#held.push(source.subarray(at));
    return true;
  }

  /**
   * Keeps the arrived part of a frame. Only this frame is put together from two chunks; all others are read in place.
   * Memory grows with the arrived bytes, not with the size a prefix claims: a large frame doubles its buffer as it
   * fills.
   */
  #keep(source: Buffer, at: number, frameEnd: number): void {
    const total = frameEnd - at;
    const come = source.length - at;
    this.#begun = Buffer.allocUnsafe(Math.min(total, Math.max(firstBytes, come * 2)));
    source.copy(this.#begun, 0, at);
    this.#filled = come;
  }

  /** @returns The position in `chunk` of the next frame. */
  #fill(begun: Buffer, chunk: Buffer): number {
    const total = prefixBytes + readBodyLength(begun, 0);
    const taken = Math.min(total - this.#filled, chunk.length);
    let target = begun;
    if (this.#filled + taken > begun.length) {
      target = Buffer.allocUnsafeSlow(Math.min(total, Math.max(begun.length * 2, this.#filled + taken)));
      begun.copy(target, 0, 0, this.#filled);
      this.#begun = target;
    }
    chunk.copy(target, this.#filled, 0, taken);
    this.#filled += taken;
    if (this.#filled === total) {
      this.#begun = undefined;
      this.#receive(readFrame(target, 0, total, this.#readSlab));
    }
    return taken;
  }
}
