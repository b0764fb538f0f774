import { MessageChannel, type MessagePort } from "node:worker_threads";
import type { Channel } from "./channel.js";
import { PortChannel } from "./port-channel.js";

/**
 * A port to a replica in another thread, over which the ports of links go there: so a link that has ended can be made anew, as over the
 * address of a socket. It lasts as long as both its threads.
 */
export class PortLine {
  readonly #line: MessagePort;

  constructor(line: MessagePort) {
    this.#line = line;
  }

  /** A new channel to the replica; it ends by itself where there is nobody to take it. */
  connect(): Channel {
    const { port1, port2 } = new MessageChannel();
    this.#line.postMessage(port2, [port2]);
    return new PortChannel(port1);
  }

  /** Makes no more; the channels go on. */
  close(): void {
    this.#line.close();
  }
}
