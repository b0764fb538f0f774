import type { Clock, Timer } from "../../base/clock.js";

/** A stream over HTTP, in one direction or both. */
export interface WatchedStream {
  /** Set when bytes of the body arrived, or an item was taken or written. The watch resets it. */
  hasMoved: boolean;
  /** Set when something was written. The watch resets it. */
  hasSent: boolean;
  /** Called when nothing was written for `heartbeatMs`. */
  beat(): void;
  /** Called when nothing moved for `idleMs`; the stream is no longer watched then. */
  expire(idleMs: number): void;
}

interface Watched {
  readonly stream: WatchedStream;
  /** Clock readings: last known movement, and last known write. */
  quietSince: number;
  silentSince: number;
}

/** Milliseconds; 0 for never. */
interface StreamLimits {
  readonly idleMs: number;
  readonly heartbeatMs: number;
}

/**
 * Ends idle streams, and sends heartbeats on silent ones so that no proxy takes them for dead.
 *
 * One timer serves all streams of a server: an item costs two fields, no timer and no reading of the clock. Both
 * times are noticed at most a quarter late.
 */
export class StreamWatch {
  readonly #clock: Clock;
  readonly #limits: StreamLimits;
  readonly #granularityMs: number;
  readonly #watched = new Map<WatchedStream, Watched>();
  #timer: Timer | undefined;

  constructor(clock: Clock, limits: StreamLimits) {
    this.#clock = clock;
    this.#limits = limits;
    const shortest = Math.min(
      limits.idleMs || Number.POSITIVE_INFINITY,
      limits.heartbeatMs || Number.POSITIVE_INFINITY,
    );
    this.#granularityMs = Math.min(1000, shortest / 4);
  }

  add(stream: WatchedStream): void {
    const now = this.#clock.now();
    this.#watched.set(stream, { stream, quietSince: now, silentSince: now });
    const { idleMs, heartbeatMs } = this.#limits;
    if (this.#timer === undefined && idleMs + heartbeatMs > 0) this.#arm();
  }

  remove(stream: WatchedStream): void {
    this.#watched.delete(stream);
    if (this.#watched.size > 0) return;
    this.#timer?.clear();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(() => this.#look(), this.#granularityMs);
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    for (const watched of this.#watched.values()) this.#lookAt(watched, now);
    if (this.#watched.size > 0) this.#arm();
  }

  #lookAt(watched: Watched, now: number): void {
    const { idleMs, heartbeatMs } = this.#limits;
    const { stream } = watched;
    if (stream.hasMoved) watched.quietSince = now;
    if (stream.hasSent) watched.silentSince = now;
    stream.hasMoved = false;
    stream.hasSent = false;
    if (idleMs > 0 && now - watched.quietSince >= idleMs) {
      this.#watched.delete(stream);
      stream.expire(idleMs);
    } else if (heartbeatMs > 0 && now - watched.silentSince >= heartbeatMs) {
      watched.silentSince = now;
      stream.beat();
    }
  }
}
