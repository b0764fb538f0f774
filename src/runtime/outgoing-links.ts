import net from "node:net";
import type { MessagePort } from "node:worker_threads";
import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { GrowingPause } from "../base/repeat-pace.js";
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

// Links of one thread to the replicas that it may call. Only this file adds links to the directory and removes them.
//
// UL1  A link is in the directory only after the other side's hello, until it drains, is retired or ends.
// UL2  A link that ends while its replica is still announced is opened again, after a pause that grows.
// UL3  A retired link ends after its last call. When its replica is announced again, it gets a new link: links of a
//      replica that is silent now and then would pile up otherwise.

/** Pauses between attempts to reach a replica that is announced but does not answer: first and longest. */
const firstPauseMs = 20;
const maxPauseMs = 1_000;

/** Constructor arguments of `OutgoingLinks`. */
interface OutgoingLinksDeps {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly log: Logger;
  /** Counts failed attempts to reach a replica. */
  readonly stats: Pick<CallStats, "countLinkFailure">;
  /** Folder in memory through which large tensors pass. */
  readonly slabFolder: string | undefined;
  /** Files with the largest values of this thread. */
  readonly files?: FileStore | undefined;
  /** Faults that calls over these links meet in a test. */
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
  /** Retired links with open calls. */
  readonly #leaving = new Set<KeptLink>();
  readonly #forget = (link: KeptLink) => this.#leaving.delete(link);

  constructor(deps: OutgoingLinksDeps) {
    this.#deps = deps;
  }

  apply(update: LinkUpdate): void {
    const { directory, faults, local } = this.#deps;
    if (update.kind === "faults") {
      faults?.replaceAll(update.faults as readonly FaultNotice[]);
      return;
    }
    const links = directory.of(update.service);
    switch (update.kind) {
      case "add":
        this.#keep(new FarLink(update, createSocketConnector(update.address, this.#deps), this.#deps, this.#forget));
        return;
      case "add-port":
        this.#keep(new FarLink(update, createPortConnector(update.port), this.#deps, this.#forget));
        return;
      case "add-local": {
        const link = local?.find(update.replica);
        if (link !== undefined) this.#keep(new NearLink(update, link, this.#deps, this.#forget));
        return;
      }
      case "remove":
        this.#drop(update.replica);
        return;
      case "forget":
        for (const { service, replica } of this.#links.values()) if (service === update.service) this.#drop(replica);
        links.reopen();
        return;
      case "abandoned":
        for (const link of this.#leaving) if (link.replica === update.replica) link.abandon(update.reason);
        return;
      case "failed":
        links.giveUp(update);
        return;
      case "draining":
        links.close();
        return;
      case "planned":
        links.planned = update.replicas;
    }
  }

  /**
   * Adds a link to a replica of this thread that the registry does not announce.
   *
   * @returns A function that removes it.
   */
  addOwn(service: string, link: ReplicaLink): () => void {
    const entry = new DirectoryEntry(service, this.#deps);
    entry.add(link);
    return () => entry.remove();
  }

  /** Resolves when each announced replica of these services can be called or was tried once. Default: all services. */
  async settled(services?: readonly string[]): Promise<void> {
    const links = [...this.#links.values()].filter(({ service }) => services?.includes(service) !== false);
    await Promise.all(links.map((link) => link.tried));
  }

  /** Services that can't be called from here although replicas of theirs are ready, each with the problem. */
  get obstacles(): Obstacle[] {
    const links = [...this.#links.values()];
    const isCut = ({ service }: KeptLink) => this.#deps.directory.of(service).links.length === 0;
    return links.flatMap((link) => {
      const { service, obstacle } = link;
      return obstacle !== undefined && isCut(link) ? [{ service, problem: obstacle }] : [];
    });
  }

  close(): void {
    for (const link of this.#links.values()) link.retire();
    this.#links.clear();
  }

  #keep(link: KeptLink): void {
    this.#retire(link.replica);
    this.#links.set(link.replica, link);
    link.open();
  }

  #drop(replica: string): void {
    this.#retire(replica);
    this.#links.delete(replica);
  }

  #retire(replica: string): void {
    const link = this.#links.get(replica);
    if (link === undefined) return;
    this.#leaving.add(link);
    link.retire();
  }
}

interface KeptLink {
  readonly service: string;
  readonly replica: string;
  /** Problem that has kept the link from opening for a while. */
  readonly obstacle: string | undefined;
  /** Resolves after the first attempt, however it ended. */
  readonly tried: Promise<void>;
  open(): void;
  /** Takes no new call. Open calls are still answered (UL3). */
  retire(): void;
  /** Fails open calls with the reason for which the replica is about to be killed. */
  abandon(reason: string): void;
}

/** Called once, when a retired link has ended. */
type OnLinkEnd = (link: KeptLink) => void;

/** Entry of one link in the directory. */
class DirectoryEntry {
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

/** Link to a replica in this thread. It needs no connection and loses none. */
class NearLink implements KeptLink {
  readonly service: string;
  readonly replica: string;
  readonly obstacle = undefined;
  readonly tried = Promise.resolve();
  readonly #link: ReplicaLink;
  readonly #isPreferred: boolean;
  readonly #entry: DirectoryEntry;
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
    this.#entry = new DirectoryEntry(service, deps);
    this.#onEnd = onEnd;
  }

  open(): void {
    this.#entry.add(this.#link, this.#isPreferred);
  }

  retire(): void {
    this.#entry.remove();
    this.#onEnd(this);
  }

  /** Does nothing: the replica ends with this thread. */
  abandon(): void {}
}

/** Connects to a replica in another thread or process, as often as needed. */
interface Connector {
  /** Address for the log. */
  readonly address: string;
  connect(): Connection;
  /** Makes no more connections. Those that exist stay open. */
  close(): void;
}

interface Connection {
  readonly channel: Channel;
  /** Reason why the connection failed or ended. */
  readonly problem: () => string;
}

const hangUp = "the other side hangs up";

const createSocketConnector = (address: string, { slabFolder, files }: OutgoingLinksDeps): Connector => ({
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

function createPortConnector(port: MessagePort): Connector {
  const line = new PortLine(port);
  return {
    address: "a thread of this process",
    connect: () => ({ channel: line.connect(), problem: () => hangUp }),
    close: () => line.close(),
  };
}

/** Link to a replica in another thread or process. */
class FarLink implements KeptLink {
  readonly service: string;
  readonly replica: string;
  readonly tried: Promise<void>;
  readonly #connector: Connector;
  readonly #deps: OutgoingLinksDeps;
  readonly #entry: DirectoryEntry;
  readonly #trouble: LinkTrouble;
  #link: PeerLink | undefined;
  readonly #pause = new GrowingPause(firstPauseMs, maxPauseMs);
  #timer: Timer | undefined;
  #isWanted = true;
  #setTried!: () => void;
  readonly #onEnd: OnLinkEnd;

  constructor(
    { service, replica }: { readonly service: string; readonly replica: string },
    connector: Connector,
    deps: OutgoingLinksDeps,
    onEnd: OnLinkEnd,
  ) {
    this.service = service;
    this.replica = replica;
    this.#onEnd = onEnd;
    this.#connector = connector;
    this.#deps = deps;
    this.#entry = new DirectoryEntry(service, deps);
    const { clock, log, stats } = deps;
    const { address } = connector;
    const count = () => stats.countLinkFailure(service);
    this.#trouble = new LinkTrouble({ names: { service, replica }, address, clock, log, count });
    this.tried = new Promise((resolve) => {
      this.#setTried = resolve;
    });
  }

  open(): void {
    this.#timer = undefined;
    let isOpened = false;
    const { channel, problem } = this.#connector.connect();
    const { service, replica } = this;
    const { address } = this.#connector;
    const { log } = this.#deps;
    const link: PeerLink = new PeerLink(this.replica, channel, {
      opened: () => {
        isOpened = true;
        this.#pause.reset();
        this.#trouble.over();
        if (this.#isWanted) this.#entry.add(link);
        log.debug({ service, replica, address }, `link to ${replica} opened`);
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

  retire(): void {
    this.#isWanted = false;
    this.#entry.remove();
    this.#connector.close();
    // Between two attempts no link exists whose end could be awaited.
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
    logEnd(this.#deps.log, this, reason);
    this.#timer = this.#deps.clock.setTimer(() => this.open(), this.#pause.begin());
  }
}

function logEnd(log: Logger, { service, replica }: KeptLink, reason: ServingError | undefined): void {
  log.debug({ service, replica, problem: reason?.message }, `link to ${replica} lost`);
}
