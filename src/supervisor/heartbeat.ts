import type { Clock, Timer } from "../base/clock.js";
import type { LivenessSettings } from "../options/settings.js";
import type { Pulse, ReplicaHost } from "../placement/placement.js";

/** Settings of a heartbeat, and its callbacks. */
interface HeartbeatDeps {
  readonly settings: LivenessSettings;
  readonly clock: Clock;
  readonly onPulse: (pulse: Pulse) => void;
  /** Called when no answer came for `suspendAfterMs`. */
  readonly onSilent: () => void;
  /** Called when no answer came for `replaceAfterMs`. @param limit Name of the limit that applied. */
  readonly onStuck: (silentMs: number, limit: string) => void;
}

/**
 * Multiple of its own longest run for which a replica may be silent: one that has finished such a run is busy, not
 * hung.
 */
const runsAllowed = 3;

/** Time for which a replica may be silent, and the name of that limit. */
interface Limit {
  readonly ms: number;
  readonly name: string;
}

/**
 * Asks a replica whether its event loop turns: one question at a time, the next one after the answer.
 *
 * A busy replica is not hung. It answers between two runs, reports how long its runs take, and announces the first
 * run of an api, which may take long. While another replica of its process starts, and may load a model, the limit is
 * that of the start.
 *
 * Silence is measured by the clock alone. A question that fails because the replica ended is not silence: the end is
 * reported elsewhere. The process that asks may have been busy or suspended itself, so it reads pending answers
 * before it reports silence.
 *
 * A replica that is debugged (`isInspected`) is asked, but never reported silent.
 */
export class Heartbeat {
  readonly #host: ReplicaHost;
  readonly #deps: HeartbeatDeps;
  #timers: Timer[] = [];
  /** Longest recent run in milliseconds, from the last answer. */
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
    // A replica in this thread can't be asked: while it is busy, this code does not run either.
    if (asked === undefined) return;
    this.#timers = [];
    if (this.#host.isInspected !== true) {
      this.#afterSilence(0, () => this.#limit(suspendAfterMs, "liveness.suspendAfterMs"), onSilent);
      const replaceLimit = () => this.#limit(replaceAfterMs, "liveness.replaceAfterMs");
      this.#afterSilence(0, replaceLimit, ({ ms, name }) => onStuck(ms, name));
    }
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

  /** Returns the longest limit that applies to what the replica does now. */
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
   * Calls `tell` after a silence. Two timers in a row let the event loop read pending messages in between: an answer
   * clears the second timer, and a message sent before the silence may raise the limit.
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
