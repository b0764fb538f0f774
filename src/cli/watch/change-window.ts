import type { Clock, Timer } from "../../base/clock.js";

/** What comes within this long of one another is one change: editors and formatters write a file several times. */
const quietMs = 50;
/** Something that never comes to rest is passed on after this long all the same. */
const longestMs = 1_000;

/** Gathers the paths of events that belong together. */
export class ChangeWindow {
  readonly #clock: Clock;
  readonly #onClose: (paths: readonly string[]) => void;
  readonly #paths = new Set<string>();
  #openedAt = 0;
  #timer: Timer | undefined;

  /** @param onClose Takes each path once, in the order of their first events. */
  constructor(clock: Clock, onClose: (paths: readonly string[]) => void) {
    this.#clock = clock;
    this.#onClose = onClose;
  }

  add(path: string): void {
    const now = this.#clock.now();
    if (this.#paths.size === 0) this.#openedAt = now;
    this.#paths.add(path);
    this.#timer?.clear();
    this.#timer = this.#clock.setTimer(() => this.#flush(), Math.min(quietMs, this.#openedAt + longestMs - now));
  }

  /** Forgets what it has. */
  close(): void {
    this.#timer?.clear();
    this.#paths.clear();
  }

  #flush(): void {
    const paths = [...this.#paths];
    this.#paths.clear();
    this.#onClose(paths);
  }
}
