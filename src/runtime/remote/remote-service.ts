import type { Clock, Timer } from "../../base/clock.js";
import type { Logger } from "../../base/logger.js";
import { RepeatPace } from "../../base/repeat-pace.js";
import type { ReplicaLink } from "../../call/link.js";
import { fail } from "../../failure/failures.js";
import type { ServingError } from "../../failure/serving-error.js";
import { copyError } from "../../failure/to-serving-error.js";
import type { ServiceLinks } from "../../handle/directory.js";
import type { RemoteFigures, RemoteProblem } from "../../observe/call-stats.js";
import { formatAddress, type RemoteAddress } from "../../options/address-types.js";
import type { LivenessSettings } from "../../options/settings.js";
import type { EdgeSecurity } from "../../transport/edge-security.js";
import { SocketChannel } from "../../transport/socket-channel.js";
import { LinkPolicy, type NamedAddress } from "./link-policy.js";
import { NameBook } from "./name-book.js";
import { openSocket, type resolveNames } from "./open-socket.js";
import { type ConnectionWatcher, type OwnContract, RemoteConnection } from "./remote-connection.js";

// Links of one thread to the replicas of a service that runs elsewhere.
//
// NL1  A link is in the directory from its hello until it drains, is silent, is retired or ends.
// NL2  An attempt to connect ends within `connectTimeoutMs`, the hello included.
// NL3  While no address can be reached, calls wait as for a replica that is being started. While all that answer have a
//      contract that does not fit, calls fail at once with that reason.

/** Time without a link after which the service counts as out of reach; a callee that is replaced is back before. */
const patienceMs = 2_000;

/** Surroundings of a remote service, the same for all of one thread. */
export interface RemoteServiceDeps {
  readonly security: EdgeSecurity;
  readonly clock: Clock;
  readonly log: Logger;
  /** Id of this thread or process. */
  readonly caller: string;
  readonly zone: string;
  readonly resolveMs: number;
  readonly connectTimeoutMs: number;
  readonly random: () => number;
  /** Puts the faults of a test around a link. */
  readonly wrap: (link: ReplicaLink, service: string) => ReplicaLink;
  /** Resolves names. Replaced in tests. */
  readonly resolve: typeof resolveNames;
}

/** One service that runs elsewhere. */
interface RemoteServiceOrder {
  readonly addresses: readonly RemoteAddress[];
  readonly liveness: LivenessSettings;
  readonly contract: OwnContract;
  /** Its entry in the directory of this thread. */
  readonly links: ServiceLinks;
  readonly figures: RemoteFigures;
}

export class RemoteService {
  readonly #order: RemoteServiceOrder;
  readonly #deps: RemoteServiceDeps;
  readonly #policy: LinkPolicy;
  readonly #names: NameBook;
  readonly #connections = new Map<number, RemoteConnection>();
  /** Links as calls reach them: with the faults of a test around them, if there are some. */
  readonly #links = new WeakMap<RemoteConnection, ReplicaLink>();
  /** Gives up attempts whose socket is not open yet. */
  readonly #attempts = new Map<number, () => void>();
  readonly #pace = new RepeatPace();
  #timer: Timer | undefined;
  #isResolving = false;
  #isClosed = false;
  /** Time since which there has been no link. */
  #lostAt: number;
  #wasReached = false;
  #problem: string | undefined;
  #unfit: ServingError | undefined;
  #setTried!: () => void;
  /** Resolves after the first attempt, however it ended. */
  readonly tried: Promise<void>;

  constructor(order: RemoteServiceOrder, deps: RemoteServiceDeps) {
    this.#order = order;
    this.#deps = deps;
    this.#policy = new LinkPolicy(deps.random);
    this.#names = new NameBook(deps.resolveMs);
    this.#lostAt = deps.clock.now();
    this.tried = new Promise((resolve) => {
      this.#setTried = resolve;
    });
    order.figures.read = () => ({ addresses: this.#policy.addresses, links: this.#policy.readyLinks });
    order.links.explain = () => this.#problem ?? `no replica at ${this.addresses.join(", ")} takes calls`;
    this.#step();
  }

  get service(): string {
    return this.#order.contract.service;
  }

  /** Addresses, as they were given. */
  get addresses(): string[] {
    return this.#order.addresses.map(formatAddress);
  }

  get readyLinks(): number {
    return this.#policy.readyLinks;
  }

  get announced(): number {
    return this.#policy.announced;
  }

  /** True from the first link on, until there has been none for a while. */
  get isReady(): boolean {
    return this.#policy.readyLinks > 0 || (this.#wasReached && this.obstacle === undefined);
  }

  /** Describes why it can't be reached; `undefined` while it can, and before that has lasted long enough. */
  get obstacle(): string | undefined {
    if (this.#policy.readyLinks > 0) return undefined;
    if (this.#unfit !== undefined) return this.#unfit.message;
    if (this.#problem === undefined || this.#deps.clock.now() - this.#lostAt < patienceMs) return undefined;
    return this.#failure(this.#problem).message;
  }

  /** Retires all links, and begins nothing more. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.clear();
    for (const giveUp of this.#attempts.values()) giveUp();
    this.#attempts.clear();
    for (const connection of this.#connections.values()) this.#retire(connection);
    this.#order.figures.read = undefined;
    this.#setTried();
  }

  /** Takes the steps that are due now, and sets the timer for the next ones. */
  #step(): void {
    if (this.#isClosed) return;
    const { clock } = this.#deps;
    const now = clock.now();
    if (now >= this.#names.nextAt && !this.#isResolving) void this.#resolve();
    const { open, retire, nextAt } = this.#policy.decide(now);
    for (const id of retire) this.#leave(id);
    for (const { id, address } of open) this.#open(id, address);
    this.#timer?.clear();
    const next = Math.min(nextAt, this.#isResolving ? Number.POSITIVE_INFINITY : this.#names.nextAt);
    this.#timer = Number.isFinite(next) ? clock.setTimer(() => this.#step(), Math.max(1, next - now)) : undefined;
  }

  async #resolve(): Promise<void> {
    const { clock, resolve } = this.#deps;
    this.#isResolving = true;
    this.#names.begin(clock.now());
    const results = await resolve(this.#order.addresses, clock);
    this.#isResolving = false;
    if (this.#isClosed) return;
    const now = clock.now();
    this.#policy.resolved(now, this.#names.note(now, results));
    const { problem } = this.#names;
    if (problem !== undefined) this.#fail("name", problem);
    this.#step();
  }

  #open(id: number, address: NamedAddress): void {
    const { clock, security, connectTimeoutMs } = this.#deps;
    const limit = clock.setTimer(() => {
      const problem = `it did not answer within ${connectTimeoutMs} ms`;
      const giveUp = this.#attempts.get(id);
      this.#attempts.delete(id);
      giveUp?.();
      if (giveUp === undefined) this.#connections.get(id)?.cut(this.#failure(problem));
      else this.#noteFailure(id, "timeout", `${address.key}: ${problem}`);
    }, connectTimeoutMs);
    const giveUp = openSocket(address, security, {
      onOpen: (socket) => {
        this.#attempts.delete(id);
        const channel = new SocketChannel(socket, undefined);
        this.#greet(id, address, channel, () => limit.clear());
      },
      onFailure: (problem) => {
        this.#attempts.delete(id);
        limit.clear();
        this.#noteFailure(id, "connect", `${address.key}: ${problem}`);
      },
    });
    this.#attempts.set(id, () => {
      limit.clear();
      giveUp();
    });
  }

  #greet(id: number, address: NamedAddress, channel: SocketChannel, onGreeted: () => void): void {
    const { clock, caller, zone } = this.#deps;
    const { contract, liveness, links } = this.#order;
    let isIn = false;
    let state: "new" | "open" | "draining" | "unwanted" = "new";
    const setIn = (asked: boolean) => {
      // One that drains, or that was retired, takes no call however well it answers.
      const wanted = asked && state === "open" && this.#links.has(connection);
      if (isIn === wanted) return;
      isIn = wanted;
      if (wanted) links.add(link);
      else links.remove(link);
      if (wanted) this.#reached();
      else if (this.#policy.readyLinks === 0) this.#lostAt = clock.now();
    };
    const watcher: ConnectionWatcher = {
      opened: (hello) => {
        onGreeted();
        state = this.#policy.opened(clock.now(), id, hello) && !this.#isClosed ? "open" : "unwanted";
        setIn(state === "open");
        this.#step();
        return state === "open";
      },
      draining: () => {
        state = "draining";
        this.#policy.draining(clock.now(), id);
        setIn(false);
        // The replica waits for its callers to leave: a call that crossed with its word still gets an answer.
        connection.retire();
        this.#names.hurry();
        this.#step();
      },
      silent: (isSilent) => {
        this.#policy.silent(id, isSilent);
        if (isSilent) this.#fail("silent", `${address.key} does not answer`);
        setIn(!isSilent);
        this.#step();
      },
      announced: (replicas) => {
        if (this.#policy.announce(id, replicas)) this.#step();
      },
      closed: (reason) => {
        onGreeted();
        this.#connections.delete(id);
        if (state === "unwanted") return;
        const problem = `${address.key}: ${reason === undefined ? "the other side hung up" : problemOf(reason)}`;
        this.#policy.lost(clock.now(), id);
        setIn(false);
        if (state === "new") this.#noteFailure(id, kindOf(reason), problem, reason);
        else this.#noteLoss(reason === undefined ? undefined : problem);
      },
    };
    const connection = new RemoteConnection(channel, { contract, caller, zone, clock, limits: liveness }, watcher);
    const link = this.#deps.wrap(connection, this.service);
    this.#connections.set(id, connection);
    this.#links.set(connection, link);
  }

  /** @param problem Absent where the other side ended the link in order. */
  #noteLoss(problem: string | undefined): void {
    if (problem !== undefined) this.#fail("lost", problem);
    this.#names.hurry();
    this.#step();
  }

  #leave(id: number): void {
    this.#attempts.get(id)?.();
    this.#attempts.delete(id);
    const connection = this.#connections.get(id);
    if (connection !== undefined) this.#retire(connection);
  }

  #retire(connection: RemoteConnection): void {
    const link = this.#links.get(connection);
    this.#links.delete(connection);
    if (link !== undefined) this.#order.links.remove(link);
    connection.retire();
  }

  /** Notes an attempt that failed, and takes the steps that follow. */
  #noteFailure(id: number, kind: RemoteProblem, problem: string, reason?: ServingError): void {
    const { clock } = this.#deps;
    const unfit = kind === "contract" ? reason : undefined;
    this.#policy.failed(clock.now(), id, unfit === undefined ? "failed" : "unfit");
    if (unfit !== undefined) this.#unfit = unfit;
    this.#fail(kind, problem);
    if (unfit !== undefined && this.#policy.readyLinks === 0) this.#refuse(unfit);
    this.#names.hurry();
    this.#step();
  }

  #fail(kind: RemoteProblem, problem: string): void {
    const { log, clock } = this.#deps;
    const { figures } = this.#order;
    const { service } = this;
    this.#problem = problem;
    figures.failures.set(kind, (figures.failures.get(kind) ?? 0) + 1);
    this.#setTried();
    log.debug({ service, problem, reason: kind }, `a link to ${service} failed: ${problem}`);
    if (this.obstacle === undefined || !this.#pace.isDue(clock.now())) return;
    log.warn({ service, addresses: this.addresses, problem, reason: kind }, `${this.obstacle}; it is tried again`);
  }

  /** Makes calls fail at once: what answers there does not fit (NL3). */
  #refuse(unfit: ServingError): void {
    this.#order.links.block(() => copyError(unfit, {}));
  }

  #reached(): void {
    const { log } = this.#deps;
    const { service } = this;
    if (this.#pace.wasTold) log.info({ service }, `${service} was reached again`);
    this.#pace.reset();
    this.#wasReached = true;
    this.#problem = undefined;
    this.#unfit = undefined;
    this.#setTried();
  }

  #failure(problem: string): ServingError {
    const { service, addresses } = this;
    return fail("service_unreachable", { service, addresses, problem }, { service });
  }
}

function kindOf(reason: ServingError | undefined): RemoteProblem {
  if (reason?.id === "contract_differs" || reason?.id === "invalid_contract_form") return "contract";
  return reason?.id === "service_unreachable" ? "timeout" : "hello";
}

/** Problem that a failure of this file names, or the message of any other. */
const problemOf = ({ id, message, details }: ServingError): string =>
  id === "service_unreachable" ? String(details["problem"]) : message;
