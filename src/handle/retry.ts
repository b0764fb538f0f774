import type { FifoPlace } from "../base/fifo.js";
import type { CallScope, CallTime } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import type { EncodedItems, ItemSink, ItemSource } from "../call/streams/item-source.js";
import { ServingError } from "../failure/serving-error.js";

// A call is sent again in two cases. Without a ready replica it is held until there is one (`holdCall`). When it fails
// because of its replica, `mayRetry` decides, and the budget of the service bounds how often (`RetryBudget`).
// `StartedCall` in start-call.ts does so for a call with one answer, `RetriedStream` here for a stream.

/** Part of a call target that decides about retries. */
interface RetryTarget {
  readonly service: string;
  /** True when a call may run twice. */
  readonly idempotent: boolean;
  /** Milliseconds that a call waits for a ready replica. */
  readonly waitForReplicaMs: number;
  readonly links: HeldCalls;
  readonly time: CallTime;
}

/** Calls that wait for a replica of one service, and the budget for its retries. */
interface HeldCalls {
  readonly retries: RetryBudget;
  /** @returns Place of the call, for `release`; a failure when waiting is of no use. */
  hold(call: HeldCall): FifoPlace<HeldCall> | ServingError;
  release(place: FifoPlace<HeldCall>): void;
  /** Returns the failure of a call that has waited too long. */
  refusal(): ServingError;
}

/** A call that waits for a replica. Exactly one of its methods is called. */
export interface HeldCall {
  /** Called when a replica is ready. */
  resume(): void;
  /** Called when no replica will be ready. */
  refuse(error: ServingError): void;
}

/** Arguments of a `RetriedStream`. */
interface StreamCall {
  readonly target: RetryTarget;
  readonly scope: CallScope;
  /** Picks the link of the next attempt; `undefined` without a ready replica. */
  readonly pickLink: () => ReplicaLink | undefined;
  /** Reason for which the call can't be sent at all; its reader gets it. */
  readonly refusal: ServingError | undefined;
}

/** Items of one streaming call. The call may move to another replica until its first item has arrived. */
export class RetriedStream implements ItemSource, ItemSink {
  readonly #call: StreamCall;
  readonly #sink: ItemSink;
  #source: ItemSource | undefined;
  #hasItem = false;
  #isStopped = false;
  #losses = 0;

  constructor(call: StreamCall, sink: ItemSink) {
    this.#call = call;
    this.#sink = sink;
  }

  get takesEncoded(): boolean {
    return this.#sink.takesEncoded;
  }

  pull(): void {
    if (this.#source === undefined) this.#begin();
    else this.#source.pull();
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#source === undefined) this.#sink.end();
    else this.#source.stop();
  }

  item(value: unknown, isFresh: boolean): void {
    this.#hasItem = true;
    this.#sink.item(value, isFresh);
  }

  encoded(items: EncodedItems): void {
    this.#hasItem = true;
    this.#sink.encoded(items);
  }

  end(): void {
    this.#sink.end();
  }

  fail(error: unknown): void {
    if (this.#mayMove(error)) this.#begin();
    else this.#sink.fail(error);
  }

  #begin(): void {
    const { target, scope, pickLink, refusal } = this.#call;
    if (refusal !== undefined) {
      this.#sink.fail(refusal);
      return;
    }
    const link = pickLink();
    if (link === undefined) {
      holdCall(target, scope, { resume: () => this.#begin(), refuse: (error) => this.#sink.fail(error) });
      return;
    }
    if (this.#isStopped) return;
    this.#source = link.open(scope, this);
    this.#source.pull();
  }

  #mayMove(error: unknown): boolean {
    const { target, scope } = this.#call;
    if (this.#hasItem || this.#isStopped || !(error instanceof ServingError)) return false;
    if (isLoss(error)) this.#losses++;
    return !scope.isEnded && !scope.input.isTaken && mayRetry(error, target, this.#losses);
  }
}

/**
 * Holds a call while no replica of its service is ready: a crashed replica is back within a second, and its callers
 * should not notice. Bounded by the service's `waitForReplicaMs`, the call's deadline and the number of calls that
 * are held already.
 *
 * @param call Resumed or refused once, unless the call is cancelled first: then its scope answers.
 */
export function holdCall({ links, waitForReplicaMs, time }: RetryTarget, scope: CallScope, call: HeldCall): void {
  if (scope.isEnded) return;
  const place = links.hold({
    resume: () => {
      end();
      scope.markSent();
      call.resume();
    },
    refuse: (error) => {
      end();
      call.refuse(error);
    },
  });
  if (place instanceof ServingError) {
    call.refuse(place);
    return;
  }
  const timer = time.clock.setTimer(() => {
    links.release(place);
    end();
    call.refuse(links.refusal());
  }, waitForReplicaMs);
  const leave = () => {
    links.release(place);
    timer.clear();
  };
  const end = () => {
    timer.clear();
    scope.offCancel(leave);
  };
  scope.onCancel(leave);
}

/**
 * Most replicas that may end during one call before it fails. A call is often unlucky once and seldom twice. Without
 * this limit a call that ends every replica it reaches would end them all, until its service is down.
 */
export const maxLosses = 6;

/**
 * Returns true when a failed call is sent once more.
 *
 * It is if it certainly did not start: the replica refused it because it drains, or had ended before the call was sent.
 * A call that may have run is sent again only if its api is idempotent, and at most `maxLosses` times. Either way the
 * service's budget for retries must allow it, and the deadline does not change. A failure of a service further down is
 * left to that service's caller.
 *
 * @param losses Number of replicas that have ended during the call, this time included; see `isLoss`.
 */
export function mayRetry(error: ServingError, target: RetryTarget, losses: number): boolean {
  if (error.service !== target.service || !isAboutReplica(error)) return false;
  if (isLoss(error) && (!target.idempotent || losses >= maxLosses)) return false;
  return target.links.retries.tryRetry(target.time.clock.now());
}

/** True when the replica ended after the call was sent, so that the call may have run. */
export const isLoss = ({ id, details }: ServingError): boolean => id === "replica_lost" && details["isSent"] !== false;

/** True for a failure of the replica itself. A call that only waited for a task may wait on another replica. */
const isAboutReplica = ({ id }: ServingError): boolean =>
  id === "replica_lost" || id === "draining" || id === "task_wait_ended";

// Limits of the retries of one service.
//
// XB1  In any period, retries are at most a fifth of the calls, plus 10 a second, plus the reserve. When everything
//      fails, retries add a fifth to the load and never multiply it.
// XB2  The reserve is full at the start and holds at most 256 retries: a period without failures saves up for one lost
//      replica and no more.
//
// This is the budget of Finagle (https://twitter.github.io/finagle/docs/com/twitter/finagle/service/RetryBudget$.html) as one
// bucket. Finagle's deposits expire after a time; these are lost when the bucket is full.

// Unit: a fifth of a retry, which one call deposits. So every number is whole.
const retryCost = 5;
const fullReserve = 256 * retryCost;
/** Milliseconds for one deposit: 10 retries a second. */
const msPerDeposit = 1000 / (10 * retryCost);

/** Budget for the retries of one service. */
export class RetryBudget {
  #deposits = fullReserve;
  /** Time up to which deposits were made. The reserve is full at first, so no time before the first retry counts. */
  #refilledAt = 0;

  /** Adds a fifth of a retry for a call that is not a retry. */
  onCall(): void {
    if (this.#deposits < fullReserve) this.#deposits++;
  }

  /**
   * Takes a retry from the budget.
   *
   * @param now Milliseconds of any clock; when it was set back, time counts from there on.
   * @returns True when one was left; false changes nothing.
   */
  tryRetry(now: number): boolean {
    this.#refill(now);
    if (this.#deposits < retryCost) return false;
    this.#deposits -= retryCost;
    return true;
  }

  /** Adds the whole deposits of the time since. The rest of the time counts later. */
  #refill(now: number): void {
    const elapsedMs = Math.max(0, now - this.#refilledAt);
    this.#deposits = Math.min(fullReserve, this.#deposits + Math.floor(elapsedMs / msPerDeposit));
    this.#refilledAt = now - (elapsedMs % msPerDeposit);
  }
}
