import type { Clock, Timer } from "../base/clock.js";
import type { MovedDeployment } from "./replica-run.js";

// Watches whether the entry service has a replica. Without one no process answers the clients.
//
// JE1  `onAbsent` is called when no replica has been there for `waitMs`, or as soon as the service is down.
//      `onPresent` is called when one is there again. The two alternate.
// JE2  `onGone` is called at most once: when no replica has been there for `exitAfterMs` and none is starting. A
//      replica that is ready for a moment resets the count, so a request that kills each replica does not end the
//      app.

/** Limits of the watch, and its callbacks. */
interface EntryWatchDeps {
  readonly clock: Clock;
  /** Time for which connections may wait for a replica. */
  readonly waitMs: number;
  /** Time without a replica after which the app ends; 0 is never. */
  readonly exitAfterMs: number;
  readonly onAbsent: () => void;
  readonly onPresent: () => void;
  /** @param reason Why its replicas are not ready, as text. */
  readonly onGone: (reason: string) => void;
}

export class EntryWatch {
  readonly #deps: EntryWatchDeps;
  #timers: Timer[] = [];
  /** False until the first replica is ready: before that no client waits. */
  #hasBeenThere = false;
  #isAway = false;
  #isTold = false;
  #isOverdue = false;
  #isStopped = false;

  constructor(deps: EntryWatchDeps) {
    this.#deps = deps;
  }

  /** Takes the state of the entry service after each change. */
  note(entry: MovedDeployment): void {
    if (this.#isStopped) return;
    if (entry.presence === "there") {
      this.#hasBeenThere = true;
      this.#reset();
    }
    if (entry.presence === "there" || !this.#hasBeenThere) return;
    if (!this.#isAway) this.#begin(entry);
    if (entry.down !== undefined) this.#tellAbsent();
    this.#endIfOverdue(entry);
  }

  /** Ends the watch: no callback is called after this. */
  stop(): void {
    this.#isStopped = true;
    this.#clear();
  }

  #begin(entry: MovedDeployment): void {
    const { clock, waitMs, exitAfterMs } = this.#deps;
    this.#isAway = true;
    this.#timers.push(clock.setTimer(() => this.#tellAbsent(), waitMs));
    if (exitAfterMs === 0) return;
    const expire = () => {
      this.#isOverdue = true;
      this.#endIfOverdue(entry);
    };
    this.#timers.push(clock.setTimer(expire, exitAfterMs));
  }

  #endIfOverdue({ presence, obstacles }: MovedDeployment): void {
    if (!this.#isOverdue || presence !== "away") return;
    this.stop();
    this.#deps.onGone(obstacles);
  }

  #tellAbsent(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#deps.onAbsent();
  }

  #reset(): void {
    this.#clear();
    this.#isAway = false;
    this.#isOverdue = false;
    if (!this.#isTold) return;
    this.#isTold = false;
    this.#deps.onPresent();
  }

  #clear(): void {
    for (const timer of this.#timers) timer.clear();
    this.#timers = [];
  }
}
