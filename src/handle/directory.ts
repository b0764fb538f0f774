import { Fifo, type FifoPlace } from "../base/fifo.js";
import type { ReplicaLink } from "../call/link.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";

/** Calls that wait for a replica of one service, at most; one more fails at once. */
const maxHeld = 1024;

/** A call that waits for a replica to come back. */
export interface HeldCall {
  /** There is a link again. */
  resume(): void;
  /** There will be none. */
  refuse(error: ServingError): void;
}

/** The links of one service, as they are now. */
export class ServiceLinks {
  readonly service: string;
  /** How many the plan wants, for messages. */
  planned = 0;
  /** Only ready replicas. Replaced as a whole, never changed in place. */
  links: readonly ReplicaLink[] = [];
  /** Whether calls stay in this thread as long as it has a ready replica of the service. */
  keepsLocal = false;
  /** The one of `links` that leads to a replica in this thread, where one does and others lead elsewhere. */
  local: ReplicaLink | undefined;
  /** Bounds how much load retries may add. */
  readonly retries = new RetryBudget();
  readonly #held = new Fifo<HeldCall>();
  /** Why nobody should wait for a link. */
  #obstacle: (() => ServingError) | undefined;
  #turn = 0;

  constructor(service: string) {
    this.service = service;
  }

  /** Where the next search for a link begins. */
  nextTurn(): number {
    this.#turn = (this.#turn + 1) % Math.max(1, this.links.length);
    return this.#turn;
  }

  add(link: ReplicaLink, isLocal = false): void {
    this.links = [...this.links, link];
    if (isLocal) this.local = link;
    this.#obstacle = undefined;
    while (this.#held.size > 0) this.#held.shift()?.resume();
  }

  remove(link: ReplicaLink): void {
    this.links = this.links.filter((other) => other !== link);
    if (this.local === link) this.local = undefined;
  }

  /** Its replicas are down: calls fail at once, with the reason, until there is a link again. */
  giveUp(failure: { readonly reason: string; readonly attempts: number; readonly retryAfterMs: number }): void {
    const { service } = this;
    const { reason, attempts, retryAfterMs } = failure;
    this.#refuseAll(() => fail("service_failed", { service, reason, attempts, retryAfterMs }, { service }));
  }

  /** What was heard of the service holds no more: calls wait again. */
  reopen(): void {
    this.#obstacle = undefined;
  }

  /** The app is ending. */
  close(): void {
    const { service } = this;
    this.#refuseAll(() => fail("draining", { what: `service ${service}` }, { service }));
  }

  /**
   * Keeps a call until there is a link.
   *
   * @returns Its place, for `release`; the failure it gets at once where waiting is of no use.
   */
  hold(call: HeldCall): FifoPlace<HeldCall> | ServingError {
    if (this.#obstacle !== undefined) return this.#obstacle();
    if (this.#held.size >= maxHeld) return this.refusal();
    return this.#held.push(call);
  }

  release(place: FifoPlace<HeldCall>): void {
    this.#held.remove(place);
  }

  refusal(): ServingError {
    return fail("no_ready_replica", { replicas: this.planned }, { service: this.service });
  }

  #refuseAll(obstacle: () => ServingError): void {
    if (this.links.length > 0) return;
    this.#obstacle = obstacle;
    while (this.#held.size > 0) this.#held.shift()?.refuse(obstacle());
  }
}

/** Which links each service has now; written by whoever keeps the links of a site, read by handles. */
export class Directory {
  readonly #services = new Map<string, ServiceLinks>();

  /** The links of a service; the same object for as long as the app runs. */
  of(service: string): ServiceLinks {
    let links = this.#services.get(service);
    if (links === undefined) this.#services.set(service, (links = new ServiceLinks(service)));
    return links;
  }

  /** @param isLocal Whether the replica shares this thread with its callers by plan, as others of its service may not. */
  add(service: string, link: ReplicaLink, isLocal = false): void {
    this.of(service).add(link, isLocal);
  }

  remove(service: string, link: ReplicaLink): void {
    this.of(service).remove(link);
  }

  /** The app has ended: calls that come all the same fail at once. */
  close(): void {
    for (const links of this.#services.values()) links.close();
  }
}

/**
 * Picks the link with the fewest calls in flight; those that are equal take turns. A replica in this thread comes before its
 * equals, and before all others where calls are to stay here.
 *
 * @returns `undefined` when no replica of the service is ready.
 */
export function pickLink(service: ServiceLinks): ReplicaLink | undefined {
  const { links, local } = service;
  const first = links[0];
  if (links.length <= 1) return first;
  if (local !== undefined && (service.keepsLocal || local.inFlight === 0)) return local;
  const offset = service.nextTurn();
  let best: ReplicaLink | undefined = local;
  for (let i = 0; i < links.length; i++) {
    const link = links[(offset + i) % links.length] as ReplicaLink;
    if (link.inFlight === 0) return link;
    if (best === undefined || link.inFlight < best.inFlight) best = link;
  }
  return best;
}

// How often calls to one service may be sent again.
//
// B1  Over any time, retries are at most a fifth of the calls, plus 10 a second, plus the reserve: when everything fails,
//     retries add a fifth to the load and never multiply it.
// B2  The reserve is full at the start and holds 256 retries at most, so a time without failures saves up for one lost
//     replica and no more.
//
// This is the budget of Finagle (https://twitter.github.io/finagle/docs/com/twitter/finagle/service/RetryBudget$.html) as one
// bucket: its deposits expire after a time, those of this one when the bucket is full.

// Counted in fifths of a retry, which keeps every number whole: what a call deposits.
const retryCost = 5;
const fullReserve = 256 * retryCost;
/** 10 retries a second. */
const msPerDeposit = 1000 / (10 * retryCost);

/** What the calls to one service may spend on retries. */
export class RetryBudget {
  #deposits = fullReserve;
  /** Until when time has been paid out. It begins with a full reserve, so all time before the first retry has been. */
  #refilledAt = 0;

  /** Notes a call that is not a retry: a fifth of a retry more. */
  onCall(): void {
    if (this.#deposits < fullReserve) this.#deposits++;
  }

  /**
   * Takes a retry from the budget.
   *
   * @param now Milliseconds of any clock; where it was set back, time counts from there on.
   * @returns Whether there was one left; `false` changes nothing.
   */
  tryRetry(now: number): boolean {
    this.#refill(now);
    if (this.#deposits < retryCost) return false;
    this.#deposits -= retryCost;
    return true;
  }

  /** Pays out whole deposits, and leaves the time that makes up no whole one for later. */
  #refill(now: number): void {
    const elapsedMs = Math.max(0, now - this.#refilledAt);
    this.#deposits = Math.min(fullReserve, this.#deposits + Math.floor(elapsedMs / msPerDeposit));
    this.#refilledAt = now - (elapsedMs % msPerDeposit);
  }
}
