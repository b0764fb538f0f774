import type { Clock, Timer } from "../../base/clock.js";
import type { Logger } from "../../base/logger.js";
import type { Progress } from "../../call/task-state.js";
import type { Lease, LeaseState, TaskStore } from "../../tasks/task-store.js";

// Renews the lease of one attempt, and stores its progress.
//
// LK1  There is one renewal at a time, and at least three within the length of a lease.
// LK2  Progress is sent with a renewal, at most once in `progressIntervalMs`. The newest progress wins, and the last is
//      not lost.
// LK3  `onCancel` and `onLost` are called once each, and never after `stop`.

/** Shortest time between two writes of progress. */
const progressIntervalMs = 500;

interface LeaseKeeperDeps {
  readonly store: TaskStore;
  readonly lease: Lease;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called when the task was asked to end. */
  readonly onCancel: () => void;
  /** Called when another replica has taken the task over. */
  readonly onLost: () => void;
}

export class LeaseKeeper {
  readonly #deps: LeaseKeeperDeps;
  #timer: Timer | undefined;
  #progressTimer: Timer | undefined;
  #progress: Progress | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #renewing: Promise<void> | undefined;
  #looking = false;
  #isStopped = false;
  #isCancelTold = false;
  #isLost = false;
  #hasFailed = false;

  constructor(deps: LeaseKeeperDeps) {
    this.#deps = deps;
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  start(): void {
    this.#renewIn(this.#deps.leaseMs / 3);
  }

  /** Stores progress, at once or when the last write is long enough ago. */
  report(progress: Progress): void {
    if (this.#isOver) return;
    this.#progress = progress;
    if (this.#progressTimer !== undefined) return;
    const { clock } = this.#deps;
    const waitMs = Math.max(0, this.#writtenAt + progressIntervalMs - clock.now());
    this.#progressTimer = clock.setTimer(() => {
      this.#progressTimer = undefined;
      void this.#renew();
    }, waitMs);
  }

  /** Stores progress that is not stored yet. Errors are ignored. */
  async flush(): Promise<void> {
    this.#progressTimer?.clear();
    await this.#renewing;
    if (this.#progress !== undefined) await this.#renew();
  }

  /** Looks whether the task was asked to end, after news of it. */
  look(): void {
    if (this.#looking || this.#isOver) return;
    this.#looking = true;
    this.#deps.store.get(this.#deps.lease.id).then(
      (record) => {
        this.#looking = false;
        if (record?.isCancelAsked === true && record.status === "in_progress") this.#tellCancel();
      },
      // The next renewal will show it too.
      () => {
        this.#looking = false;
      },
    );
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.clear();
    this.#progressTimer?.clear();
  }

  get #isOver(): boolean {
    return this.#isStopped || this.#isLost;
  }

  async #renew(): Promise<void> {
    while (this.#renewing !== undefined) await this.#renewing;
    if (this.#isOver) return;
    this.#renewing = this.#renewOnce().finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
    this.#renewIn(this.#deps.leaseMs / (this.#hasFailed ? 10 : 3));
  }

  #renewIn(waitMs: number): void {
    this.#timer?.clear();
    if (this.#isOver) return;
    this.#timer = this.#deps.clock.setTimer(() => void this.#renew(), Math.max(1, Math.floor(waitMs)));
  }

  /** Never rejects. */
  async #renewOnce(): Promise<void> {
    const { store, lease, leaseMs, clock, log } = this.#deps;
    const progress = this.#progress;
    this.#progress = undefined;
    if (progress !== undefined) this.#writtenAt = clock.now();
    try {
      this.#read(await store.renew(lease, leaseMs, progress));
      this.#hasFailed = false;
    } catch (error) {
      // Only the store can say that the lease is lost, once it can be reached again.
      this.#progress ??= progress;
      this.#hasFailed = true;
      log.warn({ err: error, task: lease.id }, "the lease of a task could not be renewed; trying again");
    }
  }

  #read(state: LeaseState): void {
    if (this.#isOver) return;
    if (state === "cancel_asked") this.#tellCancel();
    if (state !== "lost") return;
    this.#isLost = true;
    this.stop();
    this.#deps.onLost();
  }

  #tellCancel(): void {
    if (this.#isCancelTold || this.#isOver) return;
    this.#isCancelTold = true;
    this.#deps.onCancel();
  }
}
