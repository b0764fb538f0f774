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
