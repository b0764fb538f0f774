import type { LinkUpdate } from "../placement/control.js";
import type { Caller, ReplicaHost } from "../placement/placement.js";

// Tells every thread and process of an app which replicas it may call.
//
// B1  A replica is announced while it is ready; who subscribes later hears of it too.
// B2  Notices about one service reach one caller in the order in which things happened.
// B3  A caller hears of a service as long as one of its replicas calls it, and each notice once however many do.

/** Why a service is down. */
interface ServiceFailure {
  readonly reason: string;
  /** Short lives in a row. */
  readonly attempts: number;
  /** Until a replica is started again. */
  readonly retryAfterMs: number;
}

/** What one caller hears of. */
interface Subscription {
  /** Subscriptions of its replicas. */
  members: number;
  /** By service, how many of them. */
  readonly services: Map<string, number>;
}

interface Announced {
  readonly hosts: Map<string, ReplicaHost>;
  /** Those that were announced and have not ended, also where nobody calls them now. */
  readonly living: Set<ReplicaHost>;
  planned: number;
  failure: ServiceFailure | undefined;
  isDraining: boolean;
}

export class ReplicaRegistry {
  readonly #services = new Map<string, Announced>();
  readonly #callers = new Map<Caller, Subscription>();
  #faults: readonly object[] = [];

  /** A replica of `caller` calls these services: the caller hears at once what there is to know, and of all that comes. */
  subscribe(caller: Caller, services: readonly string[]): void {
    let own = this.#callers.get(caller);
    if (own === undefined) {
      own = { members: 0, services: new Map() };
      this.#callers.set(caller, own);
      if (this.#faults.length > 0) caller.notify({ kind: "faults", faults: this.#faults });
    }
    own.members++;
    for (const service of services) {
      const known = own.services.get(service) ?? 0;
      own.services.set(service, known + 1);
      if (known === 0) this.#tellAll(service, caller);
    }
  }

  /** That replica is gone: its caller forgets what no other replica there calls. */
  unsubscribe(caller: Caller, services: readonly string[]): void {
    const own = this.#callers.get(caller);
    if (own === undefined) return;
    for (const service of services) {
      const left = (own.services.get(service) ?? 1) - 1;
      if (left > 0) own.services.set(service, left);
      else if (own.services.delete(service)) caller.notify({ kind: "forget", service });
    }
    if (--own.members === 0) this.#callers.delete(caller);
  }

  /** In a test: tells every site which faults its calls meet from now on. */
  setFaults(faults: readonly object[]): void {
    this.#faults = faults;
    for (const caller of this.#callers.keys()) caller.notify({ kind: "faults", faults });
  }

  plan(service: string, replicas: number): void {
    this.#of(service).planned = replicas;
    this.#tell(service, () => ({ kind: "planned", service, replicas }));
  }

  announce(service: string, host: ReplicaHost): void {
    const own = this.#of(service);
    own.hosts.set(host.id, host);
    own.living.add(host);
    own.failure = undefined;
    this.#tell(service, (caller) => createNotice(service, host, caller));
  }

  /** Does nothing where another host has taken the replica's name since. */
  withdraw(service: string, host: ReplicaHost): void {
    const { hosts } = this.#of(service);
    if (hosts.get(host.id) !== host) return;
    hosts.delete(host.id);
    this.#tell(service, () => ({ kind: "remove", service, replica: host.id }));
  }

  /** It has ended. */
  leave(service: string, host: ReplicaHost): void {
    this.withdraw(service, host);
    this.#of(service).living.delete(host);
  }

  /**
   * The replica is about to be killed, and with it all that share its thread or process: nobody calls them any more.
   *
   * @param reason What calls on them fail with. Told before the kill, so that it comes before the end of the link.
   */
  abandon(host: ReplicaHost, reason: string | undefined): void {
    for (const [service, { living }] of this.#services) {
      for (const own of living) {
        if (own.caller !== host.caller) continue;
        this.withdraw(service, own);
        if (reason !== undefined) this.#tell(service, () => ({ kind: "abandoned", service, replica: own.id, reason }));
      }
    }
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
      own = { hosts: new Map(), living: new Set(), planned: 0, failure: undefined, isDraining: false };
      this.#services.set(service, own);
    }
    return own;
  }

  #tellAll(service: string, caller: Caller): void {
    const { planned, hosts, failure, isDraining } = this.#of(service);
    caller.notify({ kind: "planned", service, replicas: planned });
    for (const host of hosts.values()) caller.notify(createNotice(service, host, caller));
    if (failure !== undefined) caller.notify({ kind: "failed", service, ...failure });
    if (isDraining) caller.notify({ kind: "draining", service });
  }

  #tell(service: string, createFor: (caller: Caller) => LinkUpdate): void {
    for (const [caller, { services }] of this.#callers) {
      if (services.has(service)) caller.notify(createFor(caller));
    }
  }
}

function createNotice(service: string, host: ReplicaHost, caller: Caller): LinkUpdate {
  const offer = host.offerTo(caller);
  const replica = host.id;
  if (offer.kind === "address") return { kind: "add", service, replica, address: offer.address };
  if (offer.kind === "port") return { kind: "add-port", service, replica, port: offer.port };
  return { kind: "add-local", service, replica };
}

/** Calls in flight by service, as one thread or process counts those that it makes. */
type CallsInFlight = Readonly<Record<string, number>>;

/**
 * What callers have in flight, service by service: a replica that computes can't say what waits for it, and what lies in its socket
 * it does not know.
 */
export class CallerCounts {
  readonly #readOwn: () => CallsInFlight;
  readonly #last = new Map<Caller, CallsInFlight>();

  /** @param readOwn Reads the counts of the thread that asks, which sends itself no pulse. */
  constructor(readOwn: () => CallsInFlight = () => ({})) {
    this.#readOwn = readOwn;
  }

  /** Takes what a caller said last. */
  note(caller: Caller, calls: CallsInFlight): void {
    this.#last.set(caller, calls);
  }

  /** It makes no calls any more, or will say so anew. */
  forget(caller: Caller): void {
    this.#last.delete(caller);
  }

  /** Calls in flight to a service. */
  of(service: string): number {
    let sum = this.#readOwn()[service] ?? 0;
    for (const calls of this.#last.values()) sum += calls[service] ?? 0;
    return sum;
  }
}
