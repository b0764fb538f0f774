import { within } from "../base/clock.js";
import { systemTime } from "../call/call-scope.js";
import type { GrantedResources } from "../define/service.js";
import { fail } from "../failure/failures.js";
import type { HttpServer } from "../http/server.js";
import {
  type AppAnswers,
  type ControlAnswers,
  inspectorUrl,
  type ReplicaOrder,
  type RuntimeOrder,
} from "../placement/control.js";
import { LocalHost } from "./local-host.js";
import type { Runtime } from "./runtime.js";

/** Longest wait for links to callees. The author's `start()` runs without the missing ones after it. */
const linksLimitMs = 5_000;

/** Surroundings of a replica in its thread or process. */
interface HostedReplicaDeps {
  readonly runtime: Runtime;
  readonly runtimeOrder: RuntimeOrder;
  readonly inlineCallees: InlineCallees;
  /** Asks the supervisor about the whole app. */
  readonly ask: <What extends keyof AppAnswers>(what: What) => Promise<AppAnswers[What]>;
  /** Called for each step of the start. @param limitMs Longest rest of the start while the event loop turns. */
  readonly onStarting: (limitMs: number) => void;
}

/** One replica in a thread or process, beside others of its group. */
export class HostedReplica {
  readonly order: ReplicaOrder;
  readonly host: LocalHost;
  readonly #deps: HostedReplicaDeps;
  readonly #abort = new AbortController();
  #http: HttpServer | undefined;
  /** Aborted to close the connections that a drain still waits for. */
  readonly #cut = new AbortController();
  /** Takes the link of the HTTP server to this replica out of the directory. */
  #removeLink = () => {};

  constructor(order: ReplicaOrder, deps: HostedReplicaDeps) {
    this.order = order;
    this.#deps = deps;
    const { runtime } = deps;
    const { address, service, edgeAddress } = order;
    const edge = runtime.edgeOf(service, edgeAddress);
    this.host = new LocalHost(runtime.partsOf(order), address, runtime.slabFolder, runtime.files, edge);
  }

  /**
   * Starts the replica, its inline callees first. A replica that is stopped meanwhile leaves nothing behind: others may
   * live on here.
   *
   * @throws {ServingError} `start_failed`, `start_timeout`, `listen_failed`, `start_aborted`.
   */
  async start(): Promise<void> {
    const { runtime, inlineCallees, onStarting } = this.#deps;
    const { signal } = this.#abort;
    const { service, callees } = this.order;
    const ownMs = runtime.startLimitMsOf(service);
    try {
      onStarting(linksLimitMs + inlineCallees.startLimitMsOf(this.order) + ownMs);
      await runtime.openRemotes(callees);
      await within(systemTime.clock, linksLimitMs, runtime.settled(callees), () => {});
      signal.throwIfAborted();
      await inlineCallees.start(this.order);
      signal.throwIfAborted();
      onStarting(ownMs);
      await this.host.start(signal);
    } catch (error) {
      if (signal.aborted) await inlineCallees.stop(this.order);
      throw error;
    }
  }

  /** Answers HTTP on a bound socket. @throws {ServingError} `start_aborted` when the replica is stopped meanwhile. */
  async listen(handle: unknown): Promise<void> {
    const { runtime, runtimeOrder, ask } = this.#deps;
    const { signal } = this.#abort;
    // Loaded here: only the replicas of the entry service need an HTTP server.
    const { createRuntimeHttp, loadFunctions } = await import("./runtime-http.js");
    const functions = await loadFunctions(runtimeOrder.appFile);
    const http = await createRuntimeHttp(runtime, {
      readiness: () => ask("readiness"),
      metrics: () => ask("metrics"),
      ...functions,
    });
    if (signal.aborted) {
      await http.close(signal);
      throw signal.reason;
    }
    this.#http = http;
    this.#removeLink = runtime.links.addOwn(this.order.service, this.host.link);
    await http.listenOn(handle);
  }

  /** Resolves with true when the replica can be called and can call its callees. */
  async isReady(): Promise<boolean> {
    const { runtime, inlineCallees } = this.#deps;
    // A replica in another process may still reach them.
    if (runtime.obstaclesTo(this.order.callees).length > 0) return false;
    const own = [this.host, ...inlineCallees.hostsOf(this.order)];
    return (await Promise.all(own.map((host) => host.isReady()))).every(Boolean);
  }

  /** Calls that wait for the end of a task are no load. The task is, whether it waits or runs. */
  readPulse(): ControlAnswers["pulse"] {
    const { replica } = this.host;
    const calls = Math.max(replica.inFlight, this.#http?.inFlight ?? 0);
    const inFlight = Math.max(0, calls - (replica.tasks?.waiters ?? 0));
    const waitingTasks = replica.tasks?.waitingTasks;
    const hosts = [this.host, ...this.#deps.inlineCallees.hostsOf(this.order)];
    const strains = hosts.flatMap((host) => host.replica.readStrains());
    const url = inspectorUrl();
    const { runtime } = this.#deps;
    const obstacles = runtime.obstaclesTo(this.order.callees).map(({ problem }) => problem);
    const remotes = runtime.remotes?.readiness.filter(({ name }) => this.order.callees.includes(name)) ?? [];
    return {
      residentBytes: readResidentBytes(),
      inFlight,
      longestRunMs: systemTime.turns.longestMs,
      callsInFlight: runtime.stats.inFlightByService,
      ...(waitingTasks !== undefined && { waitingTasks }),
      ...(obstacles.length > 0 && { obstacles }),
      ...(strains.length > 0 && { strains }),
      ...(remotes.length > 0 && { remotes }),
      ...(url !== undefined && { inspectorUrl: url }),
    };
  }

  async drain(limitMs: number): Promise<void> {
    const drained = async () => {
      // Before the HTTP server closes, so that no request waits for a task that will not run here any more.
      const tasks = this.host.replica.tasks?.drain();
      await this.#http?.close(this.#cut.signal);
      await tasks;
      await this.host.drain();
      await within(systemTime.clock, leaveLimitMs, this.host.left(), () => {});
      await this.#deps.inlineCallees.drain(this.order);
    };
    await within(systemTime.clock, limitMs, drained(), () => this.#cut.abort());
  }

  async stop(): Promise<void> {
    const { service } = this.order;
    this.#abort.abort(fail("start_aborted", { service }));
    this.#cut.abort();
    this.#removeLink();
    await this.host.stop();
    await this.#deps.inlineCallees.stop(this.order);
  }
}

/**
 * Limit of the wait for callers to close their channels, in milliseconds; they do so when they hear of the drain. A
 * call that one of them has sent before is refused and goes elsewhere, as long as its channel is open: closed earlier,
 * the channel would lose the call.
 */
const leaveLimitMs = 500;

let lastBytes = 0;

/**
 * Reads the resident memory of this process, in bytes. Reading takes a file descriptor; where none is left, the last
 * value is returned, so that the replica still answers its pulse.
 */
function readResidentBytes(): number {
  try {
    lastBytes = process.memoryUsage.rss();
  } catch {
    // EMFILE, ENFILE.
  }
  return lastBytes;
}

// Inline callees: replicas of inline services beside the replicas that call them.
//
// MC1  An inline service that several replicas need exists once. The first of them starts it; it stops after the last.
// MC2  A start that fails fails every replica that waits for it. The next replica starts the service again.

/** Inline services that a replica needs beside it. */
interface InlineCalleeWish {
  /** Callees first. */
  readonly inlineCallees: readonly string[];
  readonly inlineCalleeResources: ReadonlyMap<string, GrantedResources>;
}

/** Replicas of one inline service. */
interface Kept {
  readonly service: string;
  readonly hosts: readonly LocalHost[];
  readonly abort: AbortController;
  /** Replicas that need it. */
  readonly users: Set<InlineCalleeWish>;
  /** Take their links out of the directory. */
  readonly removals: (() => void)[];
  started: Promise<void>;
}

export class InlineCallees {
  readonly #runtime: Runtime;
  readonly #kept = new Map<string, Kept>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Longest time that `start` takes while the event loop turns. */
  startLimitMsOf({ inlineCallees }: InlineCalleeWish): number {
    const limits = inlineCallees.map(
      (service) => this.#runtime.settingsOf(service).replicas.min * this.#runtime.startLimitMsOf(service),
    );
    return limits.reduce((sum, limitMs) => sum + limitMs, 0);
  }

  /** Starts the services that have not started yet. @throws The first failure of a start. */
  async start(wish: InlineCalleeWish): Promise<void> {
    for (const service of wish.inlineCallees) {
      const kept = this.#kept.get(service) ?? this.#create(service, wish);
      kept.users.add(wish);
      await kept.started;
    }
  }

  /** Hosts that one replica needs, callees first. */
  hostsOf({ inlineCallees }: InlineCalleeWish): LocalHost[] {
    return inlineCallees.flatMap((service) => this.#kept.get(service)?.hosts ?? []);
  }

  /** Drains the services that no other replica needs, callers before callees. */
  async drain(wish: InlineCalleeWish): Promise<void> {
    for (const { hosts, users } of this.#of(wish)) {
      if ([...users].some((user) => user !== wish)) continue;
      for (const host of hosts) await host.drain();
    }
  }

  /** Stops the services that no other replica needs, callers before callees. */
  async stop(wish: InlineCalleeWish): Promise<void> {
    for (const kept of this.#of(wish)) {
      kept.users.delete(wish);
      if (kept.users.size === 0) await this.#end(kept);
    }
  }

  #of({ inlineCallees }: InlineCalleeWish): Kept[] {
    return [...inlineCallees].reverse().flatMap((service) => this.#kept.get(service) ?? []);
  }

  #create(service: string, { inlineCalleeResources }: InlineCalleeWish): Kept {
    const resources = inlineCalleeResources.get(service) ?? {
      cpuThreads: 1,
      memoryBytes: Number.POSITIVE_INFINITY,
      gpus: [],
    };
    const { min } = this.#runtime.settingsOf(service).replicas;
    const hosts = Array.from(
      { length: min },
      (_, index) => new LocalHost(this.#runtime.partsOf({ service, index, resources })),
    );
    const abort = new AbortController();
    const kept: Kept = { service, hosts, abort, users: new Set(), removals: [], started: Promise.resolve() };
    this.#kept.set(service, kept);
    kept.started = this.#bringUp(kept);
    return kept;
  }

  async #bringUp(kept: Kept): Promise<void> {
    try {
      for (const host of kept.hosts) {
        await host.start(kept.abort.signal);
        kept.removals.push(this.#runtime.links.addOwn(kept.service, host.link));
      }
    } catch (error) {
      await this.#end(kept);
      throw error;
    }
  }

  async #end(kept: Kept): Promise<void> {
    const { service, abort, removals, hosts } = kept;
    if (this.#kept.get(service) === kept) this.#kept.delete(service);
    for (const remove of removals) remove();
    abort.abort(fail("start_aborted", { service }));
    for (const host of hosts) await host.stop();
  }
}
