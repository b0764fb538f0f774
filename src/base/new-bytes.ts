import v8 from "node:v8";
import vm from "node:vm";

const leastBytes = 4 * 1024 ** 2;
const mostBytes = 16 * 1024 ** 2;

/** Smallest change of the bytes that collections leave, as a share of the interval, that counts as a change. */
const changeShare = 0.25;
/** Number of collections that left no more bytes after which a shorter interval is tried. */
const collectionsUntilShorter = 64;

/**
 * Interval, in bytes of new large buffers, between two collections of the young generation. Pure: gets its inputs from
 * outside.
 *
 * V8 knows the memory behind buffers only as a sum. It starts to collect the whole heap when that sum has grown by some
 * megabytes more than the heap itself: with tensors of 600 kB after every few dozen calls, for about 10 ms. Nearly all
 * buffers are dead by then and were never old. Collecting only the young objects returns the same memory in some 50 us,
 * and the next tensors use memory that is still in the cache.
 *
 * A shorter interval keeps memory warmer: with tensors of 602 kB and one call at a time, 4 MiB gave four times the
 * calls per second of 24 MiB; below 4 MiB collections cost more than they gain. But objects that survive two
 * collections are old, and wait for a collection of the whole heap: with 16 calls at once, whose tensors are 19 MB, 16
 * MiB gave two to three times the calls of 4 MiB, in every placement. From 24 MiB on V8 collects first; with much else
 * in the process even earlier.
 *
 * So the interval doubles when collections leave more and more, and halves when suddenly less is left: V8 has then
 * collected the whole heap.
 */
export class CollectionInterval {
  #bytes = leastBytes;
  /** Bytes left by the collection before the last. */
  #left = 0;
  #growths = 0;
  #calm = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Notes that a collection begins. @param external Bytes behind all buffers before it. */
  collecting(external: number): void {
    const left = external - this.#bytes;
    const grown = (left - this.#left) / this.#bytes;
    this.#left = left;
    // More bytes than counted: other code took memory.
    if (grown > 1) return;
    if (grown > changeShare) {
      this.#calm = 0;
      if (++this.#growths >= 2) this.#set(this.#bytes * 2);
      return;
    }
    this.#growths = 0;
    if (grown < -changeShare || ++this.#calm >= collectionsUntilShorter) this.#set(this.#bytes / 2);
  }

  #set(bytes: number): void {
    this.#bytes = Math.min(mostBytes, Math.max(leastBytes, bytes));
    this.#growths = 0;
    this.#calm = 0;
  }
}

/**
 * Size from which memory is taken without zero-filling, since it is overwritten at once. It also counts towards the
 * next collection.
 */
const minLargeBytes = 4096;

const interval = new CollectionInterval();

let countedBytes = 0;
/** Collects the whole heap, or only the young generation. */
type Collect = (options?: { readonly type: "minor" }) => void;

let collector: Collect | undefined;

/** Returns bytes in a buffer of their own, with undefined contents. */
export function newBytes(byteLength: number): Uint8Array {
  countBytes(byteLength);
  return newBytesToGive(byteLength);
}

/** Returns bytes that another thread will own; that thread counts them by `countBytes`. */
export function newBytesToGive(byteLength: number): Uint8Array {
  if (byteLength < minLargeBytes) return new Uint8Array(byteLength);
  return new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer, 0, byteLength);
}

/** Counts a buffer that this thread now owns. */
export function countBytes(byteLength: number): void {
  if (byteLength < minLargeBytes) return;
  countedBytes += byteLength;
  if (countedBytes < interval.bytes) return;
  countedBytes = 0;
  interval.collecting(v8.getHeapStatistics().external_memory);
  collector ??= findCollector();
  collector({ type: "minor" });
}

/** Collects the whole heap, so that finalizers of dead objects run. */
export function collectAll(): void {
  collector ??= findCollector();
  // Without options: Node 20 treats any type as the young generation.
  collector();
}

/** Gets V8's collector. V8 shows it only to contexts made after the flag was set, so no author's code sees it. */
function findCollector(): Collect {
  try {
    v8.setFlagsFromString("--expose-gc");
    return vm.runInNewContext("gc") as Collect;
  } catch {
    // Without the collector V8 collects by its own rules.
    return () => {};
  }
}
