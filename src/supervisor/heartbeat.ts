import type { Clock, Timer } from "../base/clock.js";
import type { LivenessSettings } from "../options/settings.js";
import type { Pulse, ReplicaHost } from "../placement/placement.js";

/** What a heartbeat needs and whom it tells. */
export interface HeartbeatParts {
  readonly settings: LivenessSettings;
  readonly clock: Clock;
  readonly onPulse: (pulse: Pulse) => void;
  /** Nothing was heard for `outAfterMs`. */
  readonly onSilent: () => void;
  /** Nothing was heard for `replaceAfterMs`. */
  readonly onStuck: (silentMs: number) => void;
}

/**
 * Asks a replica whether its event loop turns: one question at a time, the next only after the answer.
 *
 * Silence is told by the clock alone. A question also fails when the replica ends, and its end says more than its silence.
 * Whoever asks may have been busy, or stopped, itself: what has come meanwhile is read before a silence is told.
 */
export class Heartbeat {
  readonly #host: ReplicaHost;
  readonly #parts: HeartbeatParts;
  #timers: Timer[] = [];
  #isStopped = false;

  constructor(host: ReplicaHost, parts: HeartbeatParts) {
    this.#host = host;
    this.#parts = parts;
  }

  start(): void {
    const { clock, settings, onSilent, onStuck, onPulse } = this.#parts;
    const { intervalMs, outAfterMs, replaceAfterMs } = settings;
    const asked = this.#host.pulse(Number.POSITIVE_INFINITY);
    // A replica in this very thread can't be asked: who would ask is as busy as it is.
    if (asked === undefined) return;
    this.#timers = [];
    this.#afterSilence(outAfterMs, onSilent);
    this.#afterSilence(replaceAfterMs, () => onStuck(replaceAfterMs));
    asked.then(
      (pulse) => {
        this.#clear();
        if (this.#isStopped) return;
        this.#timers = [clock.setTimer(() => this.start(), intervalMs)];
        onPulse(pulse);
      },
      () => {},
    );
  }

  /** Between two timers the event loop reads what has come, and an answer clears the second one. */
  #afterSilence(silentMs: number, tell: () => void): void {
    const { clock } = this.#parts;
    this.#timers.push(clock.setTimer(() => this.#timers.push(clock.setTimer(tell, 0)), silentMs));
  }

  stop(): void {
    this.#isStopped = true;
    this.#clear();
  }

  #clear(): void {
    for (const timer of this.#timers) timer.clear();
    this.#timers = [];
  }
}
