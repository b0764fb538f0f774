import type { ReplicaLink } from "../call/link.js";
import type { GrantedResources } from "../define/lifecycle.js";
import { fail } from "../failure/fail.js";
import type { Faults } from "./faults.js";
import { InlineHost } from "./inline.js";
import type { Site } from "./site.js";

// The inline services of a site, which live beside the replicas that call them.
//
// C1  Those that several replicas need are there once, started by the first and stopped after the last.
// C2  One that fails to start fails every replica that waits for it, and is begun anew by the next.

/** What a replica needs beside it. */
export interface CompanionWish {
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
