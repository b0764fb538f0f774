import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { RepeatPace } from "../base/repeat-pace.js";

/**
 * Time for which a replica that has just ended may still be announced; failed attempts are no trouble before it is
 * over.
 */
const patienceMs = 2_000;

/** Constructor arguments of `LinkTrouble`. */
interface LinkTroubleDeps {
  /** Names of the replica that can't be reached. */
  readonly names: { readonly service: string; readonly replica: string };
  readonly address: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Counts one attempt that failed. */
  readonly count: () => void;
}

/** Notes failed attempts to reach a replica that is announced. Logs them after a while, then less and less often. */
export class LinkTrouble {
  readonly #deps: LinkTroubleDeps;
  readonly #pace = new RepeatPace();
  #since: number | undefined;
  #problem = "";

  constructor(deps: LinkTroubleDeps) {
    this.#deps = deps;
  }

  /** Describes the trouble; `undefined` before it has lasted long enough. */
  get obstacle(): string | undefined {
    return this.#lastedMs < patienceMs ? undefined : `${this.#deps.names.replica} can't be reached: ${this.#problem}`;
  }

  /** Notes a failed attempt. */
  failed(problem: string): void {
    const { names, address, clock, log, count } = this.#deps;
    const { replica } = names;
    this.#since ??= clock.now();
    this.#problem = problem;
    count();
    if (this.obstacle === undefined || !this.#pace.isDue(clock.now())) return;
    const fields = { ...names, address, problem, forMs: Math.round(this.#lastedMs) };
    log.warn(
      fields,
      `no link to ${replica}, which is ready: ${address}: ${problem}; the next attempt follows within a second`,
    );
  }

  /** Notes that the replica was reached. */
  over(): void {
    const { names, log } = this.#deps;
    if (this.#pace.wasTold) log.info({ ...names }, `${names.replica} was reached again`);
    this.#pace.reset();
    this.#since = undefined;
  }

  get #lastedMs(): number {
    return this.#since === undefined ? 0 : this.#deps.clock.now() - this.#since;
  }
}
