import type { Clock, Timer } from "../base/clock.js";
import type { LivenessSettings } from "../options/settings.js";
import type { Pulse, ReplicaHost } from "../placement/placement.js";

/** What a heartbeat needs and whom it tells. */
export interface HeartbeatDeps {
  readonly settings: LivenessSettings;
  readonly clock: Clock;
  readonly onPulse: (pulse: Pulse) => void;
  /** Nothing was heard for `suspendAfterMs`. */
  readonly onSilent: () => void;
  /** Nothing was heard for `replaceAfterMs`. @param silentMs For how long, and `limit`: which bound that was, in words. */
  readonly onStuck: (silentMs: number, limit: string) => void;
}

/** How many of its own longest runs a replica may be silent for: one that has come to the end of such a run is only busy. */
const runsAllowed = 3;

/** How long a replica may be silent, and why so long. */
interface Limit {
  readonly ms: number;
  readonly name: string;
}

/**
 * Asks a replica whether its event loop turns: one question at a time, the next only after the answer.
 *
 * A replica that is busy is not hung: it answers between two runs, says how long its runs are, and says before the first run of an
 * api that this may last. While another replica starts in its process, and may load a model, it is waited for as long as that start
 * may take. Silence is told by the clock alone. A question also fails when the replica ends, and its end says more than its silence.
 * Whoever asks may have been busy, or stopped, itself: what has come meanwhile is read before a silence is told.
 */
export class Heartbeat {
  readonly #host: ReplicaHost;
  readonly #deps: HeartbeatDeps;
  #timers: Timer[] = [];
  /** Of late, as it last said. */
  #longestRunMs = 0;
  #isStopped = false;

  constructor(host: ReplicaHost, deps: HeartbeatDeps) {
    this.#host = host;
    this.#deps = deps;
  }

  start(): void {
    const { clock, settings, onSilent, onStuck, onPulse } = this.#deps;
    const { intervalMs, suspendAfterMs, replaceAfterMs } = settings;
    const asked = this.#host.pulse(Number.POSITIVE_INFINITY);
    // A replica in this very thread can't be asked: who would ask is as busy as it is.
    if (asked === undefined) return;
    this.#timers = [];
    this.#afterSilence(0, () => this.#limit(suspendAfterMs, "liveness.suspendAfterMs"), onSilent);
    const replaceLimit = () => this.#limit(replaceAfterMs, "liveness.replaceAfterMs");
    this.#afterSilence(0, replaceLimit, ({ ms, name }) => onStuck(ms, name));
    asked.then(
      (pulse) => {
        this.#clear();
        if (this.#isStopped) return;
        this.#longestRunMs = pulse.longestRunMs ?? 0;
        this.#timers = [clock.setTimer(() => this.start(), intervalMs)];
        onPulse(pulse);
      },
      () => {},
    );
  }

  /** The longest of the bounds that hold for what the replica is known to do. */
  #limit(plainMs: number, name: string): Limit {
    const { warmUpMs, replaceAfterMs } = this.#deps.settings;
    const { isWarmingUp, heldUpMs = 0 } = this.#host;
    const limits = [
      { ms: plainMs, name },
      { ms: Math.ceil(this.#longestRunMs * runsAllowed), name: `${runsAllowed} times its longest run` },
      { ms: isWarmingUp === true && warmUpMs > replaceAfterMs ? warmUpMs : 0, name: "liveness.warmUpMs" },
      { ms: heldUpMs, name: "the limit of a start in its process" },
    ];
    return limits.reduce((longest, limit) => (limit.ms > longest.ms ? limit : longest));
  }

  /**
   * Between two timers the event loop reads what has come: an answer clears the second one, and what a replica says before it is
   * silent may change its limit.
   */
  #afterSilence(waitedMs: number, readLimit: () => Limit, tell: (limit: Limit) => void): void {
    const { clock } = this.#deps;
    const untilMs = readLimit().ms;
    const look = () => {
      const limit = readLimit();
      if (limit.ms > untilMs) this.#afterSilence(untilMs, readLimit, tell);
      else tell(limit);
    };
    this.#timers.push(clock.setTimer(() => this.#timers.push(clock.setTimer(look, 0)), untilMs - waitedMs));
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
