import { readSync, writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";

/**
 * Bytes that nobody has read into memory yet: they lie in a file, which stays for as long as this does. They never change.
 *
 * Who takes them has them in memory of its own; who passes them on has not touched them.
 */
export interface HeldBytes {
  readonly byteLength: number;
  /** One more will take them, or let go of them unread. */
  share(): void;
  /**
   * The bytes, in a buffer that belongs to whoever asked.
   *
   * @throws {ServingError} `held_bytes_lost` when their file can't be read any more.
   */
  take(): Uint8Array;
}

/** Values from this size on are held in files; smaller ones are in memory at once. */
export const minHeldBytes = 2 * 1024 ** 2;

/** What this thread has read of the values that came to it, to make tensors, arrays, texts and files of it. */
export const decodedBytes = { count: 0 };

/** Read or written in one call: Node counts in 32 bits with a sign, and from 2 GiB on ends the process. */
export const maxIoBytes = 1024 ** 3;

/** Writes the first `byteLength` of some bytes to a file, from `at` on. @throws {Error} of the system. */
export function writeBytes(file: number, bytes: Uint8Array, byteLength: number, at: number): void {
  // The system may take less than it is given.
  for (let done = 0; done < byteLength; ) {
    done += writeSync(file, bytes, done, Math.min(byteLength - done, maxIoBytes), at + done);
  }
}

/**
 * Reads from a file, from `at` on, into the first `byteLength` of some bytes.
 *
 * @throws {Error} of the system, or where the file ends before that.
 */
export function readBytes(file: number, bytes: Uint8Array, byteLength: number, at: number): void {
  for (let done = 0; done < byteLength; ) {
    const count = readSync(file, bytes, done, Math.min(byteLength - done, maxIoBytes), at + done);
    if (count === 0) throw new Error(`it ends after ${at + done} bytes`);
    done += count;
  }
}

/**
 * The same without holding up the thread: fills `target`.
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
