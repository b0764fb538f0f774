/** Time as ekiben sees it; replaced by a fake one in tests. */
export interface Clock {
  /** Wall-clock milliseconds since 1970, with a fraction; never goes back within a process. */
  now(): number;
  /** Runs `run` once after `delayMs`; keeps the process alive only when `keepAlive` is true. */
  setTimer(run: () => void, delayMs: number, keepAlive?: boolean): Timer;
}

/** One pending timer. */
export interface Timer {
  clear(): void;
  /** Whether the process stays alive for it. */
  keepAlive(isKept: boolean): void;
}

const origin = performance.timeOrigin;

/** The process's own clock. Monotonic: an adjusted system clock moves no deadline. */
export const systemClock: Clock = {
  now: () => origin + performance.now(),
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
