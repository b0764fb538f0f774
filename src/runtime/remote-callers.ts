import type net from "node:net";
import { hostname } from "node:os";
import type { ServingError } from "../failure/serving-error.js";
import type { Replica } from "../replica/replica.js";
import { type RemoteReplica, RemoteServer } from "../replica/serve-remote.js";
import { EdgeSecurity } from "../transport/edge-security.js";
import { SocketChannel } from "../transport/socket-channel.js";
import { CallerSet, listenOnSocket, socketFailure } from "./caller-set.js";
import { EdgeDoor, edgeLimits } from "./edge-door.js";

/** Facts about a replica that other apps call. */
export interface ReplicaEdge {
  readonly security: EdgeSecurity;
  /** Most connections that the replica holds. */
  readonly maxConnections: number;
  /** Id of the run of its app. */
  readonly run: string;
  readonly contract: RemoteReplica["contract"];
  readonly zone: string;
  /**
   * Unix socket at which bytes of connections arrive that the supervisor has secured, for a replica in a thread.
   * Default: the connections themselves are handed over.
   */
  readonly address?: string | undefined;
}

/** Problem of a caller that leaves without a hello. Over TLS it has seen the certificate then. */
const unsaid = "it hung up before its hello; it may not trust the certificate of this app";

/** Characters of the run's id that tell apps with one host name apart. */
const runChars = 8;

// Callers of one replica in other apps.
//
// EC1  A connection that comes once the drain has begun is closed, so that its caller looks for another replica.
// EC2  A drain tells every caller that has said hello, answers what it has called, and closes the others.

/** Accepts the connections of a replica's callers in other apps, until it is closed. */
export class RemoteCallers {
  /** Ready replicas of its service in this app. */
  siblings = 1;
  readonly #replica: Replica;
  readonly #edge: ReplicaEdge;
  readonly #own: RemoteReplica;
  readonly #door: EdgeDoor;
  /** Callers that have said hello. */
  readonly #callers = new CallerSet();
  #server: net.Server | undefined;
  #isDraining = false;

  constructor(replica: Replica, edge: ReplicaEdge) {
    this.#replica = replica;
    this.#edge = edge;
    const { id, descriptor, log, time } = replica.deps;
    this.#own = {
      service: descriptor.name,
      name: `${hostname()}-${edge.run.slice(0, runChars)}/${id}`,
      zone: edge.zone,
      contract: edge.contract,
      countReplicas: () => this.siblings,
    };
    const { clock } = time;
    const security = edge.address === undefined ? edge.security : new EdgeSecurity({ files: {}, clock, log });
    const limits = { ...edgeLimits, connections: edge.maxConnections };
    this.#door = new EdgeDoor({ security, limits, clock, log });
  }

  /** Listens at the Unix socket for secured bytes, if there is one. @throws {ServingError} `listen_failed`. */
  async listen(): Promise<void> {
    const { address } = this.#edge;
    if (address === undefined) return;
    try {
      this.#server = await listenOnSocket(address, (socket) => this.accept(socket));
    } catch (error) {
      throw socketFailure(this.#replica, address, error);
    }
  }

  /** Takes a connection of which no byte was read. */
  accept(socket: net.Socket): void {
    if (this.#isDraining) {
      socket.destroy();
      return;
    }
    this.#door.receive(socket, (secured, { greeted, refused }) => {
      const onHello = () => {
        greeted();
        this.#callers.add(server);
        // The hello crossed with the begin of the drain (EC2).
        if (this.#isDraining) server.announceDrain();
      };
      const onRefused = (reason: ServingError | undefined) => refused(reason?.message ?? unsaid);
      const handlers = { onHello, onRefused, onEnd: this.#callers.remove };
      const channel = new SocketChannel(secured, undefined);
      const { server } = new RemoteServer(channel, this.#replica, this.#own, handlers);
    });
  }

  announceDrain(): void {
    this.#isDraining = true;
    this.#server?.close();
    this.#door.close();
    this.#callers.announceDrain();
  }

  /** Resolves when every call that arrived was answered. */
  answered(): Promise<void> {
    return this.#callers.answered();
  }

  /** Resolves when every caller has closed its connection. Call it once. */
  left(): Promise<void> {
    return this.#callers.left();
  }

  close(): void {
    this.#isDraining = true;
    this.#server?.close();
    this.#callers.close();
    this.#door.end();
  }
}
