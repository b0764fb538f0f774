import { AsyncResource } from "node:async_hooks";
import { Fifo } from "../base/fifo.js";
import type { CallScope, CallTime } from "../call/call-scope.js";
import { type LoopTurns, longMs, type TurnTaker } from "../call/loop-turns.js";
import { ItemReader } from "../call/streams/item-reader.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { LaneStats } from "../observe/call-stats.js";
import { CallQueue } from "./call-queue.js";
import { Gate, type QueueWait } from "./gate.js";
import type { LaneWatch, WatchedPlaces } from "./lane-watch.js";
import { expectWait, WarmUp } from "./pace.js";

// One api's places in one replica.
//
// L1  At most `maxConcurrent` calls run and at most `maxQueued` wait beyond the places that are free; one more is refused at once.
// L2  A place that becomes free goes to the call that waited longest; `CallQueue` says where background calls stand.
// L3  A waiting call whose scope is cancelled leaves the queue at once and never runs, nor does one whose deadline has passed.
// L4  A call keeps its place until its code has ended, also when its caller has long been answered.
// L5  Calls that wait for nothing but a place that their own readers hold are seen, and one of them is refused.
// L6  Nothing begins in a turn of the event loop that runs have made long: it waits here, though places be free.
// L7  What could not be answered in time is refused at once, and so is, under overload, all but a few; see `Admission`.
// L8  Nothing begins in a lane that is closed: what waits there leaves when it is cut off from its caller.

/** Bounds of a lane. */
interface LaneBounds {
  /** Calls running at once, at least 1. */
  readonly maxConcurrent: number;
  /** Calls waiting for a place; 0 refuses whatever can't run at once. */
  readonly maxQueued: number;
}

/** A call on its way through a lane. One that waits hears of `enter` or of `refuse`, once. */
export abstract class LaneCall {
  readonly scope: CallScope;
  /** Input as the api gets it. */
  readonly input: unknown;
  /** Index among the calls that hold places; written by the lane alone. */
  place = -1;
  /** Set by the lane when the call enters after a wait. */
  waited: QueueWait | undefined = undefined;

  constructor(scope: CallScope, input: unknown) {
    this.scope = scope;
    this.input = input;
  }

  /** It has a place, and runs: in the async context in which it began to wait. Never throws. */
  abstract enter(): void;
  /** `lane_full` or `lane_waits_for_itself`, or why it was cancelled. */
  abstract refuse(error: ServingError): void;
}

interface Waiting {
  readonly scope: CallScope;
  readonly since: number;
  readonly enter: () => void;
  readonly refuse: (error: ServingError) => void;
}

/** How long a lane must have waited for itself before that is taken for certain: what only looks so goes on meanwhile. */
const selfWaitMs = 2_000;

/** What a lane is part of. */
interface LaneDeps {
  readonly bounds: LaneBounds;
  readonly stats: LaneStats;
  readonly time: CallTime;
  /** What waits is never refused for its time or for overload: attempts of tasks, of which nobody waits for one. Default: false. */
  readonly isPatient?: boolean;
  /** Looks at the lane from time to time while a call runs. */
  readonly watch?: LaneWatch;
}

export class Lane implements WatchedPlaces, TurnTaker {
  usedMs = 0;
  readonly #bounds: LaneBounds;
  readonly #stats: LaneStats;
  readonly #time: CallTime;
  readonly #isPatient: boolean;
  readonly #watch: LaneWatch | undefined;
  readonly gate: Gate;
  readonly #queue: CallQueue<Waiting>;
  /** Its size, which the call path asks for. */
  #waiting = 0;
  readonly #turns: LoopTurns;
  readonly #warmUp: WarmUp;
  readonly #holders: LaneCall[] = [];
  /** Steps of calls that hold places, as the next item of a stream. */
  readonly #steps = new Fifo<() => void>();
  #isStepNext = true;
  /** Places of long runs that have just ended: what came while they ran is still being read. */
  #lingering = 0;
  #isFilling = false;
  #isClosed = false;
  readonly #linger = (): void => {
    this.#lingering--;
  };
  /** Items that those who hold places had been given when they were last looked at. */
  #lastReceived = new Map<LaneCall, number>();
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

  get places(): number {
    return this.#bounds.maxConcurrent;
  }

  get running(): number {
    return this.#holders.length;
  }

  get queued(): number {
    return this.#waiting;
  }

  /** Places that nobody holds or is about to get. */
  get free(): number {
    return this.#bounds.maxConcurrent - this.running - this.queued;
  }

  /** Calls that still run though nobody waits for them any more. */
  get overdue(): readonly CallScope[] {
    return this.#holders.map(({ scope }) => scope).filter(({ reason }) => reason !== undefined);
  }

  get deadPlaces(): number {
    return this.overdue.length;
  }

  get starvedSince(): number | undefined {
    return this.#starvedSince;
  }

  get canBegin(): boolean {
    return this.#steps.size > 0 || this.#hasEntrant;
  }

  /** Takes a place if one is free, nobody waits for it, and the event loop may be kept from turning (L6). */
  tryEnter(call: LaneCall): boolean {
    if (this.#holders.length >= this.#bounds.maxConcurrent || this.#turns.isLong || this.#waiting > 0) return false;
    if (this.gate.admission.isBusy) this.gate.admission.foundRoom(this.#time.clock.now());
    this.#hold(call);
    this.#stats.queueTime.observe(0);
    return true;
  }

  /** Waits for a place; where there is no room to wait, it is refused before this returns. */
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
      if (isItsTurn) this.#queue.serve(place);
      else this.#queue.remove(place);
      this.#waiting--;
      this.#stats.queued--;
      const waitedMs = this.#time.clock.now() - since;
      this.#stats.queueTime.observe(waitedMs);
      return waitedMs;
    };
    const refuse = (error: ServingError) => {
      scope.offCancel(refuse);
      const ms = leaveQueue(false);
      if (scope.reason !== undefined) this.gate.admission.lost(place, since + ms, ms);
      call.refuse(error);
    };
    const enter = () => {
      scope.offCancel(refuse);
      call.waited = { place, ms: leaveQueue(true) };
      this.#hold(call);
      context.runInAsyncScope(call.enter, call);
    };
    const place = this.#queue.push({ scope, since, enter, refuse }, scope.call.priority, since);
    this.#waiting++;
    this.#stats.queued++;
    scope.joinQueue(this);
    this.#watch?.hold();
    if (this.canBegin) this.#turns.await(this);
    scope.onCancel(refuse);
  }

  /** Gives a place back; whoever waits gets it. */
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

  /** A run has given a result, or an item of a stream: whatever happens once has happened. */
  noteResult(): void {
    if (!this.#warmUp.isOver) this.#warmUp.completed();
  }

  /** Lets a call that holds a place go on in a later turn, beside those that wait for a place. */
  goOnLater(step: () => void): void {
    this.#steps.push(step);
    this.#turns.await(this);
  }

  /** For `LoopTurns`, and for a place that became free. */
  begin(): void {
    const isStep = this.#steps.size > 0 && (this.#isStepNext || !this.#hasEntrant);
    this.#isStepNext = !isStep;
    if (isStep) {
      this.#steps.shift()?.();
      return;
    }
    const next = this.#queue.first;
    if (next === undefined) return;
    // The timer of its deadline may be as late as whatever kept the event loop.
    if (next.scope.expiresAt <= this.#time.clock.now()) next.scope.expire();
    else next.enter();
  }

  /** Nothing begins here any more (L8). Calls that hold places go on. */
  close(): void {
    this.#isClosed = true;
    this.gate.close();
    this.#warmUp.close();
  }

  get #hasEntrant(): boolean {
    return this.#waiting > 0 && !this.#isClosed && this.#holders.length < this.#bounds.maxConcurrent;
  }

  /** When the answer of the call that has ended is on its way; in a later turn, where this one has become long. */
  #fillSoon(): void {
    if (this.#isFilling) return;
    this.#isFilling = true;
    queueMicrotask(() => {
      this.#isFilling = false;
      while (this.#hasEntrant && !this.#turns.isLong) this.begin();
      if (this.canBegin) this.#turns.await(this);
    });
  }

  /** Where a call stands that waits here. */
  describe(): string {
    const { maxConcurrent } = this.#bounds;
    if (this.canBegin) return "in its queue: other calls keep the event loop of its replica busy";
    return `in its queue: ${this.running} of ${maxConcurrent} places are taken${nameOverdue(this.overdue.length)}`;
  }

  look(now: number): void {
    const received = new Map(this.#holders.map((call) => [call, inputOf(call)?.received ?? -1]));
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

  /** One at a time: what its failure sets free may be enough for the others (L5). */
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
    call.place = this.#holders.length;
    this.#holders.push(call);
    this.#stats.running++;
    if (!this.#warmUp.isOver) this.#warmUp.begin();
    if (this.#watch?.isOn === false) this.#watch.start();
  }

  #release(call: LaneCall): void {
    const last = this.#holders.pop() as LaneCall;
    if (last === call) return;
    this.#holders[call.place] = last;
    last.place = call.place;
  }

  /** What its end says of those that wait. */
  #learn({ scope, waited }: LaneCall, runMs: number): void {
    const now = scope.endedAt ?? this.#time.clock.now();
    this.gate.hasRun(scope, waited);
    this.gate.admission.pace.ran(runMs);
    this.gate.admission.answered(now);
  }

  /** What is queued before a caller that comes again, at the pace of late, says when it may expect a place. */
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

/** How many of the calls that hold places should have ended, in words that follow them; nothing for none. */
const nameOverdue = (count: number): string =>
  count === 0 ? "" : `, ${count} of them by calls that timed out or were cancelled and have not ended`;

/** The input of a call, where that is a stream. */
const inputOf = ({ input }: LaneCall): ItemReader | undefined => (input instanceof ItemReader ? input : undefined);

/** Scopes of batches, and the calls that each of them runs for. */
const joined = new WeakMap<CallScope, readonly CallScope[]>();
/** Most apps never have one: they don't pay for the search. */
let hasJoined = false;

/** Notes for which calls a batch runs, where one of them may be read by another call. */
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

/** The calls that read what a call makes, as far as they are known here: its own reader, its callers' ones, and theirs. */
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
