import type { CallScope } from "../call/call-scope.js";
import type { EncodedItems, ItemSink, ItemSource } from "../call/streams/item-source.js";
import { ServingError } from "../failure/serving-error.js";
import type { CallTarget } from "./call-target.js";
import { type HeldCall, pickLink } from "./directory.js";

/** What a streaming call asks for. */
interface StreamCall {
  readonly target: CallTarget;
  readonly scope: CallScope;
  /** Why the call can't be sent at all; whoever reads is told. */
  readonly refusal: ServingError | undefined;
}

/** The items of one streaming call. Until the first has come the call may move to another replica; then it may not. */
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
    const { target, scope, refusal } = this.#call;
    if (refusal !== undefined) {
      this.#sink.fail(refusal);
      return;
    }
    const link = pickLink(target.links);
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
 * Keeps a call while no replica of its service is ready: a replica that crashed is back within a second, and its callers
 * should not have to know. Bounded by the service's `waitForReplicaMs`, the call's deadline, and how many are held already.
 *
 * @param call Resumed or refused once, unless the call is cancelled before; its scope then answers by itself.
 */
export function holdCall({ links, waitForReplicaMs, time }: CallTarget, scope: CallScope, call: HeldCall): void {
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
 * Replicas that may end under one call before it fails. Calls are often unlucky once and seldom twice; one that ends whatever
 * replica it meets would else end them all, until its service is down.
 */
export const maxLosses = 6;

/**
 * Whether a call that failed is sent once more.
 *
 * It is when it certainly did not start: the replica refused it because it drains, or was gone before the call was sent.
 * One that may have run is sent again only when its api is idempotent, and not for ever. Either way only while the service's
 * budget for retries lasts; the deadline stays what it was. A failure of a service further down is that service's affair.
 *
 * @param losses How many replicas have ended under the call, this time included; see `isLoss`.
 */
export function mayRetry(error: ServingError, target: CallTarget, losses: number): boolean {
  if (error.service !== target.service || !isAboutReplica(error)) return false;
  if (isLoss(error) && (!target.idempotent || losses >= maxLosses)) return false;
  return target.links.retries.tryRetry(target.time.clock.now());
}

/** Whether the replica ended while the call was on it, so that it may have run. */
export const isLoss = ({ id, details }: ServingError): boolean => id === "replica_lost" && details["isSent"] !== false;

/** One that only waited for a task may go on waiting elsewhere. */
const isAboutReplica = ({ id }: ServingError): boolean =>
  id === "replica_lost" || id === "draining" || id === "task_wait_ended";
