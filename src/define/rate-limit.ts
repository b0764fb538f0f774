import { createHash } from "node:crypto";
import { systemClock } from "../base/clock.js";
import { fail } from "../failure/failures.js";
import type { IncomingCall, Interceptor } from "./interceptor.js";

/** Options of `rateLimit()`. */
export interface RateLimitOptions {
  /** Calls that one key may make in `windowMs`, at least 1. */
  readonly limit: number;
  /** Time in milliseconds in which a key that has used all its calls gets all of them back, evenly. */
  readonly windowMs: number;
  /** Calls that a key may make at once, at most `limit`. Default: `limit`. */
  readonly burst?: number;
  /**
   * Returns the key that a call counts for, such as the user of `currentCall()`; `undefined` for a call that is not
   * counted. Default: all calls count for one key.
   */
  readonly key?: (call: IncomingCall) => string | undefined;
  /** Keys that are counted, 100 000 unless given; the one that was not used for the longest is forgotten first. */
  readonly maxKeys?: number;
}

const defaultMaxKeys = 100_000;

/**
 * Returns an interceptor that refuses calls beyond a rate: 429 with `retryAfterMs`, over HTTP with `retry-after`.
 *
 * It counts in one process or thread, for all services there that it was given to. Give it to a service with one
 * replica for a limit of the whole app.
 *
 * @throws {ServingError} `invalid_option`; the interceptor throws `rate_limited`.
 */
export function rateLimit(options: RateLimitOptions): Interceptor {
  const { key } = options;
  const limiter = new RateLimiter(options);
  return (call: IncomingCall) => {
    const name = key === undefined ? "" : key(call);
    const retryAfterMs = name === undefined ? 0 : limiter.take(name, systemClock.now());
    if (retryAfterMs === 0) return call.next();
    const { limit, windowMs } = options;
    throw fail("rate_limited", { limit, windowMs, retryAfterMs });
  };
}

/** Longer keys are kept as a digest. */
const maxKeyChars = 64;

/**
 * Counts calls by key. Each key has an allowance of `burst` calls, which fills again by one call each `windowMs /
 * limit`.
 *
 * The allowance is kept as one number, the time at which it will be full again, as in the algorithm GCRA of ATM
 * networks.
 */
export class RateLimiter {
  readonly #msPerCall: number;
  readonly #burst: number;
  readonly #maxKeys: number;
  /** Time at which the allowance of each key is full, in the order in which keys were used. */
  readonly #fullAt = new Map<string, number>();

  /** @throws {ServingError} `invalid_option`. */
  constructor({ limit, windowMs, burst = limit, maxKeys = defaultMaxKeys }: RateLimitOptions) {
    checkNumber("limit", limit, Number.MAX_SAFE_INTEGER);
    checkNumber("windowMs", windowMs, Number.MAX_SAFE_INTEGER);
    checkNumber("burst", burst, limit);
    checkNumber("maxKeys", maxKeys, 10_000_000);
    this.#msPerCall = windowMs / limit;
    this.#burst = burst;
    this.#maxKeys = maxKeys;
  }

  /** Keys that are counted now. */
  get size(): number {
    return this.#fullAt.size;
  }

  /**
   * Takes one call from the allowance of a key.
   *
   * @returns 0; or, where nothing is left, the milliseconds until a call is: at least 1.
   */
  take(key: string, now: number): number {
    const name = key.length > maxKeyChars ? createHash("sha256").update(key).digest("base64") : key;
    const before = Math.max(this.#fullAt.get(name) ?? now, now);
    const after = before + this.#msPerCall;
    const waitMs = after - now - this.#burst * this.#msPerCall;
    // Sums of fractions: a call that comes exactly in time is not refused for the last digit.
    const isLate = waitMs > tinyMs;
    this.#keep(name, isLate ? before : after);
    return isLate ? Math.max(1, Math.ceil(waitMs)) : 0;
  }

  /** Keeps a time as the one that was used last. A refused key counts as used, so that it is not soon forgotten. */
  #keep(name: string, fullAt: number): void {
    this.#fullAt.delete(name);
    this.#fullAt.set(name, fullAt);
    if (this.#fullAt.size <= this.#maxKeys) return;
    for (const oldest of this.#fullAt.keys()) {
      this.#fullAt.delete(oldest);
      return;
    }
  }
}

const tinyMs = 0.001;

function checkNumber(option: string, value: unknown, max: number): void {
  if (Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= max) return;
  const expected = `a whole number from 1${max === Number.MAX_SAFE_INTEGER ? "" : ` to ${max}`}`;
  throw fail("invalid_option", { option, value, expected, source: "rateLimit()" });
}
