import { performance } from "node:perf_hooks";

/** Time as ekiben sees it; replaced by a fake one in tests. */
export interface Clock {
  /**
   * Milliseconds of running time, with a fraction: they only go on, at one pace, however the time of day is set. Where they
   * begin is this thread's own affair, so a reading means nothing in another process or thread: what crosses is a time left.
   *
   * While the machine is suspended they stand still on Linux, and with them every deadline; on macOS they go on.
   */
  now(): number;
  /** The time of day at which the clock reads `instant`: milliseconds since 1970, by the time of day as it is set now. */
  wallTimeOf(instant: number): number;
  /** Runs `run` once after `delayMs`; keeps the process alive only when `keepAlive` is true. */
  setTimer(run: () => void, delayMs: number, keepAlive?: boolean): Timer;
}

/** One pending timer. */
export interface Timer {
  clear(): void;
  /** Whether the process stays alive for it. */
  keepAlive(isKept: boolean): void;
}

/** The time of day in whole milliseconds is no finer: a smaller difference is no sign that it was set. */
const stepMs = 2;
/** The time of day minus the clock. */
let wallOffset = Date.now() - performance.now();

// `performance` is imported since the global is an accessor, which costs as much as the reading.
/** The clock of this thread. No deadline, lease of a connection or pause moves when the time of day is set. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTimeOf(instant) {
    const offset = Date.now() - performance.now();
    // Kept while it holds, so that one instant has one time of day.
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

/** Resolves in a later turn of the event loop: what has come meanwhile is read first. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Long work that gives others a turn of the event loop every few milliseconds. */
export class PacedWork {
  readonly #turnMs: number;
  #began = performance.now();

  /** @param turnMs How long it may keep the event loop at a time. */
  constructor(turnMs: number) {
    this.#turnMs = turnMs;
  }

  /** Whether others are to have a turn: by `rest()`. */
  get isRestDue(): boolean {
    return performance.now() - this.#began >= this.#turnMs;
  }

  async rest(): Promise<void> {
    await nextTurn();
    this.#began = performance.now();
  }
}
