import net from "node:net";
import type { MessagePort } from "node:worker_threads";
import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import type { ReplicaLink } from "../call/link.js";
import { systemProblem } from "../failure/read-thrown.js";
import type { ServingError } from "../failure/serving-error.js";
import type { Directory } from "../handle/directory.js";
import type { FileStore } from "../held/file-store.js";
import type { CallStats } from "../observe/call-stats.js";
import type { Obstacle } from "../observe/readiness.js";
import type { LinkUpdate } from "../placement/control.js";
import type { Channel } from "../transport/channel.js";
import { PeerLink } from "../transport/peer-link.js";
import { PortLine } from "../transport/port-channel.js";
import { SocketChannel } from "../transport/socket-channel.js";
import type { FaultNotice, Faults } from "./faults.js";
import { LinkTrouble } from "./link-trouble.js";

// The links of one site to replicas elsewhere.
//
// K1  A link is in the directory only between the other side's hello and the first of: it drains, it is taken back, it ends.
// K2  A link that ends while its replica is still announced is made anew, with a pause that grows.
// K3  A link that is taken back ends after its last call. Its replica may be announced again, and gets a new one then: one
//     that is silent now and then would otherwise collect them.

/** Pauses between attempts to reach a replica that is announced but does not answer. */
const firstPauseMs = 20;
const maxPauseMs = 1_000;

/** What links need of their site. */
export interface OutgoingLinksDeps {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly log: Logger;
  /** Counts attempts to reach a replica that failed. */
  readonly stats: Pick<CallStats, "countLinkFailure">;
  /** Where large tensors cross in memory. */
  readonly slabFolder: string | undefined;
  /** What this process keeps of the largest values. */
  readonly files?: FileStore | undefined;
  /** In a test: the faults that calls over these links meet. */
  readonly faults?: Faults | undefined;
  /** Replicas of this thread that the registry announces. Default: none. */
  readonly local?: LocalReplicas | undefined;
}

/** Replicas of this thread that the registry announces as local. */
export interface LocalReplicas {
  /** Returns the link to a replica, by its id. */
  find(replica: string): ReplicaLink | undefined;
  /** True where other replicas of the same services may live elsewhere. The local one then comes first. */
  readonly isPreferred: boolean;
}

export class OutgoingLinks {
  readonly #deps: OutgoingLinksDeps;
  readonly #links = new Map<string, KeptLink>();
  /** Taken back, with calls still on them. */
  readonly #leaving = new Set<KeptLink>();
  readonly #forget = (link: KeptLink) => this.#leaving.delete(link);

  constructor(deps: OutgoingLinksDeps) {
    this.#deps = deps;
  }

  apply(notice: LinkUpdate): void {
    const { directory, faults, local } = this.#deps;
    if (notice.kind === "faults") {
      faults?.replaceAll(notice.faults as readonly FaultNotice[]);
      return;
    }
    const links = directory.of(notice.service);
    switch (notice.kind) {
      case "add":
        this.#keep(new FarLink(notice, createSocketWay(notice.address, this.#deps), this.#deps, this.#forget));
        return;
      case "add-port":
        this.#keep(new FarLink(notice, createPortWay(notice.port), this.#deps, this.#forget));
        return;
      case "add-local": {
        const link = local?.find(notice.replica);
        if (link !== undefined) this.#keep(new NearLink(notice, link, this.#deps, this.#forget));
        return;
      }
      case "remove":
        this.#drop(notice.replica);
        return;
      case "forget":
        for (const { service, replica } of this.#links.values()) if (service === notice.service) this.#drop(replica);
        links.reopen();
        return;
      case "abandoned":
        for (const link of this.#leaving) if (link.replica === notice.replica) link.abandon(notice.reason);
        return;
      case "failed":
        links.giveUp(notice);
        return;
      case "draining":
        links.close();
        return;
      case "planned":
        links.planned = notice.replicas;
    }
  }

  /** Makes a replica of this thread callable that the registry does not announce to it. @returns Takes the link out again. */
  addOwn(service: string, link: ReplicaLink): () => void {
    const entry = new Entry(service, this.#deps);
    entry.add(link);
    return () => entry.remove();
  }

  /** Resolves when every replica of these services announced so far can be called, or has been tried once. Default: of all. */
  async settled(services?: readonly string[]): Promise<void> {
    const links = [...this.#links.values()].filter(({ service }) => services?.includes(service) !== false);
    await Promise.all(links.map((link) => link.tried));
  }

  /** Why services can't be called from here although replicas of theirs are ready, in words; empty where all can. */
  get obstacles(): Obstacle[] {
    const links = [...this.#links.values()];
    const isCut = ({ service }: KeptLink) => this.#deps.directory.of(service).links.length === 0;
    return links.flatMap((link) => {
      const { service, obstacle } = link;
      return obstacle !== undefined && isCut(link) ? [{ service, problem: obstacle }] : [];
    });
  }

  /** Those of these services. */
  obstaclesTo(services: readonly string[]): Obstacle[] {
    return this.obstacles.filter(({ service }) => services.includes(service));
  }

  close(): void {
    for (const link of this.#links.values()) link.takeBack();
    this.#links.clear();
  }

  #keep(link: KeptLink): void {
    this.#takeBack(link.replica);
    this.#links.set(link.replica, link);
    link.open();
  }

  #drop(replica: string): void {
    this.#takeBack(replica);
    this.#links.delete(replica);
  }

  #takeBack(replica: string): void {
    const link = this.#links.get(replica);
    if (link === undefined) return;
    this.#leaving.add(link);
    link.takeBack();
  }
}

interface KeptLink {
  readonly service: string;
  readonly replica: string;
  /** Why it can't be made, where it could not for a while. */
  readonly obstacle: string | undefined;
  readonly tried: Promise<void>;
  open(): void;
  takeBack(): void;
  /** Its replica is about to be killed, for that reason. */
  abandon(reason: string): void;
}

/** Told once, when a link that was taken back has ended. */
type OnLinkEnd = (link: KeptLink) => void;

/** Puts a link into the directory and takes it out, each at most once. */
class Entry {
  readonly #service: string;
  readonly #deps: OutgoingLinksDeps;
  #link: ReplicaLink | undefined;

  constructor(service: string, deps: OutgoingLinksDeps) {
    this.#service = service;
    this.#deps = deps;
  }

  add(link: ReplicaLink, isLocal = false): void {
    const { directory, faults } = this.#deps;
    this.#link = faults?.wrap(link, this.#service) ?? link;
    directory.add(this.#service, this.#link, isLocal);
  }

  remove(): void {
    if (this.#link !== undefined) this.#deps.directory.remove(this.#service, this.#link);
    this.#link = undefined;
  }
}

/** To a replica in this very thread. There is nothing to be made or lost. */
class NearLink implements KeptLink {
  readonly service: string;
  readonly replica: string;
  readonly obstacle = undefined;
  readonly tried = Promise.resolve();
  readonly #link: ReplicaLink;
  readonly #isPreferred: boolean;
  readonly #entry: Entry;
  readonly #onEnd: OnLinkEnd;

  constructor(
    { service, replica }: { readonly service: string; readonly replica: string },
    link: ReplicaLink,
    deps: OutgoingLinksDeps,
    onEnd: OnLinkEnd,
  ) {
    this.service = service;
    this.replica = replica;
    this.#link = link;
    this.#isPreferred = deps.local?.isPreferred === true;
    this.#entry = new Entry(service, deps);
    this.#onEnd = onEnd;
  }

  open(): void {
    this.#entry.add(this.#link, this.#isPreferred);
  }

  /** Calls in flight are still answered (K3). */
  takeBack(): void {
    this.#entry.remove();
    this.#onEnd(this);
  }

  /** Its replica goes with this thread. */
  abandon(): void {}
}

/** How a replica in another thread or process is reached, as often as it takes. */
interface Way {
  /** What it is, in the log. */
  readonly address: string;
  connect(): Connection;
  /** Nothing more is connected; what is lasts. */
  close(): void;
}

interface Connection {
  readonly channel: Channel;
  /** Why it was not made, or has ended. */
  readonly problem: () => string;
}

const hangUp = "it hangs up";

const createSocketWay = (address: string, { slabFolder, files }: OutgoingLinksDeps): Way => ({
  address,
  connect: () => {
    const socket = net.connect(address);
    let problem = hangUp;
    socket.on("error", (error) => {
      problem = systemProblem(error);
    });
    return { channel: new SocketChannel(socket, slabFolder, files), problem: () => problem };
  },
  close: () => {},
});

function createPortWay(port: MessagePort): Way {
  const line = new PortLine(port);
  return {
    address: "a thread of this process",
    connect: () => ({ channel: line.connect(), problem: () => hangUp }),
    close: () => line.close(),
  };
}

/** To a replica in another thread or process. */
class FarLink implements KeptLink {
  readonly service: string;
  readonly replica: string;
  readonly tried: Promise<void>;
  readonly #way: Way;
  readonly #deps: OutgoingLinksDeps;
  readonly #entry: Entry;
  readonly #trouble: LinkTrouble;
  #link: PeerLink | undefined;
  #pauseMs = firstPauseMs;
  #timer: Timer | undefined;
  #isWanted = true;
  #setTried!: () => void;
  readonly #onEnd: OnLinkEnd;

  constructor(
    { service, replica }: { readonly service: string; readonly replica: string },
    way: Way,
    deps: OutgoingLinksDeps,
    onEnd: OnLinkEnd,
  ) {
    this.service = service;
    this.replica = replica;
    this.#onEnd = onEnd;
    this.#way = way;
    this.#deps = deps;
    this.#entry = new Entry(service, deps);
    const { clock, log, stats } = deps;
    const { address } = way;
    this.#trouble = new LinkTrouble({ replica, address, clock, log, count: () => stats.countLinkFailure(service) });
    this.tried = new Promise((resolve) => {
      this.#setTried = resolve;
    });
  }

  open(): void {
    this.#timer = undefined;
    let isOpened = false;
    const { channel, problem } = this.#way.connect();
    const link: PeerLink = new PeerLink(this.replica, channel, {
      opened: () => {
        isOpened = true;
        this.#pauseMs = firstPauseMs;
        this.#trouble.over();
        if (this.#isWanted) this.#entry.add(link);
        this.#setTried();
      },
      draining: () => this.#entry.remove(),
      closed: (reason) => {
        if (this.#isWanted && !isOpened) this.#trouble.failed(reason?.message ?? problem());
        this.#reopen(reason);
      },
    });
    this.#link = link;
  }

  get obstacle(): string | undefined {
    return this.#trouble.obstacle;
  }

  /** Calls in flight are still answered (K3). */
  takeBack(): void {
    this.#isWanted = false;
    this.#entry.remove();
    this.#way.close();
    // Between two attempts there is no link to wait for.
    if (this.#timer !== undefined) this.#onEnd(this);
    this.#timer?.clear();
    this.#link?.retire();
  }

  abandon(reason: string): void {
    this.#link?.abandon(reason);
  }

  #reopen(reason: ServingError | undefined): void {
    this.#entry.remove();
    this.#setTried();
    if (!this.#isWanted) {
      this.#onEnd(this);
      return;
    }
    logEnd(this.#deps.log, this.replica, reason);
    this.#timer = this.#deps.clock.setTimer(() => this.open(), this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, maxPauseMs);
  }
}

function logEnd(log: Logger, replica: string, reason: ServingError | undefined): void {
  if (reason !== undefined) log.debug({ replica, problem: reason.message }, "a link ended");
}
