import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { CallScope } from "../call/call-scope.js";
import { formatMs } from "../failure/failure-row.js";
import type { Pressure } from "./gate.js";

/** Slots of one api, of a `Lane` or a `Batcher`. */
export interface WatchedSlots {
  /** `"Model.predict"`. */
  readonly name: string;
  /** Calls or batches that may run at once. */
  readonly slots: number;
  readonly running: number;
  /** Calls that wait for a slot. */
  readonly queued: number;
  /** Calls that timed out or were cancelled and still run. */
  readonly overdue: readonly CallScope[];
  /** Slots held only by overdue calls. */
  readonly deadSlots: number;
  /**
   * Instant since which calls without new input have held all slots while others wait. `undefined`: that is not so now.
   */
  readonly starvedSince: number | undefined;
  readonly gate: Pressure;
  /** Updates `starvedSince`. Called each second while calls run. */
  look(now: number): void;
}

const lookMs = 1_000;
/** Milliseconds for which a call may run on after its caller was answered before the log says so. */
const overdueMs = 5_000;
/** Milliseconds for which calls may hold all slots without new input before the log says so. */
const starvedMs = 10_000;
/** Milliseconds between two such lines of the log about one api. */
const repeatMs = 60_000;

interface Watched {
  readonly lane: WatchedSlots;
  /** Refused calls when `readStrains` was last called, and when that was. */
  refused: number;
  askedAt: number;
  /** Overdue calls, and when each was first seen. */
  overdue: Map<CallScope, number>;
  saidAt: number;
  saidStarvedAt: number;
}

/**
 * Looks each second at the lanes of one replica in which calls run, and logs lanes whose slots are held by overdue or
 * starved calls.
 *
 * There is a timer only while calls run and for one look longer. It keeps the process alive only while calls wait.
 */
export class LaneWatch {
  /** True while the timer runs. A lane in which a call begins starts it. */
  isOn = false;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #watched: Watched[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  add(lane: WatchedSlots): void {
    const never = Number.NEGATIVE_INFINITY;
    const asked = { refused: 0, askedAt: this.#clock.now() };
    this.#watched.push({ lane, ...asked, overdue: new Map(), saidAt: never, saidStarvedAt: never });
  }

  start(isWaitedFor = false): void {
    this.isOn = true;
    this.#timer = this.#clock.setTimer(() => this.#look(), lookMs, isWaitedFor);
  }

  /** Keeps the process alive until the next look, since a waiting call may depend on that look alone. */
  hold(): void {
    this.#timer?.keepAlive(true);
  }

  /**
   * Describes each api that answers fewer calls than it gets. Refused calls are counted since the last call of this.
   */
  readStrains(): string[] {
    const now = this.#clock.now();
    return this.#watched.flatMap((watched) => {
      const { name, slots, queued, deadSlots, gate } = watched.lane;
      const { isOverloaded, answerMs, refused } = gate;
      const own = { name, slots, queued, deadSlots, isOverloaded, answerMs };
      const strain = formatStrain({ ...own, refused: refused - watched.refused, sinceMs: now - watched.askedAt });
      watched.refused = refused;
      watched.askedAt = now;
      return strain === undefined ? [] : [strain];
    });
  }

  /** Stops looking for good. */
  stop(): void {
    this.isOn = true;
    this.#timer?.clear();
    this.#timer = undefined;
    this.#watched.length = 0;
  }

  #look(): void {
    const now = this.#clock.now();
    let isBusy = false;
    let isWaitedFor = false;
    for (const watched of this.#watched) {
      if (watched.lane.running === 0) {
        // A call that has ended is not kept: it holds its input.
        watched.overdue.clear();
        continue;
      }
      isBusy = true;
      this.#tellOverdue(watched, now);
      watched.lane.look(now);
      this.#tellStarved(watched, now);
      isWaitedFor ||= watched.lane.queued > 0;
    }
    if (isBusy) this.start(isWaitedFor);
    else this.isOn = false;
  }

  /**
   * Warns of starved calls. The producer of their input may be in another process, so only a person can tell a
   * self-waiting lane.
   */
  #tellStarved(watched: Watched, now: number): void {
    const { lane, saidStarvedAt } = watched;
    const { name, running, queued, starvedSince = now } = lane;
    if (now - starvedSince < starvedMs || now - saidStarvedAt < repeatMs) return;
    watched.saidStarvedAt = now;
    const starvedForMs = Math.round(now - starvedSince);
    this.#log.warn(
      { running, queued, slots: lane.slots, starvedForMs },
      `all ${lane.slots === 1 ? "slots (1)" : `${lane.slots} slots`} of ${name} are held by calls that have had no input for ${Math.round(starvedForMs / 1000)} s, ` +
        `and ${queued} ${queued === 1 ? "call waits" : "calls wait"} for a slot. If those calls are to make that input, none of them can ever continue: ` +
        "give the api more slots (maxConcurrent) than the times that a chain of streams passes through it at once, or join the steps into one api",
    );
  }

  #tellOverdue(watched: Watched, now: number): void {
    const { lane, overdue: before, saidAt } = watched;
    watched.overdue = new Map(lane.overdue.map((scope) => [scope, before.get(scope) ?? now]));
    let oldest = now;
    for (const since of watched.overdue.values()) oldest = Math.min(oldest, since);
    if (now - oldest < overdueMs || now - saidAt < repeatMs) return;
    watched.saidAt = now;
    const overdue = watched.overdue.size;
    const oldestMs = Math.round(now - oldest);
    this.#log.warn(
      { overdue, running: lane.running, slots: lane.slots, oldestMs },
      `${lane.name} still runs ${overdue} ${overdue === 1 ? "call" : "calls"} that timed out or were cancelled, one for ${Math.round(oldestMs / 1000)} s, ` +
        "and they keep their slots. End such work when currentCall().signal is aborted, or set a time limit on the operation that it waits for",
    );
  }
}

/** State of the slots of one api. */
interface LaneState {
  readonly name: string;
  readonly slots: number;
  readonly queued: number;
  /** Slots held only by calls that timed out or were cancelled. */
  readonly deadSlots: number;
  readonly isOverloaded: boolean;
  /** Milliseconds from one answer to the next while calls wait; `undefined` while unknown. */
  readonly answerMs: number | undefined;
  /** Calls refused since the last time this was read, and how long ago that was. */
  readonly refused: number;
  readonly sinceMs: number;
}

/** Describes why an api answers fewer calls than it gets; `undefined` when it keeps up. */
export function formatStrain(state: LaneState): string | undefined {
  const { name, slots, queued, deadSlots, isOverloaded, answerMs, refused, sinceMs } = state;
  if (deadSlots >= slots) {
    const what = slots === 1 ? "its only slot is" : `all of its ${slots} slots are`;
    return `${name}: ${what} held by calls that timed out or were cancelled and have not ended; ${queued} wait`;
  }
  if (!isOverloaded) return undefined;
  const pace = answerMs === undefined ? "" : `, one is answered every ${formatMs(answerMs)} ms`;
  const perSecond = sinceMs > 0 ? Math.round((refused * 1000) / sinceMs) : 0;
  return `${name}: calls arrive faster than they are answered: ${queued} wait${pace}, ${perSecond} a second are refused`;
}
