import { readSync, writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";

/**
 * Bytes in a file that are not read into memory yet. The file lives as long as this object. The bytes never change.
 *
 * `take()` reads them into memory that the caller owns. A service that only passes them on never reads them.
 */
export interface HeldBytes {
  readonly byteLength: number;
  /** Announces one more user, who will take the bytes or drop them unread. */
  share(): void;
  /**
   * Returns the bytes, in a buffer that the caller owns.
   *
   * @throws {ServingError} `held_bytes_lost` when the file can no longer be read.
   */
  take(): Uint8Array;
}

/** Smallest value that is held in a file. Smaller ones are read into memory at once. */
export const minHeldBytes = 2 * 1024 ** 2;

/** Bytes of received values that this thread has read, to make tensors, arrays, texts and files of them. */
export const decodedBytes = { count: 0 };

/** Most bytes of one read or write: Node counts in signed 32 bits, and from 2 GiB on the process aborts. */
export const maxIoBytes = 1024 ** 3;

/** Writes the first `byteLength` of `bytes` to a file at offset `at`. @throws {Error} of the system. */
export function writeBytes(file: number, bytes: Uint8Array, byteLength: number, at: number): void {
  // The system may take less than it is given.
  for (let done = 0; done < byteLength; ) {
    done += writeSync(file, bytes, done, Math.min(byteLength - done, maxIoBytes), at + done);
  }
}

/**
 * Reads `byteLength` bytes of a file from offset `at` into the beginning of `bytes`.
 *
 * @throws {Error} of the system, or when the file ends earlier.
 */
export function readBytes(file: number, bytes: Uint8Array, byteLength: number, at: number): void {
  for (let done = 0; done < byteLength; ) {
    const count = readSync(file, bytes, done, Math.min(byteLength - done, maxIoBytes), at + done);
    if (count === 0) throw new Error(`it ends after ${at + done} bytes`);
    done += count;
  }
}

/**
 * Fills `target` from a file without blocking the thread.
 *
 * @param from Offset in the file. The system may return less at a time than it is asked for.
 * @throws {Error} of the system, or when the file ends earlier.
 */
export async function readRange(file: FileHandle, target: Uint8Array, from: number): Promise<void> {
  for (let at = 0; at < target.byteLength; ) {
    const { bytesRead } = await file.read(target, at, Math.min(target.byteLength - at, maxIoBytes), from + at);
    if (bytesRead === 0) throw new Error(`it ends after ${from + at} bytes`);
    at += bytesRead;
  }
}
