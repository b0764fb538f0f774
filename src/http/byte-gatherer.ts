/** Chunks from this size on are kept as they are; smaller ones are copied together. */
const largeBytes = 16_384;
/** Of what small chunks are copied to: the first block, and the last after each was twice as long as the one before. */
const firstBlockBytes = 1024;
const lastBlockBytes = 65_536;
/** What a chunk counts for at least: to receive one costs about as much as this many bytes of a long one. */
export const leastWeight = 32;
/** Room for the many small chunks of an honest client that has little to say. */
export const spareWeight = 1024 ** 2;

/**
 * Bytes of a body as they come, in memory that stays in proportion to them: a chunk of one byte would keep some 400.
 *
 * The first chunk is kept as it is, since most bodies have no second one.
 */
export class ByteGatherer {
  #chunks: Uint8Array[] = [];
  /** The beginning of it, up to `#filled`, is behind `#chunks`. */
  #block: Uint8Array | undefined;
  #filled = 0;
  #nextBlockBytes = firstBlockBytes;
  #size = 0;
  #weight = 0;

  /** Bytes that have come. */
  get size(): number {
    return this.#size;
  }

  /** Whether the bytes, or the chunks they were cut into, are more than a body of `maxBytes` may have. */
  exceeds(maxBytes: number): boolean {
    return this.#size > maxBytes || this.#weight > maxBytes + spareWeight;
  }

  push(chunk: Uint8Array): void {
    const isFirst = this.#size === 0;
    this.#size += chunk.length;
    this.#weight += Math.max(chunk.length, leastWeight);
    if (this.#block !== undefined && this.#filled + chunk.length > this.#block.length) this.#closeBlock();
    if (isFirst || (chunk.length >= largeBytes && this.#block === undefined)) {
      this.#chunks.push(chunk);
      return;
    }
    this.#block ??= this.#openBlock(chunk.length);
    this.#block.set(chunk, this.#filled);
    this.#filled += chunk.length;
  }

  /** What has come, in memory of its own where it came in several chunks, and forgets it. */
  take(): Uint8Array {
    if (this.#block !== undefined) this.#closeBlock();
    const bytes = this.#chunks.length === 1 ? (this.#chunks[0] as Uint8Array) : this.#join();
    this.clear();
    return bytes;
  }

  clear(): void {
    this.#chunks = [];
    this.#block = undefined;
    this.#filled = 0;
    this.#nextBlockBytes = firstBlockBytes;
    this.#size = 0;
    this.#weight = 0;
  }

  #openBlock(least: number): Uint8Array {
    const block = new Uint8Array(Math.max(this.#nextBlockBytes, least));
    this.#nextBlockBytes = Math.min(block.length * 2, lastBlockBytes);
    return block;
  }

  /** A block that is hardly filled is not kept whole. */
  #closeBlock(): void {
    const block = this.#block as Uint8Array;
    const isFull = this.#filled > block.length / 2;
    this.#chunks.push(isFull ? block.subarray(0, this.#filled) : block.slice(0, this.#filled));
    this.#block = undefined;
    this.#filled = 0;
  }

  /** Not a piece of Node's pool: the bytes may become a tensor or reach an author's code. */
  #join(): Uint8Array {
    const bytes = new Uint8Array(this.#size);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }
}
