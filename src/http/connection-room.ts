import type { Socket } from "node:net";

// Decides which connections a server keeps when there are more than its bound.
//
// HC1  A connection is idle while none of its requests is being answered. When there is one connection too many, the
//      one that has been idle longest is closed.
// HC2  When none is idle, a few more are accepted, and only probes are answered on these: an app under load must not
//      look dead. Each of them closes with its answer. One that sends no request makes room for the next.

/** Connections beyond the bound, for probes. */
const spare = 16;

export class ConnectionRoom {
  readonly #max: number;
  /** All open connections. */
  readonly #open = new Set<Socket>();
  /** Idle connections, longest idle first (HC1). */
  readonly #idle = new Set<Socket>();
  readonly #spare = new Set<Socket>();
  /** Requests in flight, for connections that have several. */
  readonly #pipelined = new Map<Socket, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Number of connections that the server may have in total. */
  get limit(): number {
    return this.#max + spare + 1;
  }

  /** Counts a connection that was opened. */
  enter(socket: Socket): void {
    if (this.#open.size - this.#spare.size >= this.#max) this.#makeRoom(socket);
    this.#open.add(socket);
    this.#idle.add(socket);
    socket.on("close", () => this.#leave(socket));
  }

  /** True when only probes are answered on the connection (HC2). */
  isSpare(socket: Socket): boolean {
    return this.#spare.size > 0 && this.#spare.has(socket);
  }

  /** Counts a request that arrived. */
  begin(socket: Socket): void {
    if (this.#idle.delete(socket) || !this.#open.has(socket)) return;
    this.#pipelined.set(socket, (this.#pipelined.get(socket) ?? 1) + 1);
  }

  /** Counts a request that was answered. */
  end(socket: Socket): void {
    const count = this.#pipelined.size === 0 ? undefined : this.#pipelined.get(socket);
    if (count === undefined) {
      if (this.#open.has(socket)) this.#idle.add(socket);
    } else if (count > 2) this.#pipelined.set(socket, count - 1);
    else this.#pipelined.delete(socket);
  }

  #makeRoom(socket: Socket): void {
    let oldestSpare: Socket | undefined;
    for (const idle of this.#idle) {
      if (!this.#spare.has(idle)) {
        this.#drop(idle);
        return;
      }
      oldestSpare ??= idle;
    }
    if (this.#spare.size >= spare && oldestSpare !== undefined) this.#drop(oldestSpare);
    this.#spare.add(socket);
  }

  #drop(socket: Socket): void {
    this.#leave(socket);
    socket.destroySoon();
  }

  #leave(socket: Socket): void {
    this.#open.delete(socket);
    this.#idle.delete(socket);
    this.#spare.delete(socket);
    this.#pipelined.delete(socket);
  }
}
