let lastBytes = 0;

/**
 * Bytes of memory that this process holds, as far as that can be told: reading it takes a descriptor. Where none is left it is
 * what was held when it was last read; a process is no less alive for that.
 */
export function readResidentBytes(): number {
  try {
    lastBytes = process.memoryUsage.rss();
  } catch {
    // EMFILE, ENFILE.
  }
  return lastBytes;
}
