import { Fifo, type FifoPlace } from "../base/fifo.js";
import type { Priority } from "../call/call.js";
import type { Admission } from "./admission.js";
import type { Demand } from "./demand.js";

/**
 * Milliseconds that are added to the arrival time of a background call.
 *
 * Interactive calls that arrive within this time of it overtake it, later ones do not. So its wait is bounded by the
 * calls that waited when it arrived and those that arrived within this time, however many interactive calls there are.
 */
export const backgroundAgeMs = 1000;

/** Turns of an overloaded lane of which one goes to background calls, and one to calls of an earlier era. */
const turnsPerOther = 8;
const turnOfBackground = 7;
const turnOfEarlier = 3;
/** Rank behind all others, for calls of an earlier era; the newest of them come first. */
const behindAll = 1e15;

/** Entry of a `CallQueue`, by which a value can be removed from its middle. */
export interface QueueEntry<T> {
  readonly value: T;
  readonly priority: Priority;
  /** Era of its demand in which it arrived. */
  readonly era: number;
  /** Arrival time, for background calls plus `backgroundAgeMs`. */
  readonly rank: number;
}

interface LinkedEntry<T> extends QueueEntry<T> {
  line: Fifo<LinkedEntry<T>>;
  node: FifoPlace<LinkedEntry<T>>;
}

/**
 * Waiting calls in the order of their turns: first come, first served; background calls as if they had arrived a second
 * later.
 */
export class CallQueue<T> {
  readonly #admission: Admission;
  readonly #interactive: Line<T>;
  readonly #background: Line<T>;
  #turn = 0;

  /**
   * @param admission Is notified of arrivals and departures, and decides when new calls are served before earlier ones.
   */
  constructor(admission: Admission) {
    this.#admission = admission;
    this.#interactive = new Line(admission.interactive);
    this.#background = new Line(admission.background);
  }

  get size(): number {
    return this.#interactive.size + this.#background.size;
  }

  /**
   * Rank of the call whose turn is next; `undefined` when no call waits. Of two queues the one with the lower rank is
   * older.
   */
  get rank(): number | undefined {
    const next = this.#next();
    return next === undefined || next.line !== this.#lineOf(next.priority).earlier ? next?.rank : behindAll - next.rank;
  }

  /** Call whose turn is next. It stays in the queue. */
  get first(): T | undefined {
    return this.#next()?.value;
  }

  /** Visits every waiting call, in no particular order. */
  forEach(visit: (value: T) => void): void {
    this.#interactive.forEach(visit);
    this.#background.forEach(visit);
  }

  /** @param now Arrival time. */
  push(value: T, priority: Priority, now: number): QueueEntry<T> {
    const era = this.#admission.came(priority, now);
    const rank = priority === "background" ? now + backgroundAgeMs : now;
    return this.#lineOf(priority).push({ value, priority, era, rank });
  }

  /** Removes the call whose turn it is. The entry must come from `push` of this queue and still be in it. */
  serve(entry: QueueEntry<T>): void {
    this.#turn++;
    this.remove(entry);
  }

  /** Removes a call that gave up. The entry must come from `push` of this queue and still be in it. */
  remove(entry: QueueEntry<T>): void {
    const { line, node, priority, era } = entry as LinkedEntry<T>;
    line.remove(node);
    this.#admission.left(priority, era);
  }

  #lineOf(priority: Priority): Line<T> {
    return priority === "background" ? this.#background : this.#interactive;
  }

  #next(): LinkedEntry<T> | undefined {
    const isOverloaded = this.#admission.isOverloaded;
    const turn = isOverloaded ? this.#turn % turnsPerOther : 0;
    const interactive = this.#interactive.next(turn === turnOfEarlier);
    const background = this.#background.next(turn === turnOfEarlier);
    if (background === undefined || interactive === undefined) return interactive ?? background;
    const isInteractive = isOverloaded ? turn !== turnOfBackground : interactive.rank < background.rank;
    return isInteractive ? interactive : background;
  }
}

/** Calls of one priority. Those of an earlier era are kept apart. */
class Line<T> {
  readonly #demand: Demand;
  #era = 0;
  #current = new Fifo<LinkedEntry<T>>();
  #earlier = new Fifo<LinkedEntry<T>>();

  constructor(demand: Demand) {
    this.#demand = demand;
  }

  get size(): number {
    return this.#current.size + this.#earlier.size;
  }

  get earlier(): Fifo<LinkedEntry<T>> {
    return this.#earlier;
  }

  forEach(visit: (value: T) => void): void {
    const open = ({ value }: LinkedEntry<T>) => {
      visit(value);
    };
    this.#current.forEach(open);
    this.#earlier.forEach(open);
  }

  push(entry: QueueEntry<T>): QueueEntry<T> {
    this.#follow();
    const linked = entry as LinkedEntry<T>;
    linked.line = this.#current;
    linked.node = this.#current.push(linked);
    return linked;
  }

  /** @param isTurnOfEarlier True when calls of an earlier era are next, if any wait. */
  next(isTurnOfEarlier: boolean): LinkedEntry<T> | undefined {
    this.#follow();
    if (this.#current.size === 0 || (isTurnOfEarlier && this.#earlier.size > 0)) return this.#earlier.last;
    return this.#current.first;
  }

  /**
   * Follows the era: waiting calls become calls of an earlier era when overload begins, and are joined again when it is
   * over.
   */
  #follow(): void {
    const { era, isOverloaded } = this.#demand;
    if (era === this.#era) return;
    this.#era = era;
    const younger = this.#current;
    if (this.#earlier.size === 0) {
      if (isOverloaded) this.#swap();
      return;
    }
    for (let next = younger.shift(); next !== undefined; next = younger.shift()) {
      next.line = this.#earlier;
      next.node = this.#earlier.push(next);
    }
    if (!isOverloaded) this.#swap();
  }

  #swap(): void {
    const current = this.#current;
    this.#current = this.#earlier;
    this.#earlier = current;
  }
}
