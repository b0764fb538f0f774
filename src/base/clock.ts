import { performance } from "node:perf_hooks";

/** Source of time and timers. Tests replace it by a fake clock. */
export interface Clock {
  /**
   * Milliseconds of monotonic time, with a fraction; changes of the time of day do not move it. Each thread counts from
   * its own start, so a reading means nothing in another process or thread: send the time left instead.
   *
   * While the machine is suspended the clock, and with it every deadline, stands still on Linux and continues on macOS.
   */
  now(): number;
  /** Time of day of `instant` in milliseconds since 1970, by the time of day as it is set now. */
  wallTimeOf(instant: number): number;
  /** Runs `run` once after `delayMs`. The timer keeps the process alive only when `keepAlive` is true. */
  setTimer(run: () => void, delayMs: number, keepAlive?: boolean): Timer;
}

/** One pending timer. */
export interface Timer {
  clear(): void;
  /** Sets whether the timer keeps the process alive. */
  keepAlive(isKept: boolean): void;
}

/** Smallest difference that shows that the time of day was set; it is only read in whole milliseconds. */
const stepMs = 2;
/** The time of day minus the clock. */
let wallOffset = Date.now() - performance.now();

// `performance` is imported: the global is an accessor, which costs as much as the reading itself.
/** Clock of this thread. Setting the time of day moves no deadline, lease or pause. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTimeOf(instant) {
    const offset = Date.now() - performance.now();
    // The offset stays until the time of day is set, so that one instant has one time of day.
    if (Math.abs(offset - wallOffset) >= stepMs) wallOffset = offset;
    return instant + wallOffset;
  },
  setTimer(run, delayMs, keepAlive = false) {
    const timer = setTimeout(run, delayMs);
    if (!keepAlive) timer.unref();
    return {
      clear: () => clearTimeout(timer),
      keepAlive: (isKept) => {
        if (isKept) timer.ref();
        else timer.unref();
      },
    };
  },
};

/**
 * Waits; less when the signal is aborted, which the caller has to look at. The wait keeps the process alive.
 */
export function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      timer.clear();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.setTimer(end, ms, true);
    if (signal?.aborted === true) end();
    else signal?.addEventListener("abort", end);
  });
}

/** Settles as `work` does; after `limitMs` it settles with the value of `onLate`, or with the error it throws. */
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

/** A promise and the two functions that settle it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T | PromiseLike<T>) => void;
  readonly reject: (reason: unknown) => void;
}

/** Creates a promise that is settled from outside. */
export function createDeferred<T>(): Deferred<T> {
  let resolve!: Deferred<T>["resolve"];
  let reject!: Deferred<T>["reject"];
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** Resolves in a later turn of the event loop, after pending input was read. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Long work that yields to the event loop every few milliseconds. */
export class PacedWork {
  readonly #turnMs: number;
  #began = performance.now();

  /** @param turnMs Longest time it may keep the event loop at once. */
  constructor(turnMs: number) {
    this.#turnMs = turnMs;
  }

  /** True when the work should yield now, by `rest()`. */
  get isRestDue(): boolean {
    return performance.now() - this.#began >= this.#turnMs;
  }

  async rest(): Promise<void> {
    await nextTurn();
    this.#began = performance.now();
  }
}
