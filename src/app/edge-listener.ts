import net from "node:net";
import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { RepeatPace } from "../base/repeat-pace.js";
import { systemProblem } from "../failure/read-thrown.js";
import { listenFailure } from "../http/listen-failure.js";
import { formatSocketAddress, type SocketAddress } from "../options/address-types.js";
import type { ReplicaHost } from "../placement/placement.js";
import { EdgeDoor, edgeLimits } from "../runtime/edge-door.js";
import type { Runtime } from "../runtime/runtime.js";
import type { ReplicaRegistry } from "../supervisor/replica-registry.js";
import type { BoundSocket } from "./bound-socket.js";

// Port at which callers in other apps connect. Each connection goes to one of the ready replicas.
//
// EL1  A connection is handed over before a byte of it was read, so that no call passes this process. Only for a
//      replica in a thread, which can't take it, TLS ends here and the bytes are piped.
// EL2  Ready replicas get connections in turn. One that has not taken its last one yet, since its event loop is busy,
//      is left out.
// EL3  Connections that no replica can take wait, bounded in number and in time; the oldest gives way. After that the
//      caller hears that its connection has ended.

/** Connections that wait for a replica. */
const maxWaiting = 256;

/** Least time that a connection waits: a replica that is ready may still take the one before. */
const leastWaitMs = 1_000;

/** Time to send the last bytes of a piped connection whose other end has closed. */
const flushMs = 5_000;

/** Threads for which the connections of this process suffice. */
const maxThreads = 64;

/** Constructor arguments of `EdgeListener`. */
interface EdgeListenerDeps {
  /** Name of the service that is called. */
  readonly service: string;
  /** Runtime of the main thread. */
  readonly runtime: Runtime;
  readonly registry: ReplicaRegistry;
}

export class EdgeListener {
  readonly #readyHosts: () => readonly ReplicaHost[];
  readonly #runtime: Runtime;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Longest wait for a replica that can take a connection, in milliseconds. */
  readonly #waitMs: number;
  readonly #server = net.createServer({ pauseOnConnect: true }, (socket) => this.#receive(socket));
  /** Oldest first. */
  readonly #waiting = new Map<net.Socket, Timer>();
  /** Replicas that were given a connection and have not said that they have it. */
  readonly #busy = new Set<ReplicaHost>();
  readonly #pace = new RepeatPace();
  /** Secures connections for replicas in threads. */
  readonly #door: EdgeDoor;
  /** Both ends of the connections that are piped. */
  readonly #piped = new Set<net.Socket>();
  #turn = 0;

  constructor({ service, runtime, registry }: EdgeListenerDeps) {
    const { edgeSecurity: security, time, settings } = runtime;
    const { clock } = time;
    this.#runtime = runtime;
    this.#clock = clock;
    this.#log = runtime.log.child({ service });
    this.#waitMs = Math.max(leastWaitMs, runtime.settingsOf(service).waitForReplicaMs);
    this.#readyHosts = () => registry.readyHosts(service);
    registry.onChange = (changed) => {
      if (changed === service) this.#noteChange();
    };
    const limits = { ...edgeLimits, connections: settings.server.maxRemoteConnections * maxThreads };
    this.#door = new EdgeDoor({ security, limits, clock, log: this.#log });
  }

  /**
   * Listens.
   *
   * @param address Host and port of the option `listen`.
   * @param bound Socket that was bound to it before. Default: it is bound now.
   * @returns Address for callers on this machine: `"tls://127.0.0.1:7000"`.
   * @throws {ServingError} See `listenFailure`.
   */
  async listen(address: SocketAddress, bound?: BoundSocket): Promise<{ readonly url: string; readonly port: number }> {
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(listenFailure(error, { ...address, isEdge: true })));
      if (bound === undefined) server.listen(address.port, address.host, resolve);
      else server.listen(bound.handle, resolve);
    });
    server.removeAllListeners("error");
    server.on("error", (error) => this.#noteLoss(`it can't be accepted: ${systemProblem(error)}`));
    const { port } = server.address() as net.AddressInfo;
    const host = address.host === "0.0.0.0" ? "127.0.0.1" : address.host === "::" ? "::1" : address.host;
    return { url: `${this.#runtime.edgeSecurity.isOn ? "tls" : "tcp"}://${formatSocketAddress({ host, port })}`, port };
  }

  /** Takes no connection any more. Those that wait are ended; those that replicas have stay. */
  stop(): void {
    this.#server.close();
    for (const [socket, timer] of this.#waiting) {
      timer.clear();
      socket.destroy();
    }
    this.#waiting.clear();
    this.#door.close();
  }

  /** Ends the connections that are piped: their replicas have stopped. */
  close(): void {
    this.stop();
    for (const socket of this.#piped) this.#endSoon(socket);
  }

  /** Tells all replicas how many there are, and hands out connections that wait: the ready replicas have changed. */
  #noteChange(): void {
    const hosts = this.#readyHosts();
    for (const host of hosts) host.noteSiblings?.(hosts.length);
    this.#handOut();
  }

  #receive(socket: net.Socket): void {
    socket.on("error", () => {});
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size >= maxWaiting && oldest !== undefined) this.#drop(oldest, `${maxWaiting} others wait`);
    const late = () => this.#drop(socket, `no replica took it within ${this.#waitMs} ms`);
    this.#waiting.set(socket, this.#clock.setTimer(late, this.#waitMs));
    this.#handOut();
  }

  #drop(socket: net.Socket, problem: string): void {
    this.#take(socket);
    socket.destroy();
    this.#noteLoss(problem);
  }

  /** Takes a connection out of those that wait. */
  #take(socket: net.Socket): void {
    this.#waiting.get(socket)?.clear();
    this.#waiting.delete(socket);
  }

  /** Notes a connection that was lost before any replica had it. */
  #noteLoss(problem: string): void {
    if (!this.#pace.isDue(this.#clock.now())) return;
    this.#log.warn({ problem }, `a connection of another app was ended: ${problem}`);
  }

  #handOut(): void {
    for (const socket of [...this.#waiting.keys()]) {
      const host = this.#nextHost();
      if (host === undefined) return;
      this.#take(socket);
      this.#give(host, socket);
    }
  }

  #nextHost(): ReplicaHost | undefined {
    const hosts = this.#readyHosts();
    for (let i = 0; i < hosts.length; i++) {
      const host = hosts[this.#turn++ % hosts.length] as ReplicaHost;
      if (!this.#busy.has(host)) return host;
    }
    return undefined;
  }

  #give(host: ReplicaHost, socket: net.Socket): void {
    if (socket.destroyed) return;
    const { edgeAddress } = host;
    if (edgeAddress !== undefined) {
      this.#door.receive(socket, (secured, { greeted }) => {
        greeted();
        this.#pipe(secured, edgeAddress);
      });
      return;
    }
    this.#busy.add(host);
    const taken = host.acceptRemote?.(socket) ?? Promise.reject(new Error("the replica takes no connections"));
    void taken
      .catch((error: Error) => {
        socket.destroy();
        this.#noteLoss(error.message);
      })
      .finally(() => {
        this.#busy.delete(host);
        this.#handOut();
      });
  }

  #endSoon(socket: net.Socket): void {
    socket.destroySoon();
    if (!socket.destroyed) this.#clock.setTimer(() => socket.destroy(), flushMs);
  }

  #pipe(secured: net.Socket, address: string): void {
    const inner = net.connect(address);
    for (const [one, other] of [
      [secured, inner],
      [inner, secured],
    ] as const) {
      this.#piped.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        this.#piped.delete(one);
        this.#endSoon(other);
      });
      one.pipe(other);
    }
  }
}
