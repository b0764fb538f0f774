import type { FileHandle } from "node:fs/promises";
import { maxIoBytes } from "./file-bytes.js";

/**
 * Fills `target` from a file.
 *
 * @param from Where in the file. The system may give less at a time than it is asked for.
 * @throws {Error} of the system, or where the file ends before that.
 */
export async function readRange(file: FileHandle, target: Uint8Array, from: number): Promise<void> {
  for (let at = 0; at < target.byteLength; ) {
    const { bytesRead } = await file.read(target, at, Math.min(target.byteLength - at, maxIoBytes), from + at);
    if (bytesRead === 0) throw new Error(`it ends after ${from + at} bytes`);
    at += bytesRead;
  }
}
