/** How far a clock may be from where it should be before it counts as set: more than a timer is ever late by a clock's own fault. */
const stepMs = 1_000;

/**
 * Knows when leases that ran out may belong to somebody who could not renew them: while the store was away nobody could, and
 * when its clock is set forward they all seem to have run out. For a lease's time after that none is taken over.
 */
export class LeaseGrace {
  readonly #steadyNow: () => number;
  #isAway = false;
  /** By the steady clock. */
  #sparesUntil = Number.NEGATIVE_INFINITY;
  /** How far the store's clock is before the steady one. */
  #offset: number | undefined;

  /** @param steadyNow Milliseconds by a clock that nobody sets. */
  constructor(steadyNow: () => number) {
    this.#steadyNow = steadyNow;
  }

  /** The store could not be reached. */
  noteOutage(): void {
    this.#isAway = true;
  }

  /** The store's server has run for so long alone: before that, nobody could renew. */
  noteAge(serverMs: number, leaseMs: number): void {
    this.#sparesUntil = Math.max(this.#sparesUntil, this.#steadyNow() - serverMs + leaseMs);
  }

  /** Looks at the store's clock. @returns Whether it was set back since the last look. */
  noteTime(now: number, leaseMs: number): boolean {
    const offset = now - this.#steadyNow();
    const step = offset - (this.#offset ?? offset);
    this.#offset = offset;
    if (step > stepMs) this.#spare(leaseMs);
    return step < -stepMs;
  }

  /** Whether leases that ran out are left alone by what is asked for now. */
  spares(leaseMs: number): boolean {
    if (this.#isAway) this.#spare(leaseMs);
    this.#isAway = false;
    return this.leftMs > 0;
  }

  /** How long that lasts; 0 where none is spared. */
  get leftMs(): number {
    return Math.max(0, this.#sparesUntil - this.#steadyNow());
  }

  #spare(leaseMs: number): void {
    this.#sparesUntil = this.#steadyNow() + leaseMs;
  }
}

/** The newest are enough: a lease that nobody released runs out by itself. */
const mostKept = 256;

/** Lives of an app's processes and threads that are known to have ended: whoever runs tasks may release what they held. */
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

  /** Tells of each that has ended, those before included. @returns Ends it. */
  watch(tell: (life: string) => void): () => void {
    this.#listeners.add(tell);
    for (const life of this.#lives) tell(life);
    return () => {
      this.#listeners.delete(tell);
    };
  }
}
