import type { Clock, Timer } from "../base/clock.js";
import type { MovedDeployment } from "./replica-run.js";

// Looks after an app whose entry service has no replica: nobody else answers its clients.
//
// E1  `onAbsent` is told once no replica has been there for `waitMs`, or as soon as the service is down; `onPresent` once one
//     is there again. Each in turn.
// E2  `onGone` is told once at most: no replica has been there for `exitAfterMs`, and none is being started. A replica that is
//     ready for a moment begins the count anew, so one that a client can end does not end the app.

/** What the watch bounds, and whom it tells. */
export interface EntryWatchDeps {
  readonly clock: Clock;
  /** How long connections may wait for a replica. */
  readonly waitMs: number;
  /** 0 is never. */
  readonly exitAfterMs: number;
  readonly onAbsent: () => void;
  readonly onPresent: () => void;
  /** @param reason What stands in the way of its replicas, in words. */
  readonly onGone: (reason: string) => void;
}

export class EntryWatch {
  readonly #deps: EntryWatchDeps;
  #timers: Timer[] = [];
  /** Before the app has started nobody waits for it. */
  #hasBeenThere = false;
  #isAway = false;
  #isTold = false;
  #isOverdue = false;
  #isStopped = false;

  constructor(deps: EntryWatchDeps) {
    this.#deps = deps;
  }

  /** Takes in how the entry service is, after each change. */
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

  /** Nothing is told from here on. */
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
