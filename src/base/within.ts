import type { Clock } from "./clock.js";

/** Settles as `work` does, or after `limitMs` as `onLate` says: its value, or what it throws. */
export async function within<T>(clock: Clock, limitMs: number, work: Promise<T>, onLate: () => T): Promise<T> {
  let stop = () => {};
  const late = new Promise<T>((resolve, reject) => {
    const timer = clock.setTimer(() => {
      try {
        resolve(onLate());
      } catch (error) {
        reject(error);
      }
    }, limitMs);
    stop = timer.clear;
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    stop();
  }
}
