import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { RepeatPace } from "../base/repeat-pace.js";

/** For so long a replica that has ended may still be announced, and nothing is wrong. */
const patienceMs = 2_000;

/** What it tells of, and how. */
export interface LinkTroubleDeps {
  readonly replica: string;
  readonly address: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Counts one attempt that failed. */
  readonly count: () => void;
}

/** Notes that a replica which is announced can't be reached, and says so: in the log, after a while, and then ever more seldom. */
export class LinkTrouble {
  readonly #deps: LinkTroubleDeps;
  readonly #pace = new RepeatPace();
  #since: number | undefined;
  #problem = "";

  constructor(deps: LinkTroubleDeps) {
    this.#deps = deps;
  }

  /** What is wrong, in words; `undefined` while nothing is, or was not for long enough. */
  get obstacle(): string | undefined {
    return this.#lastedMs < patienceMs ? undefined : `${this.#deps.replica} can't be reached: ${this.#problem}`;
  }

  /** An attempt has failed. */
  failed(problem: string): void {
    const { replica, address, clock, log, count } = this.#deps;
    this.#since ??= clock.now();
    this.#problem = problem;
    count();
    if (this.obstacle === undefined || !this.#pace.isDue(clock.now())) return;
    const fields = { replica, address, problem, forMs: Math.round(this.#lastedMs) };
    log.warn(fields, `no link to ${replica}, which is ready: ${address}: ${problem}; it is tried again each second`);
  }

  /** It is reached. */
  over(): void {
    if (this.#pace.wasTold)
      this.#deps.log.info({ replica: this.#deps.replica }, `${this.#deps.replica} is reached again`);
    this.#pace.reset();
    this.#since = undefined;
  }

  get #lastedMs(): number {
    return this.#since === undefined ? 0 : this.#deps.clock.now() - this.#since;
  }
}
