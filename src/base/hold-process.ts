/** Longer a timer of Node can't be. */
const longestMs = 2 ** 31 - 1;

/**
 * Keeps the process alive until `work` has settled, and settles as it does.
 *
 * Most timers here hold nothing. Where nothing else does, as in an app whose calls wait for something that never comes, Node
 * would otherwise find nothing left to do and end in the middle of it.
 */
export async function holdProcess<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, longestMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
