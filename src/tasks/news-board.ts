import type { TaskNews } from "./task-store.js";

/** Who wants to hear of changes in one store. */
export class NewsBoard {
  readonly #listeners = new Set<{ readonly tell: (news: TaskNews) => void }>();
  readonly #onChange: (isWatched: boolean) => void;

  /** @param onChange Called when the first listener has come, and when the last one has gone. */
  constructor(onChange: (isWatched: boolean) => void) {
    this.#onChange = onChange;
  }

  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  /** @returns Ends it; may be called more than once. */
  watch(tell: (news: TaskNews) => void): () => void {
    const listener = { tell };
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#onChange(true);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#onChange(false);
    };
  }

  tell(news: TaskNews): void {
    for (const { tell } of [...this.#listeners]) tell(news);
  }

  /** Ends every watch. */
  clear(): void {
    if (!this.isWatched) return;
    this.#listeners.clear();
    this.#onChange(false);
  }
}
