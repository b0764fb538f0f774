// Finds out whether the other side of a link is there, and how long a frame is on its way.
//
// NH1  A link is silent when nothing came from the other side for `suspendAfterMs`, and lost after `replaceAfterMs`.
//      Bytes that had to wait and were taken by it count too: a long frame in either direction is no silence.
// NH2  Time in which this side did not look does not count: it may have computed or been suspended itself.
// NH3  The time on the way is half of the shortest of the latest round trips, and at most `maxWayMs`. A reply that was
//      late since one side was busy makes no deadline shorter.

/** Time limits of a link. */
interface PulseLimits {
  readonly intervalMs: number;
  readonly suspendAfterMs: number;
  readonly replaceAfterMs: number;
}

/** State of the other side, and the ping to send now. */
interface Look {
  readonly state: "well" | "silent" | "lost";
  /** Number of the ping; `undefined` while one is unanswered. */
  readonly ping: number | undefined;
}

export const maxWayMs = 1_000;
/** Round trips of which the shortest counts. */
const keptTrips = 8;

export class LinkPulse {
  readonly #limits: PulseLimits;
  readonly #trips: number[];
  #heardAt: number;
  #lookedAt: number;
  #progress = 0;
  #pingAt = 0;
  #ping = 0;
  #isAnswered = true;

  /** @param tripMs Round trip of the hello. */
  constructor(limits: PulseLimits, now: number, tripMs: number) {
    this.#limits = limits;
    this.#heardAt = now;
    this.#lookedAt = now;
    this.#trips = [tripMs];
  }

  /** Milliseconds from one side to the other (NH3). */
  get wayMs(): number {
    return Math.min(maxWayMs, Math.max(0, Math.min(...this.#trips) / 2));
  }

  /** Called every `intervalMs`. @param progress Number that grows while bytes come or waiting ones leave. */
  look(now: number, progress: number): Look {
    const { intervalMs, suspendAfterMs, replaceAfterMs } = this.#limits;
    this.#heardAt += Math.max(0, now - this.#lookedAt - intervalMs);
    this.#lookedAt = now;
    if (progress !== this.#progress) this.#heardAt = now;
    this.#progress = progress;
    const silentMs = now - this.#heardAt;
    const state = silentMs >= replaceAfterMs ? "lost" : silentMs >= suspendAfterMs ? "silent" : "well";
    if (!this.#isAnswered) return { state, ping: undefined };
    this.#isAnswered = false;
    this.#pingAt = now;
    this.#ping = (this.#ping + 1) >>> 0;
    return { state, ping: this.#ping };
  }

  /** Notes the answer to a ping. */
  answered(now: number, ping: number): void {
    this.#heardAt = now;
    if (this.#isAnswered || ping !== this.#ping) return;
    this.#isAnswered = true;
    this.#trips.push(now - this.#pingAt);
    if (this.#trips.length > keptTrips) this.#trips.shift();
  }
}
