import v8 from "node:v8";
import vm from "node:vm";

const leastBytes = 4 * 1024 ** 2;
const mostBytes = 16 * 1024 ** 2;

/** What collections leave has changed when it has by more than this share of an interval. */
const changeShare = 0.25;
/** After so many collections that left no more a shorter interval is tried. */
const collectionsUntilShorter = 64;

/**
 * After how many bytes of large buffers the young generation is collected. Pure: it is told what there is.
 *
 * V8 knows the memory behind buffers only as a sum, and begins to collect the whole heap when it has grown by some megabytes
 * more than the heap itself: with tensors of 600 kB after every few dozen calls, for about 10 ms. Nearly all of them are dead
 * by then and were never old, so collecting the young objects alone gives the same memory back in some 50 us, and the next
 * tensors lie in memory that is still in the cache.
 *
 * The shorter the interval the warmer the memory: with tensors of 602 kB and one call at a time 4 MiB gave four times the calls
 * a second of 24, and below it collections cost more than they give back. But what survives two collections is old, and left
 * to the collection of the whole heap: with 16 calls at once, whose tensors are 19 MB, 16 MiB gave two to three times the calls
 * of 4, in every placement. From 24 MiB on V8 is first, and with much else in the process before.
 *
 * So the interval is doubled when collections leave more and more, and halved when less is left all at once: then V8 has
 * collected the whole heap meanwhile.
 */
export class CollectionInterval {
  #bytes = leastBytes;
  /** Bytes that the last collection but one left. */
  #left = 0;
  #growths = 0;
  #calm = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** A collection begins. @param external Bytes behind all buffers, before it. */
  collecting(external: number): void {
    const left = external - this.#bytes;
    const grown = (left - this.#left) / this.#bytes;
    this.#left = left;
    // More than was counted: memory that others took.
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
 * From this size on memory is taken without filling it with zeros, since it is overwritten at once, and counts towards the
 * next collection.
 */
const minLargeBytes = 4096;

const interval = new CollectionInterval();

let countedBytes = 0;
/** Collects the whole heap, or only what is young. */
type Collect = (options?: { readonly type: "minor" }) => void;

let collector: Collect | undefined;

/** Bytes over a buffer of their own, whose contents are not defined yet. */
export function newBytes(byteLength: number): Uint8Array {
  countBytes(byteLength);
  return newBytesToGive(byteLength);
}

/** The same for bytes that another thread will own: they are counted there, by `countBytes`. */
export function newBytesToGive(byteLength: number): Uint8Array {
  if (byteLength < minLargeBytes) return new Uint8Array(byteLength);
  return new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer, 0, byteLength);
}

/** Notes that this thread has come to own a buffer. */
export function countBytes(byteLength: number): void {
  if (byteLength < minLargeBytes) return;
  countedBytes += byteLength;
  if (countedBytes < interval.bytes) return;
  countedBytes = 0;
  interval.collecting(v8.getHeapStatistics().external_memory);
  collector ??= findCollector();
  collector({ type: "minor" });
}

/** Collects the whole heap: what only the engine knows to be dead is then told. */
export function collectAll(): void {
  collector ??= findCollector();
  // Without options: Node 20 takes any type for the young.
  collector();
}

/** V8 shows its collector to contexts that are made after the flag was set, and so to no code of an author's own. */
function findCollector(): Collect {
  try {
    v8.setFlagsFromString("--expose-gc");
    return vm.runInNewContext("gc") as Collect;
  } catch {
    // Without it things are as they would have been.
    return () => {};
  }
}
