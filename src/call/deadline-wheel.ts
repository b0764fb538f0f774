import type { Clock, Timer } from "../base/clock.js";

/** Something that ends when its deadline passes. */
export interface Expiring {
  /** A reading of the wheel's clock. */
  readonly expiresAt: number;
  /** Called once, at most `granularityMs` after that, unless removed before. */
  expire(): void;
}

/** Deadlines that fall into one slot expire together; this is how late one may be noticed. */
const granularityMs = 8;

/**
 * One timer for all deadlines of a process.
 *
 * Most calls end long before their deadline, so adding and removing must be cheap (two map operations); expiring may
 * cost more. Slots are rounded up, so nothing expires early.
 */
export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #slots = new Map<number, Set<Expiring>>();
  #size = 0;
  #timer: Timer | undefined;
  #timerSlot = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(entry: Expiring): void {
    const slot = slotOf(entry.expiresAt);
    const entries = this.#slots.get(slot);
    if (entries === undefined) this.#slots.set(slot, new Set([entry]));
    else entries.add(entry);
    this.#size++;
    if (slot < this.#timerSlot) this.#arm(slot);
    else if (this.#size === 1) this.#timer?.keepAlive(true);
  }

  remove(entry: Expiring): void {
    const slot = slotOf(entry.expiresAt);
    const entries = this.#slots.get(slot);
    if (entries === undefined || !entries.delete(entry)) return;
    if (entries.size === 0) this.#slots.delete(slot);
    if (--this.#size === 0) this.#timer?.keepAlive(false);
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
    for (const [slot, entries] of this.#slots) {
      if (slot <= now) {
        due.push(...entries);
        this.#size -= entries.size;
        this.#slots.delete(slot);
      } else if (slot < next) {
        next = slot;
      }
    }
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next);
    for (const entry of due) entry.expire();
  }
}

/** Node turns a longer delay into 1 ms. */
const maxTimerMs = 2 ** 31 - 1;

const slotOf = (deadline: number): number => Math.ceil(deadline / granularityMs);
