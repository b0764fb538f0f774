import { type BoundSocket, bindSocket } from "../../app/bound-socket.js";
import { ServingError } from "../../failure/serving-error.js";

/** The sockets that versions of an app serve on, one after another. They stay bound while no version answers. */
export class SharedSockets {
  readonly #bound = new Map<string, Promise<BoundSocket>>();

  /** The socket of an address; the same one each time, also for port 0. @throws {ServingError} `port_in_use`. */
  bind(host: string, port: number): Promise<BoundSocket> {
    const key = `${host} ${port}`;
    const known = this.#bound.get(key);
    if (known !== undefined) return known;
    const bound = this.#bindNew(host, port);
    this.#bound.set(key, bound);
    bound.catch(() => this.#bound.delete(key));
    return bound;
  }

  /** Gives back every socket but the one that serves now. */
  async keepOnly(url: string): Promise<void> {
    for (const [key, pending] of [...this.#bound]) {
      const socket = await pending.catch(() => undefined);
      if (socket === undefined || socket.url === url) continue;
      this.#bound.delete(key);
      socket.close();
    }
  }

  async #bindNew(host: string, port: number): Promise<BoundSocket> {
    const others = await Promise.allSettled(this.#bound.values());
    try {
      const socket = await bindSocket(host, port);
      if (socket !== undefined) return socket;
    } catch (error) {
      const isOwn = others.some((other) => other.status === "fulfilled" && other.value.port === port);
      if (!isOwn || !(error instanceof ServingError)) throw error;
      throw new Error(`port ${port} is bound to another host until this command is ended and started again`);
    }
    throw new Error(`this Node (${process.versions.node}) can't share a socket between processes, which --watch needs`);
  }
}
