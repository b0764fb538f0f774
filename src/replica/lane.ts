import type { CallScope } from "../call/call-scope.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import type { LaneStats } from "../observe/call-stats.js";
import { CallQueue } from "./call-queue.js";
import type { LaneWatch, WatchedPlaces } from "./lane-watch.js";
import { nameOverdue } from "./name-overdue.js";
import { averageRun, expectWait } from "./run-average.js";

// One api's places in one replica.
//
// L1  At most `maxConcurrent` calls run and at most `maxQueued` wait; one more is refused at once.
// L2  A place that becomes free goes to the call that waited longest; `CallQueue` says where background calls stand.
// L3  A waiting call whose scope is cancelled leaves the queue at once and never runs.
// L4  A call keeps its place until its code has ended, also when its caller has long been answered.
// L5  Calls that wait for nothing but a place that their own readers hold are seen, and one of them is refused.

/** Bounds of a lane. */
export interface LaneBounds {
  /** Calls running at once, at least 1. */
  readonly maxConcurrent: number;
  /** Calls waiting for a place; 0 refuses whatever can't run at once. */
  readonly maxQueued: number;
}

interface Waiting {
  readonly scope: CallScope;
  readonly since: number;
  readonly enter: () => void;
  readonly refuse: (error: ServingError) => void;
}

/** How long a lane must have waited for itself before that is taken for certain: what only looks so goes on meanwhile. */
const selfWaitMs = 2_000;

export class Lane implements WatchedPlaces {
  readonly #bounds: LaneBounds;
  readonly #stats: LaneStats;
  readonly #watch: LaneWatch | undefined;
  readonly #queue = new CallQueue<Waiting>();
  readonly #holders: CallScope[] = [];
  #averageRunMs: number | undefined;
  /** Items that those who hold places had been given when they were last looked at. */
  #lastReceived = new Map<CallScope, number>();

  /** @param watch Looks at the lane from time to time while a call runs. */
  constructor(bounds: LaneBounds, stats: LaneStats, watch?: LaneWatch) {
    this.#bounds = bounds;
    this.#stats = stats;
    this.#watch = watch;
    watch?.add(this);
    stats.overdue.add(() => this.overdue.length);
  }

  get name(): string {
    return `${this.#stats.service}.${this.#stats.api}`;
  }

  get places(): number {
    return this.#bounds.maxConcurrent;
  }

  get running(): number {
    return this.#holders.length;
  }

  get queued(): number {
    return this.#queue.size;
  }

  /** Calls that still run though nobody waits for them any more. */
  get overdue(): readonly CallScope[] {
    return this.#holders.filter((scope) => scope.reason !== undefined);
  }

  /** Takes a place if one is free. */
  tryEnter(scope: CallScope): boolean {
    if (this.#holders.length >= this.#bounds.maxConcurrent) return false;
    this.#hold(scope);
    this.#stats.running++;
    return true;
  }

  /**
   * Waits for a place.
   *
   * @throws {ServingError} `lane_full` at once when the queue is full; `lane_waits_for_itself`; the scope's reason when it is
   *   cancelled.
   */
  wait(scope: CallScope): Promise<void> {
    if (this.#queue.size >= this.#bounds.maxQueued) return Promise.reject(this.#refusal());
    return new Promise((resolve, reject) => {
      const leaveQueue = (reason: ServingError) => {
        scope.queuedIn = undefined;
        this.#queue.remove(place);
        this.#stats.queued--;
        reject(reason);
      };
      const enter = () => {
        scope.offCancel(leaveQueue);
        scope.queuedIn = undefined;
        this.#stats.queued--;
        this.#hold(scope);
        resolve();
      };
      const refuse = (error: ServingError) => {
        scope.offCancel(leaveQueue);
        leaveQueue(error);
      };
      const now = scope.time.clock.now();
      const place = this.#queue.push({ scope, since: now, enter, refuse }, scope.call.priority, now);
      this.#stats.queued++;
      scope.queuedIn = this;
      this.#watch?.hold();
      scope.onCancel(leaveQueue);
    });
  }

  /** Gives a place back; the next call takes it over. */
  leave(scope: CallScope, runMs: number): void {
    this.#averageRunMs = averageRun(this.#averageRunMs, runMs);
    this.#release(scope);
    const next = this.#queue.shift();
    if (next === undefined) this.#stats.running--;
    else next.enter();
  }

  /** Where a call stands that waits here. */
  describe(): string {
    const { maxConcurrent } = this.#bounds;
    return `in its queue: ${this.running} of ${maxConcurrent} places are taken${nameOverdue(this.overdue.length)}`;
  }

  look(now: number): void {
    const received = new Map(this.#holders.map((scope) => [scope, scope.input?.received ?? -1]));
    const last = this.#lastReceived;
    this.#lastReceived = received;
    if (this.#queue.size === 0 || this.#holders.length < this.#bounds.maxConcurrent) return;
    const isStill = (scope: CallScope) => scope.input?.isStarved === true && last.get(scope) === received.get(scope);
    if (this.#holders.every(isStill)) this.#refuseSelfWaiting(now);
  }

  /** One at a time: what its failure sets free may be enough for the others (L5). */
  #refuseSelfWaiting(now: number): void {
    const readers = new Set<CallScope>();
    let youngest: Waiting | undefined;
    this.#queue.forEach((waiting) => {
      if (now - waiting.since < selfWaitMs) return;
      let readsHere = false;
      for (const reader of readersOf(waiting.scope)) {
        readers.add(reader);
        readsHere ||= this.#holders.includes(reader);
      }
      if (readsHere && (youngest === undefined || waiting.since >= youngest.since)) youngest = waiting;
    });
    if (youngest === undefined || !this.#holders.every((scope) => readers.has(scope))) return;
    const { service, api } = this.#stats;
    const { maxConcurrent } = this.#bounds;
    const details = { name: this.name, maxConcurrent, waitedMs: Math.round(now - youngest.since) };
    youngest.refuse(fail("lane_waits_for_itself", details, { service, api }));
  }

  #hold(scope: CallScope): void {
    scope.place = this.#holders.length;
    this.#holders.push(scope);
    if (this.#watch?.isOn === false) this.#watch.start();
  }

  #release(scope: CallScope): void {
    const last = this.#holders.pop() as CallScope;
    if (last === scope) return;
    this.#holders[scope.place] = last;
    last.place = scope.place;
  }

  /** The wait until a caller may expect a place: what is queued before it, at the pace of late. */
  #refusal(): ServingError {
    const { maxConcurrent, maxQueued } = this.#bounds;
    const queued = this.#queue.size;
    const retryAfterMs = expectWait(this.#averageRunMs, this.#holders, (queued + 1) / maxConcurrent);
    return fail("lane_full", { running: this.running, queued, maxQueued, retryAfterMs, overdue: this.overdue.length });
  }
}

/** The calls that read what a call makes, as far as they are known here: its own reader, its callers' ones, and theirs. */
function readersOf(scope: CallScope): Set<CallScope> {
  const readers = new Set<CallScope>();
  for (const open: (CallScope | undefined)[] = [scope]; open.length > 0; ) {
    const each = open.pop();
    if (each === undefined) continue;
    if (each.reader !== undefined && !readers.has(each.reader)) {
      readers.add(each.reader);
      open.push(each.reader);
    }
    open.push(each.parent);
  }
  return readers;
}
