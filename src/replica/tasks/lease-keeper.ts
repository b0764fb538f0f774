import type { Clock, Timer } from "../../base/clock.js";
import type { Logger } from "../../base/logger.js";
import type { Progress } from "../../call/task-state.js";
import type { Lease, LeaseState, TaskStore } from "../../tasks/task-store.js";

// Holds on to the lease of one attempt, and takes its progress to the store.
//
// H1  One renewal at a time, at least three in a lease's time.
// H2  Progress goes with a renewal, at most one in `progressIntervalMs`; the newest wins, and the last one is not lost.
// H3  `onCancel` and `onLost` are told once each, and nothing after `stop`.

/** How often progress is written down at most. */
const progressIntervalMs = 500;

export interface LeaseKeeperDeps {
  readonly store: TaskStore;
  readonly lease: Lease;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Somebody asked the task to end. */
  readonly onCancel: () => void;
  /** Another replica has it. */
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

  /** Takes progress to the store, now or as soon as the last time is long enough ago. */
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

  /** Writes down progress that is not in the store yet; what goes wrong with that is no matter. */
  async flush(): Promise<void> {
    this.#progressTimer?.clear();
    await this.#renewing;
    if (this.#progress !== undefined) await this.#renew();
  }

  /** Something happened to the task: perhaps somebody asked it to end. */
  look(): void {
    if (this.#looking || this.#isOver) return;
    this.#looking = true;
    this.#deps.store.get(this.#deps.lease.id).then(
      (record) => {
        this.#looking = false;
        if (record?.isCancelAsked === true && record.status === "in_progress") this.#tellCancel();
      },
      // The next renewal tells as well.
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
      // Whether the lease is lost is the store's to say, when it can be asked again.
      this.#progress ??= progress;
      this.#hasFailed = true;
      log.warn({ err: error, task: lease.id }, "the lease of a task could not be renewed; it is tried again");
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
