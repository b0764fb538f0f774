import { writev } from "node:fs";
import { maxIoBytes } from "./file-bytes.js";

/** Writes chunks to a file, behind what was written there. @param done Told what the system says, or null. */
export function writeChunks(file: number, chunks: readonly Uint8Array[], done: (error: Error | null) => void): void {
  writev(file, firstOf(chunks), (error, written) => {
    if (error !== null) {
      done(error);
      return;
    }
    // The system may take less than it is given.
    const rest = leftOf(chunks, written);
    if (rest.length === 0) done(null);
    else writeChunks(file, rest, done);
  });
}

/** What goes in one call; nearly always that is all. */
function firstOf(chunks: readonly Uint8Array[]): Uint8Array[] {
  let left = maxIoBytes;
  const first: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (left === 0) break;
    first.push(chunk.byteLength > left ? chunk.subarray(0, left) : chunk);
    left = Math.max(0, left - chunk.byteLength);
  }
  return first;
}

function leftOf(chunks: readonly Uint8Array[], written: number): Uint8Array[] {
  let left = written;
  const rest: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (left >= chunk.byteLength) left -= chunk.byteLength;
    else {
      rest.push(left === 0 ? chunk : chunk.subarray(left));
      left = 0;
    }
  }
  return rest;
}
