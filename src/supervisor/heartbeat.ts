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

/** Asks a replica whether its event loop turns: one question at a time, the next only after the answer. */
export class Heartbeat {
  readonly #host: ReplicaHost;
  readonly #parts: HeartbeatParts;
  #timer: Timer | undefined;
  #silence: Timer | undefined;
  #isStopped = false;

  constructor(host: ReplicaHost, parts: HeartbeatParts) {
    this.#host = host;
    this.#parts = parts;
  }

  start(): void {
    const { clock, settings, onSilent, onStuck, onPulse } = this.#parts;
    const asked = this.#host.pulse(settings.replaceAfterMs);
    // A replica in this very thread can't be asked: who would ask is as busy as it is.
    if (asked === undefined) return;
    this.#silence = clock.setTimer(onSilent, settings.outAfterMs);
    asked.then(
      (pulse) => {
        this.#silence?.clear();
        if (this.#isStopped) return;
        onPulse(pulse);
        this.#timer = clock.setTimer(() => this.start(), settings.intervalMs);
      },
      () => {
        this.#silence?.clear();
        if (!this.#isStopped) onStuck(settings.replaceAfterMs);
      },
    );
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.clear();
    this.#silence?.clear();
  }
}
