import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { systemClock } from "../../src/base/clock.js";
import { silentLogger } from "../../src/base/logger.js";
import { systemTime } from "../../src/call/call-scope.js";
import type { ServingError } from "../../src/failure/serving-error.js";
import type { ChannelReader } from "../../src/transport/channel.js";
import { type EdgeFiles, EdgeSecurity } from "../../src/transport/edge-security.js";
import { type Frame, frameKinds } from "../../src/transport/frame.js";
import { PeerLink } from "../../src/transport/peer-link.js";
import {
  createCallerHello,
  createContractFrame,
  type ReplicaHello,
  readReplicaHello,
} from "../../src/transport/remote-hello.js";
import { SocketChannel } from "../../src/transport/socket-channel.js";
import { type CallWish, openCall } from "../transport/open-call.js";
import { openItems } from "../transport/open-items.js";

/** Digest of no contract: each side then sends its own. */
const noContract = "0".repeat(32);

/** Opens a connection to a callee: `tls://` by these files, or `tcp://`. Resolves when it is secured. */
async function openConnection(url: string, files: EdgeFiles = {}): Promise<net.Socket> {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, "");
  if (protocol === "tcp:") {
    const socket = net.connect(Number(port), host);
    await once(socket, "connect");
    return socket;
  }
  const security = new EdgeSecurity({ files, clock: systemClock, log: silentLogger });
  const socket = tls.connect({ host, port: Number(port), ...security.clientOptions(host) });
  await once(socket, "secureConnect");
  return socket;
}

/** One link to a replica in another app, as that app would open it. */
export class TestCaller implements ChannelReader, AsyncDisposable {
  /** Hello of the replica. */
  hello!: ReplicaHello;
  link!: PeerLink;
  /** Resolves when the replica says that it drains. */
  readonly draining: Promise<void>;
  /** Resolves with the reason, if there is one, when the connection has ended. */
  readonly ended: Promise<ServingError | undefined>;
  readonly #channel: SocketChannel;
  #opened!: () => void;
  #setDraining!: () => void;
  #setEnded!: (reason: ServingError | undefined) => void;

  private constructor(socket: net.Socket, service: string) {
    this.draining = new Promise((resolve) => (this.#setDraining = resolve));
    this.ended = new Promise((resolve) => (this.#setEnded = resolve));
    this.#channel = new SocketChannel(socket, undefined);
    this.#channel.open(this);
    this.#channel.send(createCallerHello({ service, caller: "test", contract: noContract }));
  }

  /** Connects, and resolves after both hellos. @throws The reason with which the callee refuses. */
  static async open(url: string, service: string, files?: EdgeFiles): Promise<TestCaller> {
    const caller = new TestCaller(await openConnection(url, files), service);
    const opened = new Promise<void>((resolve) => (caller.#opened = resolve));
    const refused = caller.ended.then((reason) => {
      throw reason ?? new Error("the callee hung up before its hello");
    });
    await Promise.race([opened, refused]);
    refused.catch(() => {});
    return caller;
  }

  /** Calls an api. */
  call(api: string, input?: unknown, wish: CallWish = {}): Promise<unknown> {
    const { scope, answer } = openCall(api, input, { service: this.hello.service, time: systemTime, ...wish });
    this.link.send(scope);
    return answer;
  }

  /** Calls an api that yields items. */
  read(api: string, input?: unknown): AsyncIterable<unknown> {
    return openItems(this.link, openCall(api, input, { service: this.hello.service, time: systemTime }).scope);
  }

  receive(frame: Frame): void {
    if (this.hello === undefined) {
      this.hello = readReplicaHello(frame);
      const watcher = {
        opened: () => {},
        draining: () => this.#setDraining(),
        closed: (reason: ServingError | undefined) => this.#setEnded(reason),
      };
      this.link = new PeerLink(this.hello.replica, this.#channel, watcher, true);
      this.#channel.send(createContractFrame({}) as Frame);
    } else if (frame.kind === frameKinds.contract) {
      this.#opened();
    } else if (frame.kind !== frameKinds.load) {
      this.link.receive(frame);
    }
  }

  closed(reason: ServingError | undefined): void {
    if (this.hello === undefined) this.#setEnded(reason);
    else this.link.closed(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel.close();
    await this.ended;
  }
}
