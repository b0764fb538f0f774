/** Smallest jump of a clock, in milliseconds, that counts as a clock that was set. Ordinary drift stays below it. */
const stepMs = 1_000;

/**
 * Decides when expired leases are spared because their holders could not renew them: nobody could while the store was
 * out of reach, and all leases seem expired when its clock is set forward. After that no lease is taken over for the
 * length of a lease.
 */
export class LeaseGrace {
  readonly #steadyNow: () => number;
  #isAway = false;
  /** Time by the steady clock. */
  #sparesUntil = Number.NEGATIVE_INFINITY;
  /** Difference of the store's clock to the steady clock. */
  #offset: number | undefined;

  /** @param steadyNow Reads a monotonic clock, in milliseconds. */
  constructor(steadyNow: () => number) {
    this.#steadyNow = steadyNow;
  }

  /** Notes that the store could not be reached. */
  noteOutage(): void {
    this.#isAway = true;
  }

  /** Notes the uptime of the store's server: no lease could be renewed before its start. */
  noteAge(serverMs: number, leaseMs: number): void {
    this.#sparesUntil = Math.max(this.#sparesUntil, this.#steadyNow() - serverMs + leaseMs);
  }

  /** Compares the store's clock with the steady one. @returns True when it was set back since the last look. */
  noteTime(now: number, leaseMs: number): boolean {
    const offset = now - this.#steadyNow();
    const step = offset - (this.#offset ?? offset);
    this.#offset = offset;
    if (step > stepMs) this.#spare(leaseMs);
    return step < -stepMs;
  }

  /** True when a claim that is made now must not take over expired leases. */
  spares(leaseMs: number): boolean {
    if (this.#isAway) this.#spare(leaseMs);
    this.#isAway = false;
    return this.leftMs > 0;
  }

  /** Milliseconds for which leases are still spared; 0 when they are not. */
  get leftMs(): number {
    return Math.max(0, this.#sparesUntil - this.#steadyNow());
  }

  #spare(leaseMs: number): void {
    this.#sparesUntil = this.#steadyNow() + leaseMs;
  }
}

/** Most lives remembered, the newest ones. A lease that was not released expires anyway. */
const mostKept = 256;

/** Lives of the app's processes and threads that are known to have ended. Task runners release their leases. */
export class EndedLives {
  readonly #lives: Set<string>;
  readonly #listeners = new Set<(life: string) => void>();

  constructor(lives: readonly string[] = []) {
    this.#lives = new Set(lives);
  }

  get all(): readonly string[] {
    return [...this.#lives];
  }

  note(life: string): void {
    if (this.#lives.has(life)) return;
    this.#lives.add(life);
    for (const oldest of this.#lives) {
      if (this.#lives.size <= mostKept) break;
      this.#lives.delete(oldest);
    }
    for (const tell of this.#listeners) tell(life);
  }

  /** Calls `tell` for each life that has ended, including earlier ones. @returns A function that ends it. */
  watch(tell: (life: string) => void): () => void {
    this.#listeners.add(tell);
    for (const life of this.#lives) tell(life);
    return () => {
      this.#listeners.delete(tell);
    };
  }
}
