import type { Socket } from "node:net";

// Which connections a server keeps when there are more than it may have.
//
// R1  A connection is idle while no request of it is being answered. For one too many, the one that is idle for the longest
//     time is closed.
// R2  Where none is idle, some more are taken all the same: on these, only probes are answered, so that an app under load is
//     not taken for one that is dead. Each closes with its answer, and one that asks nothing makes room for the next.

/** Connections beyond the bound, for probes. */
const spare = 16;

export class ConnectionRoom {
  readonly #max: number;
  /** All that are open. */
  readonly #open = new Set<Socket>();
  /** The one that has been idle for longest first (R1). */
  readonly #idle = new Set<Socket>();
  readonly #spare = new Set<Socket>();
  /** Requests under way, of connections that have several. */
  readonly #pipelined = new Map<Socket, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** As many as the server may have at all. */
  get limit(): number {
    return this.#max + spare + 1;
  }

  /** A connection was opened. */
  enter(socket: Socket): void {
    if (this.#open.size - this.#spare.size >= this.#max) this.#makeRoom(socket);
    this.#open.add(socket);
    this.#idle.add(socket);
    socket.on("close", () => this.#leave(socket));
  }

  /** Whether only probes are answered on it (R2). */
  isSpare(socket: Socket): boolean {
    return this.#spare.size > 0 && this.#spare.has(socket);
  }

  /** A request has come. */
  begin(socket: Socket): void {
    if (this.#idle.delete(socket) || !this.#open.has(socket)) return;
    this.#pipelined.set(socket, (this.#pipelined.get(socket) ?? 1) + 1);
  }

  /** A request was answered. */
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
