import { stat } from "node:fs/promises";
import type net from "node:net";
import type { MessagePort } from "node:worker_threads";
import type { Timer } from "../base/clock.js";
import { RepeatPace } from "../base/repeat-pace.js";
import { systemProblem } from "../failure/read-thrown.js";
import type { FileStore } from "../held/file-store.js";
import type { Replica } from "../replica/replica.js";
import { ChannelServer } from "../replica/serve-channel.js";
import type { Channel } from "../transport/channel.js";
import { PortChannel } from "../transport/port-channel.js";
import { SocketChannel } from "../transport/socket-channel.js";
import { CallerSet, listenOnSocket, socketFailure } from "./caller-set.js";

/** Interval of checks that the socket still exists: new callers find it by its path alone. */
const lookIntervalMs = 1_000;

/**
 * Accepts the channels of a replica's callers in other threads and processes. Makes a socket again that was removed.
 */
export class ReplicaListener {
  readonly #replica: Replica;
  readonly #slabFolder: string | undefined;
  readonly #files: FileStore | undefined;
  readonly #callers = new CallerSet();
  readonly #pace = new RepeatPace();
  #server: net.Server | undefined;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(replica: Replica, slabFolder: string | undefined, files?: FileStore) {
    this.#replica = replica;
    this.#slabFolder = slabFolder;
    this.#files = files;
  }

  /** Listens on a Unix socket; its folder decides who may connect. @throws {ServingError} `listen_failed`. */
  async listen(address: string): Promise<void> {
    try {
      await this.#bind(address);
    } catch (error) {
      throw socketFailure(this.#replica, address, error);
    }
    this.#lookLater(address);
  }

  accept(port: MessagePort): void {
    this.#serve(new PortChannel(port));
  }

  announceDrain(): void {
    this.#callers.announceDrain();
  }

  /** Resolves when every call that arrived was answered. */
  answered(): Promise<void> {
    return this.#callers.answered();
  }

  /** Resolves when every caller has closed its channel. Call it once. */
  left(): Promise<void> {
    return this.#callers.left();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.clear();
    this.#server?.close();
    this.#callers.close();
  }

  async #bind(address: string): Promise<void> {
    const server = await listenOnSocket(address, (socket) =>
      this.#serve(new SocketChannel(socket, this.#slabFolder, this.#files)),
    );
    this.#server = server;
    if (this.#isClosed) server.close();
  }

  #lookLater(address: string): void {
    if (this.#isClosed) return;
    const { clock } = this.#replica.deps.time;
    this.#timer = clock.setTimer(() => {
      stat(address)
        .catch((error: NodeJS.ErrnoException) => (isMissing(error.code) ? this.#restore(address) : undefined))
        .finally(() => this.#lookLater(address));
    }, lookIntervalMs);
  }

  /** Makes the socket again. Open connections continue; only new ones need the path. */
  async #restore(address: string): Promise<void> {
    if (this.#isClosed) return;
    const { log, time } = this.#replica.deps;
    // Closing removes the file at the path, so it comes first.
    this.#server?.close();
    this.#server = undefined;
    try {
      await this.#bind(address);
      this.#pace.reset();
      log.warn({ address }, `${address} was removed, most likely by a cleaner of temporary folders, and made again`);
    } catch (error) {
      if (!this.#pace.isDue(time.clock.now())) return;
      const problem = systemProblem(error);
      log.error(
        { address, problem },
        `${address} was removed and can't be made again; new callers can't reach this replica`,
      );
    }
  }

  #serve(channel: Channel): void {
    this.#callers.add(new ChannelServer(channel, this.#replica, this.#callers.remove));
  }
}

/** True for the error code of a path that was removed, or whose folder was. */
const isMissing = (code: string | undefined): boolean => code === "ENOENT" || code === "ENOTDIR";
