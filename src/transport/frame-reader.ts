import { type Frame, prefixBytes, type ReadSlab, readBodyLength, readFrame } from "./frame.js";

const nothing = Buffer.alloc(0);

/** A frame that is not larger gets its whole buffer at once. */
const firstBytes = 1024 * 1024;

/** Cuts a stream of bytes into frames, wherever its chunks begin and end. */
export class FrameReader {
  readonly #receive: (frame: Frame) => void;
  readonly #readSlab: ReadSlab;
  /** The beginning of a prefix whose rest has not come yet. */
  #rest: Buffer = nothing;
  /** A frame whose rest has not come yet, as far as it has come. */
  #begun: Buffer | undefined;
  #filled = 0;
  /** What has come and is not to be read yet; absent where everything is. */
  #held: Buffer[] | undefined;

  constructor(receive: (frame: Frame) => void, readSlab: ReadSlab) {
    this.#receive = receive;
    this.#readSlab = readSlab;
  }

  /** Reads nothing more, also of what has come, until `resume`. */
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
      const frameEnd = at + prefixBytes + readBodyLength(source, at);
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

  /** Whether the frame that was just read has held the reader; what follows it is then kept. */
  #isHeld(source: Buffer, at: number): boolean {
    if (this.#held === undefined) return false;
    if (at < source.length) this.#held.push(source.subarray(at));
    return true;
  }

  /**
   * Keeps what has come of a frame. Only this frame is put together from two chunks, so that all others are read where they
   * are. Memory grows with what has come, not with what a prefix claims: a large frame doubles its buffer as it fills.
   */
  #keep(source: Buffer, at: number, frameEnd: number): void {
    const total = frameEnd - at;
    const come = source.length - at;
    this.#begun = Buffer.allocUnsafe(Math.min(total, Math.max(firstBytes, come * 2)));
    source.copy(this.#begun, 0, at);
    this.#filled = come;
  }

  /** @returns Where in `chunk` the next frame begins. */
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
