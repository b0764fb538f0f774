import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { CallScope } from "../call/call-scope.js";
import { formatMs } from "../failure/failure-row.js";
import type { Pressure } from "./gate.js";

/** Places of one api in which calls run. */
export interface WatchedPlaces {
  /** `"Model.predict"`. */
  readonly name: string;
  /** Calls, or batches, that may run at once. */
  readonly places: number;
  readonly running: number;
  /** Calls that wait for a place. */
  readonly queued: number;
  /** Calls that still run though nobody waits for them. */
  readonly overdue: readonly CallScope[];
  /** Places that no other calls hold. */
  readonly deadPlaces: number;
  /** Since when all its places have been held by calls that get no input, while others wait for one; if they are now. */
  readonly starvedSince: number | undefined;
  readonly gate: Pressure;
  look(now: number): void;
}

const lookMs = 1_000;
/** How long a call may go on after its caller was answered before somebody is told. */
const overdueMs = 5_000;
/** How long calls may hold all places and get no input before somebody is told. */
const starvedMs = 10_000;
/** How often that is repeated while it stays so. */
const repeatMs = 60_000;

interface Watched {
  readonly places: WatchedPlaces;
  /** What had been refused when somebody last asked, and when that was. */
  refused: number;
  askedAt: number;
  /** Calls that should have ended, and when they were first seen. */
  overdue: Map<CallScope, number>;
  saidAt: number;
  saidStarvedAt: number;
}

/**
 * Looks each second at the lanes of one replica in which calls run, and says which of them hold places that nobody waits for.
 *
 * There is a timer only while something runs, and for one look longer; it keeps the process alive only while calls wait.
 */
export class LaneWatch {
  /** Whether it looks; a lane in which a call begins starts it. */
  isOn = false;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #watched: Watched[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  add(places: WatchedPlaces): void {
    const never = Number.NEGATIVE_INFINITY;
    const asked = { refused: 0, askedAt: this.#clock.now() };
    this.#watched.push({ places, ...asked, overdue: new Map(), saidAt: never, saidStarvedAt: never });
  }

  start(isWaitedFor = false): void {
    this.isOn = true;
    this.#timer = this.#clock.setTimer(() => this.#look(), lookMs, isWaitedFor);
  }

  /** A call waits, and may have nothing to wait for but the next look. */
  hold(): void {
    this.#timer?.keepAlive(true);
  }

  /** Of each api that answers less than is asked of it, why, in words; what it refused counts since this was last read. */
  readStrains(): string[] {
    const now = this.#clock.now();
    return this.#watched.flatMap((watched) => {
      const { name, places, queued, deadPlaces, gate } = watched.places;
      const { isOverloaded, answerMs, refused } = gate;
      const own = { name, places, queued, deadPlaces, isOverloaded, answerMs };
      const strain = formatStrain({ ...own, refused: refused - watched.refused, sinceMs: now - watched.askedAt });
      watched.refused = refused;
      watched.askedAt = now;
      return strain === undefined ? [] : [strain];
    });
  }

  /** For good. */
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
      if (watched.places.running === 0) continue;
      isBusy = true;
      this.#tellOverdue(watched, now);
      watched.places.look(now);
      this.#tellStarved(watched, now);
      isWaitedFor ||= watched.places.queued > 0;
    }
    if (isBusy) this.start(isWaitedFor);
    else this.isOn = false;
  }

  /** What makes the input may be in another process, so that only a person can say whether the lane waits for itself. */
  #tellStarved(watched: Watched, now: number): void {
    const { places, saidStarvedAt } = watched;
    const { name, running, queued, starvedSince = now } = places;
    if (now - starvedSince < starvedMs || now - saidStarvedAt < repeatMs) return;
    watched.saidStarvedAt = now;
    const starvedForMs = Math.round(now - starvedSince);
    this.#log.warn(
      { running, queued, places: places.places, starvedForMs },
      `all ${places.places === 1 ? "places (1)" : `${places.places} places`} of ${name} are held by calls that have had no input for ${Math.round(starvedForMs / 1000)} s, ` +
        `and ${queued} ${queued === 1 ? "call waits" : "calls wait"} for a place. If those are to make that input, none of them ever goes on: ` +
        "give the api more places than a chain of streams passes it at once (maxConcurrent), or join the steps into one api",
    );
  }

  #tellOverdue(watched: Watched, now: number): void {
    const { places, overdue: before, saidAt } = watched;
    watched.overdue = new Map(places.overdue.map((scope) => [scope, before.get(scope) ?? now]));
    let oldest = now;
    for (const since of watched.overdue.values()) oldest = Math.min(oldest, since);
    if (now - oldest < overdueMs || now - saidAt < repeatMs) return;
    watched.saidAt = now;
    const overdue = watched.overdue.size;
    const oldestMs = Math.round(now - oldest);
    this.#log.warn(
      { overdue, running: places.running, places: places.places, oldestMs },
      `${places.name} still runs ${overdue} ${overdue === 1 ? "call" : "calls"} that timed out or were cancelled, one for ${Math.round(oldestMs / 1000)} s, ` +
        "and they keep their places. End such work when currentCall().signal is aborted, or give what it waits for a limit of its own",
    );
  }
}

/** How the places of one api stand. */
interface PlacesState {
  readonly name: string;
  readonly places: number;
  readonly queued: number;
  /** Places whose calls still run though nobody waits for any of them. */
  readonly deadPlaces: number;
  readonly isOverloaded: boolean;
  /** From one answer to the next, while others wait; `undefined` while that is not known. */
  readonly answerMs: number | undefined;
  /** Calls refused since it was last asked, and how long ago that was. */
  readonly refused: number;
  readonly sinceMs: number;
}

/** Why an api answers less than is asked of it, in words; `undefined` where it does not. */
export function formatStrain(state: PlacesState): string | undefined {
  const { name, places, queued, deadPlaces, isOverloaded, answerMs, refused, sinceMs } = state;
  if (deadPlaces >= places) {
    const what = places === 1 ? "its one place is" : `all of its ${places} places are`;
    return `${name}: ${what} held by calls that timed out or were cancelled and have not ended; ${queued} wait`;
  }
  if (!isOverloaded) return undefined;
  const pace = answerMs === undefined ? "" : `, one is answered each ${formatMs(answerMs)} ms`;
  const perSecond = sinceMs > 0 ? Math.round((refused * 1000) / sinceMs) : 0;
  return `${name}: more calls come than are answered: ${queued} wait${pace}, ${perSecond} a second are refused`;
}
