import net from "node:net";
import { dirname } from "node:path";
import { keepOwnFolder } from "../base/own-folder.js";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import type { ServingError } from "../failure/serving-error.js";
import type { Replica } from "../replica/replica.js";
import type { ChannelServer } from "../replica/serve-channel.js";

/** Channels of the callers of one replica, until each has ended. */
export class CallerSet {
  readonly #servers = new Set<ChannelServer>();
  /** Set while a drain waits for the last caller to leave. */
  #onLeft: (() => void) | undefined;

  add(server: ChannelServer): void {
    this.#servers.add(server);
  }

  /** Called when a channel has ended, also one that was never added. */
  readonly remove = (server: ChannelServer): void => {
    this.#servers.delete(server);
    if (this.#servers.size === 0) this.#onLeft?.();
  };

  announceDrain(): void {
    for (const server of this.#servers) server.announceDrain();
  }

  /** Resolves when every call that arrived was answered. */
  async answered(): Promise<void> {
    await Promise.all([...this.#servers].map((server) => server.answered()));
  }

  /** Resolves when every caller has closed its channel. Call it once. */
  async left(): Promise<void> {
    if (this.#servers.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onLeft = resolve;
    });
  }

  close(): void {
    for (const server of this.#servers) server.close();
  }
}

/** Listens on a Unix socket; its folder decides who may connect. @throws {Error} The error of the system. */
export async function listenOnSocket(address: string, accept: (socket: net.Socket) => void): Promise<net.Server> {
  // libuv reports EACCES for a missing folder and EINVAL for a path that is too long.
  keepOwnFolder(dirname(address), true);
  const server = net.createServer(accept);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(address, resolve);
  });
  // A connection that can't be accepted, for lack of file descriptors say, must not end the process. Its caller tries
  // again.
  server.on("error", () => {});
  return server;
}

/** Failure of a replica whose socket can't be listened on. */
export function socketFailure({ deps }: Replica, address: string, error: unknown): ServingError {
  const { id, descriptor } = deps;
  const details = { replica: id, address, problem: systemProblem(error) };
  return fail("listen_failed", details, { service: descriptor.name, cause: error });
}
