import { fail } from "../failure/client-failures.js";
import { ServingError } from "../failure/serving-error.js";

// Ends a call before its answer: at its timeout, or when one of its signals aborts.
//
// CL1  A limit ends a call once; later events change nothing.
// CL2  After any end, `signal` is aborted and `reason` is a ServingError.
// CL3  A released limit holds no timer and no listener.
// CL4  A limit holds nothing of guarded work that has settled: it may outlive many pieces of a stream.

/** Service and api of a call, for messages. */
export interface CallPlace {
  readonly service: string;
  readonly api: string;
}

/** Bounds of one call. */
export interface CallBounds {
  /** `undefined` or infinite for no bound. */
  readonly timeoutMs: number | undefined;
  /** Place where the timeout was set, in words. */
  readonly setBy: string;
  /** Reading of `performance.now()` from which the timeout counts. Default: now. */
  readonly startedAt?: number | undefined;
  readonly signals: readonly (AbortSignal | undefined)[];
  readonly place: CallPlace;
}

/** Longest delay of a timer: 24 days. Timers take a 32-bit integer and fire at once for more. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Returns how much longer than the server the client waits, in milliseconds. The server's own answer, which names the
 * slow api, then arrives first.
 */
const graceMs = (timeoutMs: number): number => Math.min(100, timeoutMs / 5);

export class CallLimit {
  readonly #bounds: CallBounds;
  readonly #controller = new AbortController();
  readonly #startedAt: number;
  /** Rejects the guarded promises that are pending. */
  readonly #pending = new Set<(reason: ServingError) => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reason: ServingError | undefined;

  constructor(bounds: CallBounds) {
    this.#bounds = bounds;
    const now = performance.now();
    this.#startedAt = bounds.startedAt ?? now;
    const { timeoutMs, signals } = bounds;
    const leftMs = timeoutMs === undefined ? Infinity : timeoutMs + graceMs(timeoutMs) - (now - this.#startedAt);
    if (timeoutMs !== undefined && leftMs <= longestTimerMs) {
      this.#timer = setTimeout(() => this.#end(this.#timeout(timeoutMs)), leftMs);
    }
    const aborted = signals.find((signal) => signal?.aborted);
    if (aborted !== undefined) this.#end(toReason(aborted.reason, bounds.place));
    else for (const signal of signals) signal?.addEventListener("abort", this.#onAbort);
  }

  /** Aborted when the call is to end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Reason for the end of the call; `undefined` before that. */
  get reason(): ServingError | undefined {
    return this.#reason;
  }

  /** Time left for the server in whole milliseconds, at least 1; `undefined` without a bound. */
  get remainingMs(): number | undefined {
    const { timeoutMs } = this.#bounds;
    if (timeoutMs === undefined || !Number.isFinite(timeoutMs)) return undefined;
    return Math.max(1, Math.ceil(timeoutMs - (performance.now() - this.#startedAt)));
  }

  /** Returns the result of `work`; throws the reason when the call ends first. */
  guard<T>(work: T | PromiseLike<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const settled = () => this.#pending.delete(reject);
      if (this.#reason === undefined) this.#pending.add(reject);
      Promise.resolve(work)
        .then(resolve as (value: unknown) => void, reject)
        .then(settled);
      if (this.#reason !== undefined) reject(this.#reason);
    });
  }

  /** Waits. Throws the reason when the call ends first. */
  async pause(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      await this.guard(new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the limit: the call has been answered in full. */
  release(): void {
    clearTimeout(this.#timer);
    for (const signal of this.#bounds.signals) signal?.removeEventListener("abort", this.#onAbort);
  }

  /** Ends the call because its input failed. */
  fail(reason: ServingError): void {
    this.#end(reason);
  }

  /** Ends the call because its result is no longer wanted. An open connection is closed, which tells the server. */
  abandon(): void {
    this.#end(fail("cancelled", { reason: "its reader stopped" }, this.#bounds.place));
  }

  readonly #onAbort = (event: Event): void => {
    this.#end(toReason((event.target as AbortSignal).reason, this.#bounds.place));
  };

  #end(reason: ServingError): void {
    this.release();
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    for (const reject of this.#pending) reject(reason);
    this.#pending.clear();
    this.#controller.abort(reason);
  }

  #timeout(timeoutMs: number): ServingError {
    const { place, setBy } = this.#bounds;
    const waitingFor = [place.api === "" ? place.service : `${place.service}.${place.api}`];
    return fail("deadline_exceeded", { timeoutMs, setBy, waitingFor }, place);
  }
}

/**
 * Turns an abort reason into a failure. A signal that was aborted by a failure, such as the signal of a call inside a
 * service, passes it on.
 */
function toReason(reason: unknown, place: CallPlace): ServingError {
  if (reason instanceof ServingError) return reason;
  const words = reason instanceof Error ? reason.message : String(reason);
  return fail("cancelled", { reason: words }, { ...place, cause: reason });
}
