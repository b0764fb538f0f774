import { Fifo, type FifoPlace } from "../base/fifo.js";
import type { ReplicaLink } from "../call/link.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { pickByKey, pickOfTwo } from "./balance.js";
import { type HeldCall, RetryBudget } from "./retry.js";

/** Most calls that wait for a replica of one service. Further ones fail at once. */
const maxHeld = 1024;

/** Current links of one service. */
export class ServiceLinks {
  readonly service: string;
  /** Number of replicas in the plan, for messages. */
  planned = 0;
  /** Links to ready replicas. Replaced as a whole, never changed in place. */
  links: readonly ReplicaLink[] = [];
  /** Links of `links` whose replicas are in the zone of this app. */
  near: readonly ReplicaLink[] = [];
  /** True when calls stay in this thread while it has a ready replica of the service. */
  keepsLocal = false;
  /** Link to the replica in this thread, if there is one and others are elsewhere. */
  local: ReplicaLink | undefined;
  /** True for a service that runs elsewhere: its replicas report their load. */
  isRemote = false;
  /** Describes why a service that runs elsewhere can't be reached. */
  explain: (() => string | undefined) | undefined;
  /** Limits the load that retries add. */
  readonly retries = new RetryBudget();
  readonly #held = new Fifo<HeldCall>();
  /** Failure of calls that would wait, while waiting is of no use. */
  #obstacle: (() => ServingError) | undefined;
  #turn = 0;

  constructor(service: string) {
    this.service = service;
  }

  /** Returns the index at which the next search for a link begins. */
  nextTurn(): number {
    this.#turn = (this.#turn + 1) % Math.max(1, this.links.length);
    return this.#turn;
  }

  add(link: ReplicaLink, isLocal = false): void {
    this.links = [...this.links, link];
    if (link.isNear === true) this.near = [...this.near, link];
    if (isLocal) this.local = link;
    this.#obstacle = undefined;
    while (this.#held.size > 0) this.#held.shift()?.resume();
  }

  remove(link: ReplicaLink): void {
    this.links = this.links.filter((other) => other !== link);
    if (this.near.length > 0) this.near = this.near.filter((other) => other !== link);
    if (this.local === link) this.local = undefined;
  }

  /** Makes calls fail at once, with the reason, until there is a link again: all replicas are down. */
  giveUp(failure: { readonly reason: string; readonly attempts: number; readonly retryAfterMs: number }): void {
    const { service } = this;
    const { reason, attempts, retryAfterMs } = failure;
    this.#refuseAll(() => fail("service_failed", { service, reason, attempts, retryAfterMs }, { service }));
  }

  /** Lets calls wait again. */
  reopen(): void {
    this.#obstacle = undefined;
  }

  /** Makes calls fail at once until there is a link: what runs elsewhere does not fit. */
  block(failure: () => ServingError): void {
    this.#refuseAll(failure);
  }

  /** Makes calls fail: the app is ending. */
  close(): void {
    const { service } = this;
    this.#refuseAll(() => fail("draining", { what: `service ${service}` }, { service }));
  }

  /**
   * Holds a call until there is a link.
   *
   * @returns Place of the call, for `release`; its failure when waiting is of no use.
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
    const why = this.explain?.();
    const details = { replicas: this.planned, ...(why !== undefined && { why }) };
    return fail("no_ready_replica", details, { service: this.service });
  }

  #refuseAll(obstacle: () => ServingError): void {
    if (this.links.length > 0) return;
    this.#obstacle = obstacle;
    while (this.#held.size > 0) this.#held.shift()?.refuse(obstacle());
  }
}

/** Links of all services, as this runtime knows them. Handles read them. */
export class Directory {
  readonly #services = new Map<string, ServiceLinks>();

  /** Returns the links of a service: the same object as long as the app runs. */
  of(service: string): ServiceLinks {
    let links = this.#services.get(service);
    if (links === undefined) this.#services.set(service, (links = new ServiceLinks(service)));
    return links;
  }

  /** @param isLocal True when the plan puts the replica in this thread, unlike others of its service. */
  add(service: string, link: ReplicaLink, isLocal = false): void {
    this.of(service).add(link, isLocal);
  }

  remove(service: string, link: ReplicaLink): void {
    this.of(service).remove(link);
  }

  /** Makes all later calls fail at once: the app has ended. */
  close(): void {
    for (const links of this.#services.values()) links.close();
  }
}

/**
 * Picks the link with the fewest calls in flight. Equal ones take turns. A replica in this thread comes before its
 * equals, and before all others if calls have to stay in this thread.
 *
 * @returns `undefined` when no replica of the service is ready.
 */
export function pickLink(service: ServiceLinks): ReplicaLink | undefined {
  const { links, local } = service;
  const first = links[0];
  if (links.length <= 1) return first;
  if (service.isRemote) return pickOfTwo(links, service.near, Math.random);
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

/**
 * Picks the link for a call with a key: calls with one key go to one replica, as long as that has no more than its
 * share of all calls in flight.
 *
 * @returns `undefined` when no replica of the service is ready.
 */
export function pickLinkFor(service: ServiceLinks, key: string): ReplicaLink | undefined {
  const { links } = service;
  return links.length <= 1 ? links[0] : pickByKey(links, key);
}
