import { AsyncLocalStorage } from "node:async_hooks";
import type { Clock, Timer } from "../../base/clock.js";
import type { CallScope } from "../../call/call-scope.js";
import type { LoopTurns, TurnTaker } from "../../call/loop-turns.js";
import { deadlinePassed } from "../../call/passed-deadline.js";
import { fail } from "../../failure/failures.js";
import type { ServingError } from "../../failure/serving-error.js";
import type { LaneStats } from "../../observe/call-stats.js";
import type { BatchSettings } from "../../options/settings.js";
import { expectWait, WarmUp } from "../admission.js";
import { CallQueue } from "../call-queue.js";
import { Gate } from "../gate.js";
import type { LaneWatch, WatchedSlots } from "../lane-watch.js";
import { BatchWindow, type LeaveReason } from "./batch-window.js";
import type { Piece, RowCall, RowQueue } from "./row-call.js";

// Calls that wait at one batched api of one replica, and the batches in which they leave.
//
// BA1  A batch has at most `maxRows` rows, all of one group, so that they can be joined.
// BA2  At most `maxConcurrent` batches run at once. At most `maxQueued` calls wait beyond the batch that is being
//      gathered.
// BA3  A batch leaves in a turn of the event loop of its own, never while a call is added or another batch ends, so
//      that all calls that have reached this process come along. It does not leave in a turn that runs have made long
//      (`LoopTurns`).
// BA4  The order is that of `CallQueue`: older groups before younger ones, background calls a little later. The
//      remaining rows of a call with more than `maxRows` rows queue behind calls that arrived while its first rows ran.
// BA5  A call that is cancelled, or whose deadline a batch could not meet, leaves the queue and is in no batch.
// BA6  There is a timer only while calls wait and could leave.
// BA7  A batch runs in no caller's async context.
// BA8  A call that could not be answered in time is refused at once. Under overload only a few calls may wait; see
//      `Admission`.
// BA9  No batch leaves a closed batcher. Calls that wait there are withdrawn when their link is cut.

/** Rows that leave together. */
export interface Batch {
  readonly pieces: readonly Piece[];
  readonly rows: number;
  readonly reason: LeaveReason;
}

/** Parts that a batcher is made with. */
interface BatcherDeps {
  /** `"Model.predict"`. */
  readonly name: string;
  /** Looks at the batcher each second while a batch runs. */
  readonly watch?: LaneWatch;
  readonly settings: BatchSettings;
  readonly maxQueued: number;
  readonly stats: LaneStats;
  readonly clock: Clock;
  readonly turns: LoopTurns;
  /** Runs a batch; answers its pieces, then calls `ended`, once. */
  readonly run: (batch: Batch, ended: BatchEnded) => void;
}

/**
 * Called when a batch has ended.
 *
 * @param ms Time that it took; `undefined` when it failed, which says nothing about other batches.
 */
export type BatchEnded = (ms: number | undefined) => void;

/** Calls whose rows can be joined. */
interface Group extends RowQueue {
  readonly key: string;
  readonly queue: CallQueue<RowCall>;
  rows: number;
}

export class Batcher implements WatchedSlots, TurnTaker {
  usedMs = 0;
  readonly #deps: BatcherDeps;
  readonly #window: BatchWindow;
  readonly #warmUp: WarmUp;
  readonly gate: Gate;
  readonly #groups = new Map<string, Group>();
  readonly #outside = AsyncLocalStorage.snapshot();
  #running = 0;
  #runningCalls = 0;
  readonly #batches = new Set<readonly Piece[]>();
  #waitingCalls = 0;
  #waitingRows = 0;
  #isWaking = false;
  #isDue = false;
  #isClosed = false;
  #timer: Timer | undefined;

  constructor(deps: BatcherDeps) {
    this.#deps = deps;
    this.#window = new BatchWindow(deps.settings);
    this.#warmUp = new WarmUp(deps.turns);
    this.gate = new Gate(deps.stats, () => this.overdue.length, deps.settings.maxRows);
  }

  /** Rows of a batch at most. A call with more rows is cut into pieces. */
  get maxRows(): number {
    return this.#deps.settings.maxRows;
  }

  /**
   * Refuses one more call if there is no room (BA2) or it would be late (BA8).
   *
   * @returns The failure; `undefined` when it may wait.
   */
  refuse(scope: CallScope, now: number): ServingError | undefined {
    const { maxQueued, settings } = this.#deps;
    if (this.#running < settings.maxConcurrent && this.#waitingRows < settings.maxRows) {
      if (this.gate.admission.isBusy) this.gate.admission.foundRoom(now);
      return undefined;
    }
    if (this.#waitingCalls >= maxQueued) return this.#fullness();
    return this.gate.refuse(scope, now, this.#waitingCalls);
  }

  #fullness(): ServingError {
    const { maxQueued, settings } = this.#deps;
    this.gate.count("full");
    const batches = Math.ceil(this.#waitingRows / settings.maxRows) + 1;
    const batchMs = this.#window.cost.expect(settings.maxRows) || undefined;
    const retryAfterMs = expectWait(batchMs, this.overdue, batches / settings.maxConcurrent);
    return fail("lane_full", {
      running: this.#runningCalls,
      queued: this.#waitingCalls,
      maxQueued,
      retryAfterMs,
      overdue: this.overdue.length,
    });
  }

  get name(): string {
    return this.#deps.name;
  }

  get slots(): number {
    return this.#deps.settings.maxConcurrent;
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#waitingCalls;
  }

  /** Calls of running batches that timed out or were cancelled. */
  get overdue(): readonly CallScope[] {
    const scopes: CallScope[] = [];
    for (const pieces of this.#batches) {
      for (const { call } of pieces) if (call.scope.reason !== undefined) scopes.push(call.scope);
    }
    return scopes;
  }

  get deadSlots(): number {
    let count = 0;
    for (const pieces of this.#batches) if (pieces.every(({ call }) => call.scope.reason !== undefined)) count++;
    return count;
  }

  /**
   * Never set: the inputs of a batch are complete, so it waits for no input, and calls that wait here can't be its
   * input.
   */
  readonly starvedSince = undefined;

  look(): void {}

  get canBegin(): boolean {
    return this.#isDue;
  }

  /** Lets a batch leave. Called by `LoopTurns` and `#wake`. */
  begin(): void {
    this.#isDue = false;
    this.#outside(() => this.#decide());
  }

  /** Lets no more batches leave (BA9). Running batches continue. */
  close(): void {
    this.#isClosed = true;
    this.#stopTimer();
    this.gate.close();
    this.#warmUp.close();
  }

  /** Describes the state of a call that waits here, for `deadline_exceeded`. */
  describe(): string {
    return `in its queue: ${this.#running} of ${this.#deps.settings.maxConcurrent} batches run`;
  }

  /** Lets a call wait. @param key Names its group. */
  add(call: RowCall, key: string): void {
    let group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, (group = this.#openGroup(key)));
    call.queue = group;
    call.entry = group.queue.push(call, call.scope.priority, call.cameAt);
    this.#countRows(group, call.waitingRows);
    this.#waitingCalls++;
    call.scope.onCancel((reason) => call.fail(reason));
    this.#wake();
  }

  #openGroup(key: string): Group {
    const group: Group = {
      key,
      queue: new CallQueue(this.gate.admission),
      rows: 0,
      withdraw: (call) => this.#withdraw(call, group),
    };
    return group;
  }

  #withdraw(call: RowCall, group: Group): void {
    if (call.entry === undefined) return;
    group.queue.remove(call.entry);
    if (!call.hasBegun) {
      this.#waitingCalls--;
      const now = this.#deps.clock.now();
      this.gate.admission.lost(call.entry, now, now - call.cameAt);
    }
    call.entry = undefined;
    this.#countRows(group, -call.waitingRows);
    this.#dropEmpty(group);
    if (this.#waitingRows === 0) this.#stopTimer();
  }

  #countRows(group: Group, rows: number): void {
    group.rows += rows;
    this.#waitingRows += rows;
  }

  /** Removes an empty group. Keys of groups come from the sizes of inputs, so groups must not accumulate. */
  #dropEmpty(group: Group): void {
    if (group.rows === 0 && this.#groups.get(group.key) === group && this.#groups.size > 1) {
      this.#groups.delete(group.key);
    }
  }

  /** Schedules a decision for the next turn of the event loop (BA3). */
  #wake(): void {
    if (this.#isWaking || this.#isClosed || this.#running >= this.#deps.settings.maxConcurrent) return;
    this.#isWaking = true;
    setImmediate(() => {
      this.#isDue = true;
      if (this.#deps.turns.isTaken) this.#deps.turns.await(this);
      else this.begin();
    });
  }

  #decide(): void {
    this.#isWaking = false;
    this.#stopTimer();
    if (this.#waitingRows === 0 || this.#isClosed || this.#running >= this.#deps.settings.maxConcurrent) return;
    const now = this.#deps.clock.now();
    const group = this.#pickGroup();
    const decision = this.#window.decide(this.#describe(group, now));
    const full = "leave" in decision ? undefined : this.#findFull();
    if ("leave" in decision) this.#leave(group, decision.leave, now);
    else if (full !== undefined) this.#leave(full, "full", now);
    else this.#timer = this.#deps.clock.setTimer(() => this.#wake(), decision.waitUntil - now, true);
  }

  #describe({ queue, rows }: Group, now: number) {
    const since = queue.first?.cameAt ?? now;
    const deadline = () => {
      let earliest = Number.POSITIVE_INFINITY;
      queue.forEach(({ scope }) => {
        earliest = Math.min(earliest, scope.expiresAt);
      });
      return earliest;
    };
    return { now, rows, since, deadline };
  }

  /** Returns the group whose turn is next (BA4). */
  #pickGroup(): Group {
    let next: Group | undefined;
    for (const group of this.#groups.values()) {
      if (group.rows === 0) continue;
      if (next === undefined || (group.queue.rank as number) < (next.queue.rank as number)) next = group;
    }
    return next as Group;
  }

  #findFull(): Group | undefined {
    if (this.#groups.size === 1) return undefined;
    for (const group of this.#groups.values()) if (group.rows >= this.#window.mostRows) return group;
    return undefined;
  }

  #leave(group: Group, reason: LeaveReason, now: number): void {
    const pieces = this.#take(group, now);
    this.#dropEmpty(group);
    // Calls that this batch had no room for may leave with the next.
    if (pieces.length > 0) this.#run(pieces, reason);
    if (this.#waitingRows > 0) this.#wake();
  }

  /** Takes the rows of one batch, in order. Refuses calls that can't be answered in time (BA5). */
  #take(group: Group, now: number): Piece[] {
    const { mostRows } = this.#window;
    const { maxRows } = this;
    const batchMs = this.#window.expectRecent(now, Math.min(mostRows, group.rows));
    const pieces: Piece[] = [];
    let rows = 0;
    for (let call = group.queue.first; call !== undefined && rows < mostRows; call = group.queue.first) {
      if (call.scope.expiresAt - now < batchMs) {
        call.fail(tooLate(call, now, batchMs));
        continue;
      }
      const isNew = !call.hasBegun;
      // The target latency may allow fewer rows than the first call has; they stay together anyway.
      const piece = call.take(mostRows - rows, now) ?? (rows === 0 ? call.take(maxRows, now) : undefined);
      if (piece === undefined) break;
      if (isNew) this.#waitingCalls--;
      const entry = call.entry as NonNullable<typeof call.entry>;
      if (isNew) call.waited = { entry, ms: now - call.cameAt };
      group.queue.serve(entry);
      call.entry = call.waitingRows === 0 ? undefined : group.queue.push(call, call.scope.priority, now);
      this.#countRows(group, -piece.rows);
      pieces.push(piece);
      rows += piece.rows;
    }
    return pieces;
  }

  #run(pieces: readonly Piece[], reason: LeaveReason): void {
    let rows = 0;
    for (const piece of pieces) rows += piece.rows;
    this.#running++;
    this.#runningCalls += pieces.length;
    this.#batches.add(pieces);
    const { watch } = this.#deps;
    if (watch?.isOn === false) watch.start();
    this.#window.left();
    this.#warmUp.begin();
    this.#deps.run({ pieces, rows, reason }, (ms) => {
      this.#running--;
      this.#runningCalls -= pieces.length;
      this.#batches.delete(pieces);
      if (ms === undefined) this.#warmUp.failed();
      else this.#warmUp.completed();
      const now = this.#deps.clock.now();
      if (ms !== undefined) {
        this.#window.ended(now, rows, ms);
        this.gate.admission.pace.ran(ms);
      }
      for (const { call } of pieces) this.gate.hasRun(call.scope, call.waited);
      this.gate.admission.answered(now, pieces.length);
      if (this.#waitingRows > 0) this.#wake();
    });
  }

  #stopTimer(): void {
    this.#timer?.clear();
    this.#timer = undefined;
  }
}

function tooLate({ scope }: RowCall, now: number, batchMs: number): ServingError {
  const { service, api } = scope.call;
  return deadlinePassed(scope, {
    waitingFor: [`${service}.${api}`],
    batchMs,
    remainingMs: scope.expiresAt - now,
  });
}
