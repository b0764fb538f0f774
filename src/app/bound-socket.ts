import { lookup } from "node:dns/promises";
import net from "node:net";
import { getSystemErrorName } from "node:util";
import { bareHost, type ListenAddress, listenFailure } from "../http/listen-failure.js";

/** A bound socket that belongs to this process and that other processes accept connections on. */
export interface BoundSocket {
  /** `"http://127.0.0.1:3000"` */
  readonly url: string;
  readonly port: number;
  /** Handle for child processes; see `server.listen(handle)`. */
  readonly handle: unknown;
  close(): void;
}

/** Server that a socket is for: that of the apis, the one on `adminPort`, or that of callers in other apps. */
export type SocketUse = "apis" | "admin" | "edge";

/** Binds an address, or returns the socket that a parent process has bound. */
export type BindSocket = (host: string, port: number, use: SocketUse) => Promise<BoundSocket | undefined>;

interface BoundHandle {
  getsockname(into: { port?: number }): number;
  close(): void;
}

/** Function with which `node:cluster` binds its shared sockets. Node has it since 0.8, its types do not. */
type CreateHandle = (address: string, port: number, family: 4 | 6) => BoundHandle | number;
const createHandle = (net as unknown as { _createServerHandle?: CreateHandle })._createServerHandle;

/**
 * Binds an address without accepting connections. Once a first process has listened, connections wait in the kernel
 * while no process listens, so that none is refused while a replica is replaced.
 *
 * @returns `undefined` where this Node can't share a socket.
 * @throws {ServingError} `port_in_use`, `address_unavailable`, `port_denied`, `host_unknown`, `cannot_listen`.
 */
export async function bindSocket(host: string, port: number, use?: SocketUse): Promise<BoundSocket | undefined> {
  if (createHandle === undefined) return undefined;
  const asked = { host, port, isEdge: use === "edge" };
  const { address, family } = await lookup(bareHost(host)).catch((error) => {
    throw listenFailure(error, asked);
  });
  const handle = createHandle(address, port, family === 6 ? 6 : 4);
  if (typeof handle === "number") throw createBindError(handle, asked);
  const name: { port?: number } = {};
  // A port in use is reported only when the socket is asked for its name.
  const error = handle.getsockname(name);
  if (error !== 0) {
    handle.close();
    throw createBindError(error, asked);
  }
  const shown =
    address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "[::1]" : family === 6 ? `[${address}]` : address;
  const bound = name.port as number;
  return { url: `http://${shown}:${bound}`, port: bound, handle, close: () => handle.close() };
}

/** @param code Error number of the system, below zero. */
function createBindError(code: number, asked: ListenAddress): Error {
  const error = Object.assign(new Error(getSystemErrorName(code)), { code: getSystemErrorName(code) });
  return listenFailure(error, asked);
}
