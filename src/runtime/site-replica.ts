import { within } from "../base/clock.js";
import { systemTime } from "../call/call-scope.js";
import type { ReplicaLink } from "../call/link.js";
import type { GrantedResources } from "../define/service.js";
import { fail } from "../failure/failures.js";
import type { FileStore } from "../held/file-store.js";
import {
  type AppAnswers,
  type ControlAnswers,
  inspectorUrl,
  type ReplicaOrder,
  type SiteOrder,
} from "../placement/control.js";
import type { Faults } from "./faults.js";
import { InlineHost } from "./inline.js";
import type { ReplicaEdge } from "./replica-edge.js";
import type { Site } from "./site.js";
import type { SiteLinks } from "./site-links.js";

/** How long the links to callees may take to open before `start()` of the author runs without them. */
const linksLimitMs = 5_000;

/** What a replica finds in its site. */
interface SiteReplicaParts {
  readonly site: Site;
  readonly siteOrder: SiteOrder;
  readonly links: SiteLinks;
  readonly companions: Companions;
  readonly files: FileStore;
  /** Asks the supervisor about the whole app. */
  readonly ask: <What extends keyof AppAnswers>(what: What) => Promise<AppAnswers[What]>;
  /** Hears of each step of its start: what is left of that ends within `limitMs` as long as the event loop turns. */
  readonly onStarting: (limitMs: number) => void;
}

/** One replica in a thread or process, which may have others. */
export class SiteReplica {
  readonly order: ReplicaOrder;
  readonly host: InlineHost;
  readonly #parts: SiteReplicaParts;
  readonly #abort = new AbortController();
  #edge: ReplicaEdge | undefined;

  constructor(order: ReplicaOrder, parts: SiteReplicaParts) {
    this.order = order;
    this.#parts = parts;
    const { site, siteOrder, files } = parts;
    this.host = new InlineHost(site.partsOf(order), order.address, siteOrder.slabFolder, files);
  }

  /**
   * Starts it, its companions first. One that is stopped meanwhile leaves nothing behind: its site may go on without it.
   *
   * @throws {ServingError} `start_failed`, `start_timeout`, `listen_failed`, `start_aborted`.
   */
  async start(): Promise<void> {
    const { site, links, companions, onStarting } = this.#parts;
    const { signal } = this.#abort;
    const { service, callees } = this.order;
    const ownMs = site.startLimitMsOf(service);
    try {
      onStarting(linksLimitMs + companions.startLimitMsOf(this.order) + ownMs);
      await within(systemTime.clock, linksLimitMs, links.settled(callees), () => {});
      signal.throwIfAborted();
      await companions.start(this.order);
      signal.throwIfAborted();
      onStarting(ownMs);
      await this.host.start(signal);
    } catch (error) {
      if (signal.aborted) await companions.stop(this.order);
      throw error;
    }
  }

  /** Answers HTTP on a socket that listens. @throws {ServingError} `start_aborted` where it is stopped meanwhile. */
  async listen(handle: unknown): Promise<void> {
    const { site, siteOrder, files, ask } = this.#parts;
    const { signal } = this.#abort;
    // Loaded here: only the replicas of the entry service need an HTTP server.
    const { createReplicaEdge } = await import("./replica-edge.js");
    const edge = await createReplicaEdge({ site, order: siteOrder, files, ask });
    if (signal.aborted) {
      edge.cut();
      await edge.close();
      throw signal.reason;
    }
    this.#edge = edge;
    site.directory.add(this.order.service, this.host.link);
    await edge.listen(handle);
  }

  /** Whether it may be called, and can call what it depends on. */
  async isReady(): Promise<boolean> {
    const { links, companions } = this.#parts;
    // What it calls is out of its reach: others may do better.
    if (links.obstaclesTo(this.order.callees).length > 0) return false;
    const own = [this.host, ...companions.hostsOf(this.order)];
    return (await Promise.all(own.map((host) => host.isReady()))).every(Boolean);
  }

  /** Whoever waits for a task is no load; the task is, whether it runs or waits itself. */
  readPulse(): ControlAnswers["pulse"] {
    const { replica } = this.host;
    const calls = Math.max(replica.inFlight, this.#edge?.inFlight ?? 0);
    const inFlight = Math.max(0, calls - (replica.tasks?.waiters ?? 0));
    const waitingTasks = replica.tasks?.waitingTasks;
    const hosts = [this.host, ...this.#parts.companions.hostsOf(this.order)];
    const strains = hosts.flatMap((host) => host.replica.readStrains());
    const url = inspectorUrl();
    const obstacles = this.#parts.links.obstaclesTo(this.order.callees).map(({ problem }) => problem);
    return {
      ...{ residentBytes: readResidentBytes(), inFlight, longestRunMs: systemTime.turns.longestMs },
      callsInFlight: this.#parts.site.stats.inFlightByService,
      ...(waitingTasks !== undefined && { waitingTasks }),
      ...(obstacles.length > 0 && { obstacles }),
      ...(strains.length > 0 && { strains }),
      ...(url !== undefined && { inspectorUrl: url }),
    };
  }

  async drain(limitMs: number): Promise<void> {
    const drained = async () => {
      // At once, so that no request waits for a task that will not run here any more.
      const tasks = this.host.replica.tasks?.drain();
      await this.#edge?.close();
      await tasks;
      await this.host.drain();
      await this.#parts.companions.drain(this.order);
    };
    await within(systemTime.clock, limitMs, drained(), () => this.#edge?.cut());
  }

  async stop(): Promise<void> {
    const { site, companions } = this.#parts;
    const { service } = this.order;
    this.#abort.abort(fail("start_aborted", { service }));
    this.#edge?.cut();
    site.directory.remove(service, this.host.link);
    await this.host.stop();
    await companions.stop(this.order);
  }
}

let lastBytes = 0;

/**
 * Bytes of memory that this process holds, as far as that can be told: reading it takes a descriptor. Where none is left it is
 * what was held when it was last read; a process is no less alive for that.
 */
function readResidentBytes(): number {
  try {
    lastBytes = process.memoryUsage.rss();
  } catch {
    // EMFILE, ENFILE.
  }
  return lastBytes;
}

// The inline services of a site, which live beside the replicas that call them.
//
// C1  Those that several replicas need are there once, started by the first and stopped after the last.
// C2  One that fails to start fails every replica that waits for it, and is begun anew by the next.

/** What a replica needs beside it. */
interface CompanionWish {
  /** Callees first. */
  readonly companions: readonly string[];
  readonly companionResources: ReadonlyMap<string, GrantedResources>;
}

/** The replicas of one inline service. */
interface Kept {
  readonly service: string;
  readonly hosts: readonly InlineHost[];
  readonly abort: AbortController;
  /** Which replicas need it. */
  readonly users: Set<CompanionWish>;
  /** In the directory. */
  readonly links: ReplicaLink[];
  started: Promise<void>;
}

export class Companions {
  readonly #site: Site;
  readonly #faults: Faults | undefined;
  readonly #kept = new Map<string, Kept>();

  constructor(site: Site, faults: Faults | undefined) {
    this.#site = site;
    this.#faults = faults;
  }

  /** The longest that `start` may take, as long as the event loop turns. */
  startLimitMsOf({ companions }: CompanionWish): number {
    const limits = companions.map(
      (service) => this.#site.settingsOf(service).replicas.min * this.#site.startLimitMsOf(service),
    );
    return limits.reduce((sum, limitMs) => sum + limitMs, 0);
  }

  /** Starts what is not there yet. @throws What one of them throws. */
  async start(wish: CompanionWish): Promise<void> {
    for (const service of wish.companions) {
      const kept = this.#kept.get(service) ?? this.#create(service, wish);
      kept.users.add(wish);
      await kept.started;
    }
  }

  /** Those of one replica, callees first. */
  hostsOf({ companions }: CompanionWish): InlineHost[] {
    return companions.flatMap((service) => this.#kept.get(service)?.hosts ?? []);
  }

  /** Drains those that no other replica needs, callers before callees. */
  async drain(wish: CompanionWish): Promise<void> {
    for (const { hosts, users } of this.#of(wish)) {
      if ([...users].some((user) => user !== wish)) continue;
      for (const host of hosts) await host.drain();
    }
  }

  /** Stops those that no other replica needs, callers before callees. */
  async stop(wish: CompanionWish): Promise<void> {
    for (const kept of this.#of(wish)) {
      kept.users.delete(wish);
      if (kept.users.size === 0) await this.#end(kept);
    }
  }

  #of({ companions }: CompanionWish): Kept[] {
    return [...companions].reverse().flatMap((service) => this.#kept.get(service) ?? []);
  }

  #create(service: string, { companionResources }: CompanionWish): Kept {
    const resources = companionResources.get(service) ?? {
      cpuThreads: 1,
      memoryBytes: Number.POSITIVE_INFINITY,
      gpus: [],
    };
    const { min } = this.#site.settingsOf(service).replicas;
    const hosts = Array.from(
      { length: min },
      (_, index) => new InlineHost(this.#site.partsOf({ service, index, resources })),
    );
    const abort = new AbortController();
    const kept: Kept = { service, hosts, abort, users: new Set(), links: [], started: Promise.resolve() };
    this.#kept.set(service, kept);
    kept.started = this.#bringUp(kept);
    return kept;
  }

  async #bringUp(kept: Kept): Promise<void> {
    const { service } = kept;
    try {
      for (const host of kept.hosts) {
        await host.start(kept.abort.signal);
        const link = this.#faults?.wrap(host.link, service) ?? host.link;
        kept.links.push(link);
        this.#site.directory.add(service, link);
      }
    } catch (error) {
      await this.#end(kept);
      throw error;
    }
  }

  async #end(kept: Kept): Promise<void> {
    const { service, abort, links, hosts } = kept;
    if (this.#kept.get(service) === kept) this.#kept.delete(service);
    for (const link of links) this.#site.directory.remove(service, link);
    abort.abort(fail("start_aborted", { service }));
    for (const host of hosts) await host.stop();
  }
}
