import type { CallScope } from "../call/call-scope.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import type { LaneStats } from "../observe/call-stats.js";
import { CallQueue } from "./call-queue.js";

// One api's places in one replica.
//
// L1  At most `maxConcurrent` calls run and at most `maxQueued` wait; one more is refused at once.
// L2  A place that becomes free goes to the call that waited longest; `CallQueue` says where background calls stand.
// L3  A waiting call whose scope is cancelled leaves the queue at once and never runs.

/** Bounds of a lane. */
export interface LaneBounds {
  /** Calls running at once, at least 1. */
  readonly maxConcurrent: number;
  /** Calls waiting for a place; 0 refuses whatever can't run at once. */
  readonly maxQueued: number;
}

interface Waiting {
  readonly enter: () => void;
}

/** How much of the average the newest call makes up. */
const averageWeight = 0.1;

export class Lane {
  readonly #bounds: LaneBounds;
  readonly #stats: LaneStats;
  readonly #queue = new CallQueue<Waiting>();
  #running = 0;
  #averageRunMs = 0;

  constructor(bounds: LaneBounds, stats: LaneStats) {
    this.#bounds = bounds;
    this.#stats = stats;
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#queue.size;
  }

  /** Takes a place if one is free. */
  tryEnter(): boolean {
    if (this.#running >= this.#bounds.maxConcurrent) return false;
    this.#running++;
    this.#stats.running++;
    return true;
  }

  /**
   * Waits for a place.
   *
   * @throws {ServingError} `lane_full` at once when the queue is full; the scope's reason when it is cancelled.
   */
  wait(scope: CallScope): Promise<void> {
    if (this.#queue.size >= this.#bounds.maxQueued) return Promise.reject(this.#refusal());
    return new Promise((resolve, reject) => {
      const leaveQueue = (reason: ServingError) => {
        this.#queue.remove(place);
        this.#stats.queued--;
        reject(reason);
      };
      const enter = () => {
        scope.offCancel(leaveQueue);
        this.#stats.queued--;
        resolve();
      };
      const place = this.#queue.push({ enter }, scope.call.priority, scope.time.clock.now());
      this.#stats.queued++;
      scope.onCancel(leaveQueue);
    });
  }

  /** Gives a place back; the next call takes it over. */
  leave(runMs: number): void {
    this.#averageRunMs += averageWeight * (runMs - this.#averageRunMs);
    const next = this.#queue.shift();
    if (next !== undefined) {
      next.enter();
      return;
    }
    this.#running--;
    this.#stats.running--;
  }

  /** The wait until a caller may expect a place: what is queued before it, at the pace of late. */
  #refusal(): ServingError {
    const { maxConcurrent, maxQueued } = this.#bounds;
    const queued = this.#queue.size;
    const retryAfterMs = Math.ceil(((queued + 1) * this.#averageRunMs) / maxConcurrent);
    return fail("lane_full", { running: this.#running, queued, maxQueued, retryAfterMs });
  }
}
