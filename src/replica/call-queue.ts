import { Fifo, type FifoPlace } from "../base/fifo.js";
import type { Priority } from "../call/call.js";
import type { Admission } from "./admission.js";
import type { Demand } from "./demand.js";

/**
 * How much later than it came a background call counts as having come.
 *
 * So it is overtaken by interactive calls that come within this time of it, and by none that come later: its wait is
 * bounded by what waited when it came and what came in this time, however many interactive calls there are.
 */
export const backgroundAgeMs = 1000;

/** Where a lane is overloaded, of so many turns one is that of background calls, and one that of calls of an earlier era. */
const turnsPerOther = 8;
const turnOfBackground = 7;
const turnOfEarlier = 3;
/** Calls of an earlier era rank behind all others, the newest first. */
const behindAll = 1e15;

/** Where a value stands in a `CallQueue`; needed to take it out of the middle. */
export interface QueuePlace<T> {
  readonly value: T;
  readonly priority: Priority;
  /** The era of its demand in which it came. */
  readonly era: number;
  /** When it came, or counts as having come. */
  readonly rank: number;
}

interface Standing<T> extends QueuePlace<T> {
  line: Fifo<Standing<T>>;
  node: FifoPlace<Standing<T>>;
}

/** Calls that wait, in the order in which their turn comes: first come first, background ones as if they came a second later. */
export class CallQueue<T> {
  readonly #admission: Admission;
  readonly #interactive: Line<T>;
  readonly #background: Line<T>;
  #turn = 0;

  /** @param admission Hears who comes and leaves, and says when those that come are served before those that wait. */
  constructor(admission: Admission) {
    this.#admission = admission;
    this.#interactive = new Line(admission.interactive);
    this.#background = new Line(admission.background);
  }

  get size(): number {
    return this.#interactive.size + this.#background.size;
  }

  /** The rank of the one whose turn is next; `undefined` when nothing waits. Of two queues the lower one is older. */
  get rank(): number | undefined {
    const next = this.#next();
    return next === undefined || next.line !== this.#lineOf(next.priority).earlier ? next?.rank : behindAll - next.rank;
  }

  /** The one whose turn is next, left where it is. */
  get first(): T | undefined {
    return this.#next()?.value;
  }

  /** Visits every one that waits, in no order that counts. */
  forEach(visit: (value: T) => void): void {
    this.#interactive.forEach(visit);
    this.#background.forEach(visit);
  }

  /** @param now When it came. */
  push(value: T, priority: Priority, now: number): QueuePlace<T> {
    const era = this.#admission.came(priority, now);
    const rank = priority === "background" ? now + backgroundAgeMs : now;
    return this.#lineOf(priority).push({ value, priority, era, rank });
  }

  /** Takes out the one whose turn it is. The place must come from `push` of this queue and still be in it. */
  serve(place: QueuePlace<T>): void {
    this.#turn++;
    this.remove(place);
  }

  /** Takes out one that waits no more. The place must come from `push` of this queue and still be in it. */
  remove(place: QueuePlace<T>): void {
    const { line, node, priority, era } = place as Standing<T>;
    line.remove(node);
    this.#admission.left(priority, era);
  }

  #lineOf(priority: Priority): Line<T> {
    return priority === "background" ? this.#background : this.#interactive;
  }

  #next(): Standing<T> | undefined {
    const isOverloaded = this.#admission.isOverloaded;
    const turn = isOverloaded ? this.#turn % turnsPerOther : 0;
    const interactive = this.#interactive.next(turn === turnOfEarlier);
    const background = this.#background.next(turn === turnOfEarlier);
    if (background === undefined || interactive === undefined) return interactive ?? background;
    const isInteractive = isOverloaded ? turn !== turnOfBackground : interactive.rank < background.rank;
    return isInteractive ? interactive : background;
  }
}

/** Calls of one priority, those of an earlier era apart. */
class Line<T> {
  readonly #demand: Demand;
  #era = 0;
  #current = new Fifo<Standing<T>>();
  #earlier = new Fifo<Standing<T>>();

  constructor(demand: Demand) {
    this.#demand = demand;
  }

  get size(): number {
    return this.#current.size + this.#earlier.size;
  }

  get earlier(): Fifo<Standing<T>> {
    return this.#earlier;
  }

  forEach(visit: (value: T) => void): void {
    const open = ({ value }: Standing<T>) => {
      visit(value);
    };
    this.#current.forEach(open);
    this.#earlier.forEach(open);
  }

  push(place: QueuePlace<T>): QueuePlace<T> {
    this.#follow();
    const standing = place as Standing<T>;
    standing.line = this.#current;
    standing.node = this.#current.push(standing);
    return standing;
  }

  /** @param isTurnOfEarlier Those of an earlier era are next, if any wait. */
  next(isTurnOfEarlier: boolean): Standing<T> | undefined {
    this.#follow();
    if (this.#current.size === 0 || (isTurnOfEarlier && this.#earlier.size > 0)) return this.#earlier.last;
    return this.#current.first;
  }

  /** What waits is of an earlier era once overload has begun, and is joined again when it is over. */
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
