import type { Socket } from "node:net";
import tls from "node:tls";
import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { RepeatPace } from "../base/repeat-pace.js";
import { fail } from "../failure/failures.js";
import { writeRefusal } from "../transport/channel.js";
import type { EdgeSecurity } from "../transport/edge-security.js";

// Connections of callers in other apps, from the first byte to the first call.
//
// ED1  A connection is let in only when it is secured, or when this side needs no security: on a loopback address.
// ED2  Connections that have not said hello are bounded in number and in time. The oldest gives way to a new one: a
//      caller says hello within milliseconds, a stranger may never do so.
// ED3  Connections that have said hello are bounded in number; one more is told so and ended.
// ED4  Refusals for one reason share a line of the log, with their number, now and then.

/** Limits of a door; a test sets others. */
export interface EdgeLimits {
  /** Connections that have said hello. */
  readonly connections: number;
  /** Connections that have not said hello. */
  readonly strangers: number;
  /** Longest time to the end of the handshake, in milliseconds. */
  readonly handshakeMs: number;
  /** Longest time from there to the hello, in milliseconds. */
  readonly helloMs: number;
}

export const edgeLimits: Omit<EdgeLimits, "connections"> = { strangers: 256, handshakeMs: 5_000, helloMs: 5_000 };

/** Constructor arguments of `EdgeDoor`. */
interface EdgeDoorDeps {
  readonly security: EdgeSecurity;
  readonly limits: EdgeLimits;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Hears how a connection that was let in begins. One of the two is called, or none if it ends before. */
export interface Welcome {
  /** Its caller has said hello. */
  greeted(): void;
  /** It has ended, or is to be ended, without a hello. */
  refused(problem: string): void;
}

/** Takes a connection that was let in. */
type LetIn = (socket: Socket, welcome: Welcome) => void;

/** A connection that has not said hello yet. */
interface Stranger {
  readonly socket: Socket;
  readonly from: string;
  readonly letIn: LetIn;
  timer: Timer | undefined;
}

/** Probes for silence of the kernel, so that a peer that vanished is noticed even while nothing is sent. */
const keepAliveMs = 30_000;

/** Time to send the last bytes of a connection, such as the reason of a refusal, before it is cut. */
const flushMs = 1_000;

export class EdgeDoor {
  readonly #deps: EdgeDoorDeps;
  readonly #refusals: RefusalLog;
  /** Oldest first. By the remote address and port: a secured connection shares them with the one below it. */
  readonly #strangers = new Map<string, Stranger>();
  readonly #guests = new Set<Socket>();
  #server: tls.Server | undefined;
  /** Version of the keys and certificates that the server has. */
  #version = 0;
  #lastNumber = 0;
  #isClosed = false;

  constructor(deps: EdgeDoorDeps) {
    this.#deps = deps;
    this.#refusals = new RefusalLog(deps.log, deps.clock);
  }

  /**
   * Takes a connection of which no byte was read.
   *
   * @param letIn Called once, when it is secured; not called for one that is refused.
   */
  receive(socket: Socket, letIn: LetIn): void {
    // "close" follows every error.
    socket.on("error", () => {});
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    const { security, limits } = this.#deps;
    const key = security.isOn ? addressOf(socket) : `${++this.#lastNumber}`;
    // The peer has left already.
    if (key === undefined) {
      socket.destroy();
      return;
    }
    this.#makeRoom();
    const stranger: Stranger = { socket, from: socket.remoteAddress ?? "this machine", letIn, timer: undefined };
    this.#strangers.set(key, stranger);
    socket.on("close", () => {
      stranger.timer?.clear();
      if (this.#strangers.get(key) === stranger) this.#strangers.delete(key);
      this.#guests.delete(socket);
    });
    if (!security.isOn) {
      this.#letIn(key, stranger, socket);
      return;
    }
    const late = () => this.#refuse(stranger, `it did not finish the handshake within ${limits.handshakeMs} ms`);
    stranger.timer = this.#deps.clock.setTimer(late, limits.handshakeMs);
    this.#secure().emit("connection", socket);
  }

  /** Ends the connections that have not said hello, and takes no other. */
  close(): void {
    this.#isClosed = true;
    for (const { socket } of this.#strangers.values()) socket.destroy();
  }

  /** Ends all connections. Those whose other side does not answer are cut off after a moment. */
  end(): void {
    this.close();
    if (this.#guests.size === 0) return;
    this.#deps.clock.setTimer(() => {
      for (const socket of this.#guests) socket.destroy();
    }, flushMs);
  }

  #secure(): tls.Server {
    const { security } = this.#deps;
    if (this.#server === undefined) {
      this.#server = tls.createServer(security.serverOptions());
      this.#server.on("secureConnection", (secured) => this.#onSecured(secured));
      this.#server.on("tlsClientError", (error, secured) => this.#onFailed(error, secured));
    } else {
      security.refresh();
      // Callbacks for edge keys always look at the newest ones.
      if (security.version !== this.#version) this.#server.setSecureContext(security.serverOptions());
    }
    this.#version = security.version;
    return this.#server;
  }

  #onSecured(secured: tls.TLSSocket): void {
    const key = addressOf(secured);
    const stranger = key === undefined ? undefined : this.#strangers.get(key);
    if (key === undefined || stranger === undefined) {
      secured.destroy();
      return;
    }
    secured.on("error", () => {});
    const problem = this.#deps.security.findCallerProblem(secured);
    if (problem === undefined) this.#letIn(key, stranger, secured);
    else this.#refuse(stranger, problem, secured);
  }

  #onFailed(error: Error, secured: tls.TLSSocket): void {
    const key = addressOf(secured);
    const stranger = key === undefined ? undefined : this.#strangers.get(key);
    const problem = this.#deps.security.explainHandshake(error, secured);
    // A stranger that is not listed any more was refused before, with its reason.
    if (stranger !== undefined) this.#refuse(stranger, problem);
    secured.destroy();
  }

  /** @param socket The secured connection, or the plain one where none is needed. */
  #letIn(key: string, stranger: Stranger, socket: Socket): void {
    const { limits, clock } = this.#deps;
    stranger.timer?.clear();
    if (this.#guests.size >= limits.connections) {
      const problem = `${limits.connections} connections are open (maxRemoteConnections)`;
      this.#refuse(stranger, problem, socket);
      return;
    }
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveMs);
    const late = () => this.#refuse(stranger, `it said no hello within ${limits.helloMs} ms`, socket);
    stranger.timer = clock.setTimer(late, limits.helloMs);
    const greeted = () => {
      stranger.timer?.clear();
      if (this.#strangers.get(key) === stranger) this.#strangers.delete(key);
      if (!stranger.socket.destroyed) this.#guests.add(stranger.socket);
    };
    const refused = (problem: string) => {
      // One that is not listed any more was refused before, with its reason.
      if (this.#strangers.get(key) !== stranger) return;
      this.#refusals.note(stranger.from, problem);
      stranger.socket.destroy();
    };
    stranger.letIn(socket, { greeted, refused });
    // The connection was accepted paused.
    socket.resume();
  }

  #makeRoom(): void {
    if (this.#strangers.size < this.#deps.limits.strangers) return;
    const [oldest] = this.#strangers.values();
    if (oldest !== undefined) this.#refuse(oldest, `${this.#strangers.size} connections have not said hello`);
  }

  /** @param secured Connection over which the caller can be told; absent where there is none. */
  #refuse(stranger: Stranger, problem: string, secured?: Socket): void {
    this.#refusals.note(stranger.from, problem);
    for (const [key, own] of this.#strangers) if (own === stranger) this.#strangers.delete(key);
    stranger.timer?.clear();
    const { socket } = stranger;
    if (secured === undefined) {
      socket.destroy();
      return;
    }
    writeRefusal(secured, fail("caller_refused", { problem }));
    // Nothing is read any more but its end.
    secured.resume();
    stranger.timer = this.#deps.clock.setTimer(() => socket.destroy(), flushMs);
  }
}

/** @returns `undefined` for a connection whose peer has left. */
function addressOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort}`;
}

/** Reasons that are told apart. Further ones share a line. */
const maxReasons = 32;

/** Log of refused connections (ED4). */
class RefusalLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #reasons = new Map<string, { readonly pace: RepeatPace; count: number }>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  note(from: string, problem: string): void {
    const key = this.#reasons.has(problem) || this.#reasons.size < maxReasons ? problem : "";
    const reason = this.#reasons.get(key) ?? { pace: new RepeatPace(), count: 0 };
    this.#reasons.set(key, reason);
    reason.count++;
    if (!reason.pace.isDue(this.#clock.now())) return;
    const { count } = reason;
    reason.count = 0;
    const others = count === 1 ? "" : `; ${count} since the last such line`;
    const failure = "caller_refused";
    this.#log.warn({ failure, from, problem, count }, `connection from ${from} refused: ${problem}${others}`);
  }
}
