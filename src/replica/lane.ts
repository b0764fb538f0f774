import { AsyncResource } from "node:async_hooks";
import { Fifo } from "../base/fifo.js";
import type { CallScope, CallTime } from "../call/call-scope.js";
import { type LoopTurns, longMs, type TurnTaker } from "../call/loop-turns.js";
import { ItemReader } from "../call/streams/item-reader.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { LaneStats } from "../observe/call-stats.js";
import { expectWait, WarmUp } from "./admission.js";
import { CallQueue } from "./call-queue.js";
import { Gate, type QueueWait } from "./gate.js";
import type { LaneWatch, WatchedSlots } from "./lane-watch.js";

// The lane of one api in one replica: its slots, and the queue of calls that wait for a slot.
//
// LN1  At most `maxConcurrent` calls run. At most `maxQueued` calls wait beyond the free slots; one more is refused at
//      once.
// LN2  A free slot goes to the call that has waited longest. `CallQueue` decides the order of background calls.
// LN3  A waiting call whose scope is cancelled leaves the queue at once and never runs. A call whose deadline has
//      passed never runs either.
// LN4  A call keeps its slot until its code has ended, even when its caller was answered long before.
// LN5  Calls that wait only for slots held by their own readers are detected, and one of them is refused.
// LN6  No call begins in a turn of the event loop that runs have made long. It waits here, even when slots are free.
// LN7  A call that could not be answered in time is refused at once. Under overload only a few calls may wait; see
//      `Admission`.
// LN8  No call begins in a closed lane. Calls that wait there leave when their link is cut.
// LN9  A call that has left is not kept: it holds its input, which may be as large as a body.

/** Bounds of a lane. */
interface LaneBounds {
  /** Calls running at once, at least 1. */
  readonly maxConcurrent: number;
  /** Calls that may wait for a slot; with 0 a call that can't run at once is refused. */
  readonly maxQueued: number;
}

/** A call on its way through a lane. For a waiting call exactly one of `enter` and `refuse` is called, once. */
export interface LaneCall {
  readonly scope: CallScope;
  /** Input as the api gets it. */
  readonly input: unknown;
  /** Index of its lane slot. Only the lane writes it. */
  slot: number;
  /** Set by the lane when the call enters after a wait. */
  waited: QueueWait | undefined;
  /** Runs the call, which has a slot now, in the async context in which it began to wait. Never throws. */
  enter(): void;
  /** Ends the call with `lane_full`, `overloaded`, `lane_waits_for_itself` or the reason of its cancellation. */
  refuse(error: ServingError): void;
}

interface Waiting {
  readonly scope: CallScope;
  readonly since: number;
  readonly enter: () => void;
  readonly refuse: (error: ServingError) => void;
}

/**
 * Milliseconds for which a lane must seem to wait for itself before a call is refused. A false alarm ends within this
 * time.
 */
const selfWaitMs = 2_000;

/** Parts that a lane is made with. */
interface LaneDeps {
  readonly bounds: LaneBounds;
  readonly stats: LaneStats;
  readonly time: CallTime;
  /**
   * True when waiting calls are never refused for their deadline or for overload, as attempts of tasks: no caller waits
   * for them. Default: false.
   */
  readonly isPatient?: boolean;
  /** Looks at the lane each second while a call runs. */
  readonly watch?: LaneWatch;
}

export class Lane implements WatchedSlots, TurnTaker {
  usedMs = 0;
  readonly #bounds: LaneBounds;
  readonly #stats: LaneStats;
  readonly #time: CallTime;
  readonly #isPatient: boolean;
  readonly #watch: LaneWatch | undefined;
  readonly gate: Gate;
  readonly #queue: CallQueue<Waiting>;
  /** Size of the queue, kept here because every call reads it. */
  #waiting = 0;
  readonly #turns: LoopTurns;
  readonly #warmUp: WarmUp;
  readonly #holders: LaneCall[] = [];
  /** Next steps of calls that hold slots, such as the next item of a stream. */
  readonly #steps = new Fifo<() => void>();
  #isStepNext = true;
  /**
   * Slots of long runs that ended in this turn. They count as taken, since calls that arrived meanwhile are not read
   * yet.
   */
  #lingering = 0;
  #isFilling = false;
  #isClosed = false;
  readonly #linger = (): void => {
    this.#lingering--;
  };
  /** Input items that each running call had received at the last look. Weak: a call that has ended is not kept. */
  #lastReceived = new WeakMap<LaneCall, number>();
  #starvedSince: number | undefined;

  constructor({ bounds, stats, time, isPatient = false, watch }: LaneDeps) {
    this.gate = new Gate(stats, () => this.overdue.length);
    this.#queue = new CallQueue(this.gate.admission);
    this.#isPatient = isPatient;
    this.#bounds = bounds;
    this.#stats = stats;
    this.#time = time;
    this.#turns = time.turns;
    this.#warmUp = new WarmUp(time.turns);
    this.#watch = watch;
    watch?.add(this);
  }

  get name(): string {
    return `${this.#stats.service}.${this.#stats.api}`;
  }

  get slots(): number {
    return this.#bounds.maxConcurrent;
  }

  get running(): number {
    return this.#holders.length;
  }

  get queued(): number {
    return this.#waiting;
  }

  /** Slots that are neither taken nor about to be given to a waiting call. */
  get freeSlots(): number {
    return this.#bounds.maxConcurrent - this.running - this.queued;
  }

  /** Calls that timed out or were cancelled and still run. */
  get overdue(): readonly CallScope[] {
    return this.#holders.map(({ scope }) => scope).filter(({ reason }) => reason !== undefined);
  }

  get deadSlots(): number {
    return this.overdue.length;
  }

  get starvedSince(): number | undefined {
    return this.#starvedSince;
  }

  get canBegin(): boolean {
    return this.#steps.size > 0 || this.#hasEntrant;
  }

  /** Takes a slot if one is free, no call waits for it, and this turn of the event loop is not long already (LN6). */
  tryEnter(call: LaneCall): boolean {
    if (this.#holders.length >= this.#bounds.maxConcurrent || this.#turns.isLong || this.#waiting > 0) return false;
    if (this.gate.admission.isBusy) this.gate.admission.foundRoom(this.#time.clock.now());
    this.#hold(call);
    this.#stats.queueTime.observe(0);
    return true;
  }

  /** Lets a call wait for a slot. Refuses it before this returns if there is no room to wait. */
  wait(call: LaneCall): void {
    const { scope } = call;
    const { maxConcurrent, maxQueued } = this.#bounds;
    const room = maxConcurrent + maxQueued - this.#lingering - this.#holders.length;
    const since = this.#time.clock.now();
    let refusal: ServingError | undefined;
    if (this.#waiting >= room) refusal = this.#fullness();
    else if (!this.#isPatient) refusal = this.gate.refuse(scope, since, this.#waiting);
    if (refusal !== undefined) {
      this.#stats.queueTime.observe(0);
      call.refuse(refusal);
      return;
    }
    const context = new AsyncResource("ekiben.waiting");
    const leaveQueue = (isItsTurn: boolean) => {
      scope.leaveQueue();
      if (isItsTurn) this.#queue.serve(entry);
      else this.#queue.remove(entry);
      this.#waiting--;
      this.#stats.queued--;
      const waitedMs = this.#time.clock.now() - since;
      this.#stats.queueTime.observe(waitedMs);
      return waitedMs;
    };
    const refuse = (error: ServingError) => {
      scope.offCancel(refuse);
      const ms = leaveQueue(false);
      if (scope.reason !== undefined) this.gate.admission.lost(entry, since + ms, ms);
      call.refuse(error);
    };
    const enter = () => {
      scope.offCancel(refuse);
      call.waited = { entry, ms: leaveQueue(true) };
      this.#hold(call);
      context.runInAsyncScope(call.enter, call);
    };
    const entry = this.#queue.push({ scope, since, enter, refuse }, scope.call.priority, since);
    this.#waiting++;
    this.#stats.queued++;
    scope.joinQueue(this);
    this.#watch?.hold();
    if (this.canBegin) this.#turns.await(this);
    scope.onCancel(refuse);
  }

  /** Gives a slot back; the next waiting call gets it. */
  leave(call: LaneCall, runMs: number): void {
    this.#release(call);
    this.#stats.running--;
    if (!this.#warmUp.isOver) this.#warmUp.failed();
    this.#learn(call, runMs);
    if (runMs >= longMs) {
      this.#lingering++;
      queueMicrotask(this.#linger);
    }
    if (this.#waiting > 0) this.#fillSoon();
  }

  /** Notes that a run has returned a result or a stream item, so that the api counts as warm. */
  noteResult(): void {
    if (!this.#warmUp.isOver) this.#warmUp.completed();
  }

  /** Lets a call that holds a slot continue in a later turn, in alternation with calls that wait for a slot. */
  goOnLater(step: () => void): void {
    this.#steps.push(step);
    this.#turns.await(this);
  }

  /** Begins the next step or call. Called by `LoopTurns`, and when a slot becomes free. */
  begin(): void {
    const isStep = this.#steps.size > 0 && (this.#isStepNext || !this.#hasEntrant);
    this.#isStepNext = !isStep;
    if (isStep) {
      this.#steps.shift()?.();
      return;
    }
    const next = this.#queue.first;
    if (next === undefined) return;
    // A long turn of the event loop delays the timer of its deadline too.
    if (next.scope.expiresAt <= this.#time.clock.now()) next.scope.expire();
    else next.enter();
  }

  /** Begins no more calls (LN8). Calls that hold slots continue. */
  close(): void {
    this.#isClosed = true;
    this.gate.close();
    this.#warmUp.close();
  }

  get #hasEntrant(): boolean {
    return this.#waiting > 0 && !this.#isClosed && this.#holders.length < this.#bounds.maxConcurrent;
  }

  /**
   * Fills free slots once the answer of the call that ended is on its way; in a later turn if this one has become long.
   */
  #fillSoon(): void {
    if (this.#isFilling) return;
    this.#isFilling = true;
    queueMicrotask(() => {
      this.#isFilling = false;
      while (this.#hasEntrant && !this.#turns.isLong) this.begin();
      if (this.canBegin) this.#turns.await(this);
    });
  }

  /** Describes the state of a call that waits here, for `deadline_exceeded`. */
  describe(): string {
    const { maxConcurrent } = this.#bounds;
    if (this.canBegin) return "in its queue: other calls keep the event loop of its replica busy";
    return `in its queue: ${this.running} of ${maxConcurrent} slots are taken${nameOverdue(this.overdue.length)}`;
  }

  look(now: number): void {
    const received = new WeakMap(this.#holders.map((call) => [call, inputOf(call)?.received ?? -1]));
    const last = this.#lastReceived;
    this.#lastReceived = received;
    const isFull = this.#waiting > 0 && this.#holders.length >= this.#bounds.maxConcurrent;
    const isStill = (call: LaneCall) => inputOf(call)?.isStarved === true && last.get(call) === received.get(call);
    if (!isFull || !this.#holders.every(isStill)) {
      this.#starvedSince = undefined;
      return;
    }
    this.#starvedSince ??= now;
    this.#refuseSelfWaiting(now);
  }

  /** Refuses one call at a time, since the slots that its failure frees may be enough for the others (LN5). */
  #refuseSelfWaiting(now: number): void {
    const readers = new Set<CallScope>();
    const holders = this.#holders.map(({ scope }) => scope);
    let youngest: Waiting | undefined;
    this.#queue.forEach((waiting) => {
      if (now - waiting.since < selfWaitMs) return;
      let readsHere = false;
      for (const reader of readersOf(waiting.scope)) {
        readers.add(reader);
        readsHere ||= holders.includes(reader);
      }
      if (readsHere && (youngest === undefined || waiting.since >= youngest.since)) youngest = waiting;
    });
    if (youngest === undefined || !holders.every((scope) => readers.has(scope))) return;
    const { service, api } = this.#stats;
    const { maxConcurrent } = this.#bounds;
    const details = { name: this.name, maxConcurrent, waitedMs: Math.round(now - youngest.since) };
    youngest.refuse(fail("lane_waits_for_itself", details, { service, api }));
  }

  #hold(call: LaneCall): void {
    call.slot = this.#holders.length;
    this.#holders.push(call);
    this.#stats.running++;
    if (!this.#warmUp.isOver) this.#warmUp.begin();
    if (this.#watch?.isOn === false) this.#watch.start();
  }

  #release(call: LaneCall): void {
    const last = this.#holders.pop() as LaneCall;
    if (last === call) return;
    this.#holders[call.slot] = last;
    last.slot = call.slot;
  }

  /** Updates the admission with the end of a call. */
  #learn({ scope, waited }: LaneCall, runMs: number): void {
    const now = scope.endedAt ?? this.#time.clock.now();
    this.gate.hasRun(scope, waited);
    this.gate.admission.pace.ran(runMs);
    this.gate.admission.answered(now);
  }

  /**
   * Makes the failure of a full lane. `retryAfterMs` is the time that the queue needs at the recent rate of answers.
   */
  #fullness(): ServingError {
    this.gate.count("full");
    const { maxConcurrent, maxQueued } = this.#bounds;
    const { pace } = this.gate.admission;
    const queued = this.#waiting;
    const turns = (queued + 1) / maxConcurrent;
    const paceMs = Math.ceil((queued + 1) * (pace.answerMs ?? 0));
    const retryAfterMs = Math.max(
      expectWait(
        pace.runMs,
        this.#holders.map(({ scope }) => scope),
        turns,
      ),
      paceMs,
    );
    const running = this.running + this.#lingering;
    return fail("lane_full", { running, queued, maxQueued, retryAfterMs, overdue: this.overdue.length });
  }
}

/** Formats the number of overdue calls, to be appended to the number of taken slots. Empty for 0. */
const nameOverdue = (count: number): string =>
  count === 0 ? "" : `, ${count} of them by calls that timed out or were cancelled and have not ended`;

/** The input of a call, where that is a stream. */
const inputOf = ({ input }: LaneCall): ItemReader | undefined => (input instanceof ItemReader ? input : undefined);

/** Calls that each batch runs for, by the scope of the batch. */
const joined = new WeakMap<CallScope, readonly CallScope[]>();
/** True once there was such a batch. Most apps never have one and skip the search. */
let hasJoined = false;

/** Notes the calls that a batch runs for, if one of them may be read by another call. */
export function noteJoined(batch: CallScope, calls: readonly CallScope[]): void {
  if (!calls.some(isRead)) return;
  hasJoined = true;
  joined.set(batch, calls);
}

function isRead(call: CallScope): boolean {
  for (let above: CallScope | undefined = call; above !== undefined; above = above.parent) {
    if (above.reader !== undefined || (hasJoined && joined.has(above))) return true;
  }
  return false;
}

/**
 * Finds the calls that read the output of a call, as far as this thread knows them: its own reader, those of its
 * callers, and theirs.
 */
function readersOf(scope: CallScope): ReadonlySet<CallScope> {
  const readers = new Set<CallScope>();
  const seen = new Set<CallScope>();
  for (const open: CallScope[] = [scope]; open.length > 0; ) {
    const each = open.pop() as CallScope;
    if (seen.has(each)) continue;
    seen.add(each);
    if (each.reader !== undefined) {
      readers.add(each.reader);
      open.push(each.reader);
    }
    if (each.parent !== undefined) open.push(each.parent);
    open.push(...(joined.get(each) ?? []));
  }
  return readers;
}
