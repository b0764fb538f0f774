import net from "node:net";
import type { MessagePort } from "node:worker_threads";
import type { Channel } from "../transport/channel.js";
import { PortChannel } from "../transport/port-channel.js";
import { SocketChannel } from "../transport/socket-channel.js";
import type { Replica } from "./replica.js";
import { ChannelServer } from "./serve-channel.js";

/** Takes the channels of a replica's callers in other threads and processes. */
export class ReplicaListener {
  readonly #replica: Replica;
  readonly #slabFolder: string | undefined;
  readonly #servers = new Set<ChannelServer>();
  #server: net.Server | undefined;

  constructor(replica: Replica, slabFolder: string | undefined) {
    this.#replica = replica;
    this.#slabFolder = slabFolder;
  }

  /** Listens on a Unix socket; its folder decides who may connect. */
  async listen(address: string): Promise<void> {
    const server = net.createServer((socket) => this.#serve(new SocketChannel(socket, this.#slabFolder)));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(address, resolve);
    });
  }

  accept(port: MessagePort): void {
    this.#serve(new PortChannel(port));
  }

  announceDrain(): void {
    for (const server of this.#servers) server.announceDrain();
  }

  close(): void {
    this.#server?.close();
    for (const server of this.#servers) server.close();
  }

  #serve(channel: Channel): void {
    this.#servers.add(new ChannelServer(channel, this.#replica, (ended) => this.#servers.delete(ended)));
  }
}
