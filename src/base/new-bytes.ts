import v8 from "node:v8";
import vm from "node:vm";

/**
 * From this size on memory is taken without filling it with zeros, since it is overwritten at once, and counts towards the
 * next collection.
 */
const minLargeBytes = 4096;

/**
 * After so many bytes of large buffers the young generation is collected.
 *
 * V8 knows the memory behind buffers only as a sum, and begins to collect the whole heap when it has grown by some megabytes
 * more than the heap itself: with tensors of 600 kB after every few dozen calls, for about 10 ms. Nearly all of them are dead
 * by then and were never old, so collecting the young objects alone gives the same memory back in some 50 us, and the next
 * tensors lie in memory that is still in the cache. Of 1, 2, 3, 4, 8, 12, 16 and 24 MiB, with other apps in the process: 4 gave
 * four times the calls a second of 24 with one call at a time, and three times with 16; below it collections cost more than
 * they give back. Calls with 8 kB: 1.7 times as many.
 */
const collectAfterBytes = 4 * 1024 ** 2;

let countedBytes = 0;
let collectYoung: (() => void) | undefined;

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
  if (countedBytes < collectAfterBytes) return;
  countedBytes = 0;
  collectYoung ??= findCollector();
  collectYoung();
}

/** V8 shows its collector to contexts that are made after the flag was set, and so to no code of an author's own. */
function findCollector(): () => void {
  try {
    v8.setFlagsFromString("--expose-gc");
    const collect = vm.runInNewContext("gc") as (options: { type: "minor" }) => void;
    return () => collect({ type: "minor" });
  } catch {
    // Without it things are as they would have been.
    return () => {};
  }
}
