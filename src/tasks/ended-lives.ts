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
