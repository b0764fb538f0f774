import v8 from "node:v8";
import vm from "node:vm";
import { CollectionInterval } from "./collection-interval.js";

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
