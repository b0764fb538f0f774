import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";

// What ends a call before its answer: its time, or one of the signals it was given.
//
// L1  It ends a call once; what comes later changes nothing.
// L2  However it ends, `signal` is aborted and `reason` is a ServingError.
// L3  A released limit holds no timer and no listener.

/** What a call is for, in messages. */
export interface CallPlace {
  readonly service: string;
  readonly api: string;
}

/** What bounds one call. */
export interface CallBounds {
  /** `undefined` or infinite for no bound. */
  readonly timeoutMs: number | undefined;
  /** Where that was set, in words. */
  readonly setBy: string;
  readonly signals: readonly (AbortSignal | undefined)[];
  readonly place: CallPlace;
}

/** Timers take a 32-bit integer and fire at once for more: 24 days. */
const longestTimerMs = 2 ** 31 - 1;

/** How much longer than the server the client waits, so that the server's own answer, which names the slow api, arrives. */
const graceMs = (timeoutMs: number): number => Math.min(100, timeoutMs / 5);

export class CallLimit {
  readonly #bounds: CallBounds;
  readonly #controller = new AbortController();
  readonly #startedAt = performance.now();
  readonly #ended: Promise<never>;
  #endNow!: (reason: ServingError) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reason: ServingError | undefined;

  constructor(bounds: CallBounds) {
    this.#bounds = bounds;
    this.#ended = new Promise((_, reject) => (this.#endNow = reject));
    // Nobody may be waiting when the limit ends the call.
    this.#ended.catch(() => {});
    const { timeoutMs, signals } = bounds;
    if (timeoutMs !== undefined && timeoutMs + graceMs(timeoutMs) <= longestTimerMs) {
      this.#timer = setTimeout(() => this.#end(this.#timeout(timeoutMs)), timeoutMs + graceMs(timeoutMs));
    }
    const aborted = signals.find((signal) => signal?.aborted);
    if (aborted !== undefined) this.#end(toReason(aborted.reason, bounds.place));
    else for (const signal of signals) signal?.addEventListener("abort", this.#onAbort);
  }

  /** Aborted when the call is to end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Why the call was ended; `undefined` while it was not. */
  get reason(): ServingError | undefined {
    return this.#reason;
  }

  /** What the server may still take, in whole milliseconds, at least 1; `undefined` without a bound. */
  get remainingMs(): number | undefined {
    const { timeoutMs } = this.#bounds;
    if (timeoutMs === undefined || !Number.isFinite(timeoutMs)) return undefined;
    return Math.max(1, Math.ceil(timeoutMs - (performance.now() - this.#startedAt)));
  }

  /** `work`, or the reason the call was ended if that comes first. */
  guard<T>(work: T | PromiseLike<T>): Promise<T> {
    return Promise.race([work, this.#ended]);
  }

  /** The call has been answered in full. */
  release(): void {
    clearTimeout(this.#timer);
    for (const signal of this.#bounds.signals) signal?.removeEventListener("abort", this.#onAbort);
  }

  /** The call can't go on: what it was to send has failed. */
  fail(reason: ServingError): void {
    this.#end(reason);
  }

  /** Nothing more is wanted of the call: its connection, if still open, is let go of, which tells the server. */
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
    this.#endNow(reason);
    this.#controller.abort(reason);
  }

  #timeout(timeoutMs: number): ServingError {
    const { place, setBy } = this.#bounds;
    const waitingFor = [place.api === "" ? place.service : `${place.service}.${place.api}`];
    return fail("deadline_exceeded", { timeoutMs, setBy, waitingFor }, place);
  }
}

/** A signal that was itself aborted by a failure, such as that of a call inside a service, passes it on. */
function toReason(reason: unknown, place: CallPlace): ServingError {
  if (reason instanceof ServingError) return reason;
  const words = reason instanceof Error ? reason.message : String(reason);
  return fail("cancelled", { reason: words }, { ...place, cause: reason });
}
