import type { Logger } from "../base/logger.js";
import { ServingError } from "../failure/serving-error.js";

/** While a store can't be used, that is said so often. */
const repeatMs = 30_000;
const outages: ReadonlySet<string> = new Set(["task_store_unavailable", "task_store_full"]);

export interface StoreHealthParts {
  readonly log: Logger;
  /** Where the store is: callers are not told, so the log must say. */
  readonly place: string;
  /** By a clock that nobody sets. */
  readonly now: () => number;
}

/** Says in the log when a store can't be used, with what the system said, and when it can again. */
export class StoreHealth {
  readonly #parts: StoreHealthParts;
  #toldAt = Number.NEGATIVE_INFINITY;
  #isDown = false;

  constructor(parts: StoreHealthParts) {
    this.#parts = parts;
  }

  noteSuccess(): void {
    if (!this.#isDown) return;
    this.#isDown = false;
    this.#parts.log.info({ store: this.#parts.place }, "the task store can be used again");
  }

  noteFailure(error: unknown): void {
    if (!(error instanceof ServingError) || !outages.has(error.id)) return;
    const { log, place, now } = this.#parts;
    if (now() < this.#toldAt + repeatMs) return;
    this.#toldAt = now();
    this.#isDown = true;
    log.warn(
      { err: error.cause ?? error, store: place },
      `${error.message}; what needs it fails, or waits, until it can be`,
    );
  }
}
