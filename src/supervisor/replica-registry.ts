import type { LinkUpdate } from "../placement/control.js";
import type { Caller, ReplicaHost } from "../placement/placement.js";

// Tells every thread and process of an app which replicas it may call.
//
// JR1  A replica is announced while it is ready, also to callers that subscribe later.
// JR2  Updates about one service reach one caller in the order of the events.
// JR3  A caller gets the updates of a service as long as one of its replicas calls it, and gets each update once.

/** Reason why a service is down. */
interface ServiceFailure {
  readonly reason: string;
  /** Failures in a row. */
  readonly attempts: number;
  /** Milliseconds until the next restart. */
  readonly retryAfterMs: number;
}

/** Services that one caller subscribes to. */
interface Subscription {
  /** Number of its replicas that subscribed. */
  members: number;
  /** Number of those replicas by service. */
  readonly services: Map<string, number>;
}

interface Announced {
  readonly hosts: Map<string, ReplicaHost>;
  /** Replicas that were announced and have not ended, including withdrawn ones. */
  readonly living: Set<ReplicaHost>;
  planned: number;
  failure: ServiceFailure | undefined;
  isDraining: boolean;
}

export class ReplicaRegistry {
  /** Called after a replica was announced or withdrawn. */
  onChange: (service: string) => void = () => {};
  readonly #services = new Map<string, Announced>();
  readonly #callers = new Map<Caller, Subscription>();
  #faults: readonly object[] = [];

  /** Subscribes a replica of `caller` to these services: it gets the current state at once, and each later update. */
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

  /** Ends the subscription of one replica. Its caller forgets services that no other replica there calls. */
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

  /** Tells every runtime which faults its calls meet from now on. Tests only. */
  setFaults(faults: readonly object[]): void {
    this.#faults = faults;
    for (const caller of this.#callers.keys()) caller.notify({ kind: "faults", faults });
  }

  /** Replicas of a service that are announced now. */
  readyHosts(service: string): readonly ReplicaHost[] {
    return [...(this.#services.get(service)?.hosts.values() ?? [])];
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
    this.onChange(service);
  }

  /** Withdraws a replica; does nothing when another host has its name now. */
  withdraw(service: string, host: ReplicaHost): void {
    const { hosts } = this.#of(service);
    if (hosts.get(host.id) !== host) return;
    hosts.delete(host.id);
    this.#tell(service, () => ({ kind: "remove", service, replica: host.id }));
    this.onChange(service);
  }

  /** Removes a replica that has ended. */
  leave(service: string, host: ReplicaHost): void {
    this.withdraw(service, host);
    this.#of(service).living.delete(host);
  }

  /**
   * Withdraws a replica that is about to be killed, and all that share its thread or process.
   *
   * @param reason Reason that calls on them fail with. It is sent before the kill, so that it arrives before the link
   *   ends.
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

  /** Marks a service as down: its calls fail at once, until a replica is announced. */
  giveUp(service: string, failure: ServiceFailure): void {
    this.#of(service).failure = failure;
    this.#tell(service, () => ({ kind: "failed", service, ...failure }));
  }

  /** Marks a service as draining: its replicas are withdrawn, and no other will start. */
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

/** Calls that one thread or process has in flight, by service. */
type CallsInFlight = Readonly<Record<string, number>>;

/**
 * Counts the calls that callers have in flight, by service. A busy replica can't report the calls that wait for it,
 * and does not know those that its socket still holds.
 */
export class CallerCounts {
  readonly #readOwn: () => CallsInFlight;
  readonly #last = new Map<Caller, CallsInFlight>();

  /** @param readOwn Reads the counts of this thread, which sends no pulse to itself. */
  constructor(readOwn: () => CallsInFlight = () => ({})) {
    this.#readOwn = readOwn;
  }

  /** Stores the latest counts of a caller. */
  note(caller: Caller, calls: CallsInFlight): void {
    this.#last.set(caller, calls);
  }

  /** Drops the counts of a caller that has ended. */
  forget(caller: Caller): void {
    this.#last.delete(caller);
  }

  /** Returns the calls in flight to a service. */
  of(service: string): number {
    let sum = this.#readOwn()[service] ?? 0;
    for (const calls of this.#last.values()) sum += calls[service] ?? 0;
    return sum;
  }
}
