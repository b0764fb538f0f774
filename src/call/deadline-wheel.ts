import type { Clock, Timer } from "../base/clock.js";

/** An entry of the wheel: it ends when its deadline passes. */
export interface Expiring {
  /** Reading of the wheel's clock; constant while the entry is in the wheel. */
  readonly expiresAt: number;
  /** Index in its slot of the wheel; `notInWheel` while it is in no wheel. */
  readonly wheelPlace: number;
  /** Called by the wheel alone. */
  setWheelPlace(place: number): void;
  /** Called once, at most `granularityMs` after the deadline, unless the entry was removed before. */
  expire(): void;
}

/** Milliseconds by which a deadline may be noticed late: deadlines of one slot expire together. */
const granularityMs = 8;

/** `wheelPlace` of an entry that is in no wheel. */
export const notInWheel = -1;

interface Slot {
  readonly at: number;
  /** Unordered: the last entry moves to the index of a removed one. */
  readonly entries: Expiring[];
}

/**
 * One timer for all deadlines of a process.
 *
 * Most calls end long before their deadline, so adding and removing must be cheap. Consecutive calls mostly fall into
 * the slot used last, which costs no search. Expiring may cost more. Slots are rounded up, so nothing expires early.
 */
export class DeadlineWheel {
  readonly #clock: Clock;
  /** Slots with entries, and the slot used last. */
  readonly #slots = new Map<number, Slot>();
  #lastUsed: Slot | undefined;
  #size = 0;
  #timer: Timer | undefined;
  #timerSlot = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(entry: Expiring): void {
    const at = slotOf(entry.expiresAt);
    const slot = this.#lastUsed?.at === at ? this.#lastUsed : this.#use(at);
    entry.setWheelPlace(slot.entries.length);
    slot.entries.push(entry);
    this.#size++;
    if (at < this.#timerSlot) this.#arm(at);
    else if (this.#size === 1) this.#timer?.keepAlive(true);
  }

  remove(entry: Expiring): void {
    const place = entry.wheelPlace;
    if (place === notInWheel) return;
    entry.setWheelPlace(notInWheel);
    const at = slotOf(entry.expiresAt);
    const slot = this.#lastUsed?.at === at ? this.#lastUsed : (this.#slots.get(at) as Slot);
    const last = slot.entries.pop() as Expiring;
    if (last !== entry) {
      slot.entries[place] = last;
      last.setWheelPlace(place);
    }
    if (slot.entries.length === 0 && slot !== this.#lastUsed) this.#slots.delete(at);
    if (--this.#size === 0) this.#timer?.keepAlive(false);
  }

  #use(at: number): Slot {
    const before = this.#lastUsed;
    if (before?.entries.length === 0) this.#slots.delete(before.at);
    let slot = this.#slots.get(at);
    if (slot === undefined) this.#slots.set(at, (slot = { at, entries: [] }));
    this.#lastUsed = slot;
    return slot;
  }

  /** A removed entry leaves the timer armed: re-arming at each removal would cost more than one idle wake-up. */
  #arm(slot: number): void {
    this.#timer?.clear();
    this.#timerSlot = slot;
    const delayMs = Math.max(0, slot * granularityMs - this.#clock.now());
    this.#timer = this.#clock.setTimer(() => this.#expireDue(), Math.min(delayMs, maxTimerMs), this.#size > 0);
  }

  #expireDue(): void {
    this.#timer = undefined;
    this.#timerSlot = Number.POSITIVE_INFINITY;
    const now = this.#clock.now() / granularityMs;
    const due: Expiring[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const [at, slot] of this.#slots) {
      if (at <= now) {
        for (const entry of slot.entries) {
          entry.setWheelPlace(notInWheel);
          due.push(entry);
        }
        this.#size -= slot.entries.length;
        this.#slots.delete(at);
        if (slot === this.#lastUsed) this.#lastUsed = undefined;
      } else if (at < next && slot.entries.length > 0) {
        next = at;
      }
    }
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next);
    for (const entry of due) entry.expire();
  }
}

/** Node turns a longer delay into 1 ms. */
const maxTimerMs = 2 ** 31 - 1;

const slotOf = (deadline: number): number => Math.ceil(deadline / granularityMs);
