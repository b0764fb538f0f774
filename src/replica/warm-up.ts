import type { LoopTurns } from "../call/loop-turns.js";

/** Runs that failed, after which an api counts as warm all the same. */
const maxFailed = 8;

/**
 * The first runs of an api, until one has come to its end: a model may be compiled in them, which keeps the event loop from turning
 * for longer than any run after it. The thread says so to its supervisor before that begins.
 */
export class WarmUp {
  readonly #turns: LoopTurns;
  #running = 0;
  #failuresLeft = maxFailed;

  constructor(turns: LoopTurns) {
    this.#turns = turns;
  }

  /** Asked first, since that is all that a call costs once it is. */
  get isOver(): boolean {
    return this.#failuresLeft === 0;
  }

  /** A run is about to begin. */
  begin(): void {
    if (!this.isOver && ++this.#running === 1) this.#turns.countFirstRuns(1);
  }

  /** A run has ended without a result. */
  failed(): void {
    if (this.isOver) return;
    this.#failuresLeft--;
    if (--this.#running === 0 || this.isOver) this.#turns.countFirstRuns(-1);
  }

  /** A run has given a result. */
  completed(): void {
    this.close();
  }

  /** It is over: also where its replica has ended, with a run that may never end. */
  close(): void {
    if (this.isOver) return;
    this.#failuresLeft = 0;
    if (this.#running > 0) this.#turns.countFirstRuns(-1);
  }
}
