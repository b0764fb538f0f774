import type { ReplicaLink } from "../call/link.js";
import type { LinkNotice } from "../placement/control.js";
import type { CallerResidence, ReplicaHost } from "../placement/placement.js";

// Tells every site of an app which replicas it may call.
//
// B1  A replica is announced while it is ready; who subscribes later hears of it too.
// B2  Notices about one service reach one subscriber in the order in which things happened.

/** What a subscriber in the app's own thread may get besides: a link that needs no channel. */
export type BoardNotice =
  | LinkNotice
  | { readonly kind: "add-inline"; readonly service: string; readonly replica: string; readonly link: ReplicaLink };

/** A site that calls services. */
export interface LinkSubscriber {
  readonly residence: CallerResidence;
  readonly services: ReadonlySet<string>;
  notify(notice: BoardNotice): void;
}

/** Why a service is down. */
export interface ServiceFailure {
  readonly reason: string;
  /** Short lives in a row. */
  readonly attempts: number;
  /** Until a replica is started again. */
  readonly retryAfterMs: number;
}

interface Announced {
  readonly hosts: Map<string, ReplicaHost>;
  planned: number;
  failure: ServiceFailure | undefined;
  isDraining: boolean;
}

export class LinkBoard {
  readonly #services = new Map<string, Announced>();
  readonly #subscribers = new Set<LinkSubscriber>();
  #faults: readonly object[] = [];

  /** @returns What there is to know now; later notices are sent. */
  subscribe(subscriber: LinkSubscriber): BoardNotice[] {
    this.#subscribers.add(subscriber);
    const faults: BoardNotice[] = this.#faults.length === 0 ? [] : [{ kind: "faults", faults: this.#faults }];
    const known = [...subscriber.services].flatMap((service) => {
      const { planned, hosts, failure, isDraining } = this.#of(service);
      const notices: BoardNotice[] = [{ kind: "planned", service, replicas: planned }];
      for (const host of hosts.values()) notices.push(createNotice(service, host, subscriber.residence));
      if (failure !== undefined) notices.push({ kind: "failed", service, ...failure });
      if (isDraining) notices.push({ kind: "draining", service });
      return notices;
    });
    return [...faults, ...known];
  }

  /** In a test: tells every site which faults its calls meet from now on. */
  setFaults(faults: readonly object[]): void {
    this.#faults = faults;
    for (const subscriber of this.#subscribers) subscriber.notify({ kind: "faults", faults });
  }

  unsubscribe(subscriber: LinkSubscriber): void {
    this.#subscribers.delete(subscriber);
  }

  plan(service: string, replicas: number): void {
    this.#of(service).planned = replicas;
    this.#tell(service, () => ({ kind: "planned", service, replicas }));
  }

  announce(service: string, host: ReplicaHost): void {
    const own = this.#of(service);
    own.hosts.set(host.id, host);
    own.failure = undefined;
    this.#tell(service, ({ residence }) => createNotice(service, host, residence));
  }

  /** Does nothing where another host has taken the replica's name since. */
  withdraw(service: string, host: ReplicaHost): void {
    const { hosts } = this.#of(service);
    if (hosts.get(host.id) !== host) return;
    hosts.delete(host.id);
    this.#tell(service, () => ({ kind: "remove", service, replica: host.id }));
  }

  /**
   * The replica is about to be killed: calls on it fail with the reason. Told before the kill, so that it comes before the end of
   * the link.
   */
  abandon(service: string, host: ReplicaHost, reason: string): void {
    this.withdraw(service, host);
    this.#tell(service, () => ({ kind: "abandoned", service, replica: host.id, reason }));
  }

  /** No replica of the service is ready, and none soon will be: calls fail at once, until one is announced. */
  giveUp(service: string, failure: ServiceFailure): void {
    this.#of(service).failure = failure;
    this.#tell(service, () => ({ kind: "failed", service, ...failure }));
  }

  /** Every replica of the service is withdrawn, and there will be no other. */
  close(service: string): void {
    this.#of(service).isDraining = true;
    this.#tell(service, () => ({ kind: "draining", service }));
  }

  #of(service: string): Announced {
    let own = this.#services.get(service);
    if (own === undefined) {
      own = { hosts: new Map(), planned: 0, failure: undefined, isDraining: false };
      this.#services.set(service, own);
    }
    return own;
  }

  #tell(service: string, createFor: (subscriber: LinkSubscriber) => BoardNotice): void {
    for (const subscriber of this.#subscribers) {
      if (subscriber.services.has(service)) subscriber.notify(createFor(subscriber));
    }
  }
}

function createNotice(service: string, host: ReplicaHost, residence: CallerResidence): BoardNotice {
  const offer = host.offerTo(residence);
  const replica = host.id;
  if (offer.kind === "address") return { kind: "add", service, replica, address: offer.address };
  if (offer.kind === "port") return { kind: "add-port", service, replica, port: offer.port };
  return { kind: "add-inline", service, replica, link: offer.link };
}
