import { lookup, resolveSrv } from "node:dns/promises";
import net, { isIP } from "node:net";
import tls from "node:tls";
import { type Clock, within } from "../../base/clock.js";
import { systemProblem } from "../../failure/read-thrown.js";
import { formatAddress, type RemoteAddress } from "../../options/address-types.js";
import { type EdgeSecurity, explainEdgeError } from "../../transport/edge-security.js";
import type { NamedAddress } from "./link-policy.js";
import type { Resolution } from "./name-book.js";

/** Silence after which the kernel asks an idle connection whether its other side is there. */
const keepAliveMs = 15_000;

/** Reports on a socket that is being opened; exactly one of the two is called, once. */
interface SocketWatcher {
  readonly onOpen: (socket: net.Socket) => void;
  readonly onFailure: (problem: string) => void;
}

/**
 * Opens a connection: TLS with the keys of the app, or plain TCP to a loopback address.
 *
 * @returns A function that gives the attempt up; then neither callback is called.
 */
export function openSocket(address: NamedAddress, security: EdgeSecurity, watcher: SocketWatcher): () => void {
  const { host, port, isSecure, serverName } = address;
  let socket: net.Socket;
  try {
    socket = isSecure
      ? tls.connect({ host, port, ...security.clientOptions(serverName) })
      : net.connect({ host, port });
  } catch (error) {
    const timer = setImmediate(() => watcher.onFailure(explainEdgeError(error)));
    return () => clearImmediate(timer);
  }
  // Small frames of a turn are gathered already; waiting for more of them would only delay them.
  socket.setNoDelay(true);
  socket.setKeepAlive(true, keepAliveMs);
  let isOver = false;
  const end = (report: () => void) => {
    if (isOver) return;
    isOver = true;
    report();
  };
  socket.once(isSecure ? "secureConnect" : "connect", () => end(() => watcher.onOpen(socket)));
  // Stays: an error of a socket without a listener ends the process.
  socket.on("error", (error) =>
    end(() => watcher.onFailure(isSecure ? explainEdgeError(error) : systemProblem(error))),
  );
  socket.once("close", () => end(() => watcher.onFailure("the other side hung up during the handshake")));
  return () => end(() => socket.destroy());
}

/** Longest wait for an answer of the DNS. */
const resolveLimitMs = 5_000;

/** Most SRV records of one name that are followed. */
const maxRecords = 64;

/**
 * Resolves all addresses of a service at the same time. Never rejects: each has addresses or a problem.
 *
 * Host names go through the system's own resolver, which knows /etc/hosts and search domains.
 */
export async function resolveNames(
  addresses: readonly RemoteAddress[],
  clock: Clock,
): Promise<ReadonlyMap<string, Resolution>> {
  const resolved = addresses.map(async (address) => {
    const name = formatAddress(address);
    const late = () => `${name} was not resolved within ${resolveLimitMs} ms`;
    return [name, await within<Resolution>(clock, resolveLimitMs, resolveOne(address), late)] as const;
  });
  return new Map(await Promise.all(resolved));
}

async function resolveOne(address: RemoteAddress): Promise<Resolution> {
  try {
    if (address.scheme !== "tls+srv") return await resolveHost(address.host, address.port, address.scheme === "tls");
    const records = await resolveSrv(address.host);
    // Records of a lower priority are for times without the others.
    const best = Math.min(...records.map(({ priority }) => priority));
    const chosen = records.filter(({ priority }) => priority === best).slice(0, maxRecords);
    const all = await Promise.all(chosen.map(({ name, port }) => resolveHost(name, port, true)));
    return all.flat();
  } catch (error) {
    return `${formatAddress(address)}: ${systemProblem(error)}`;
  }
}

async function resolveHost(host: string, port: number, isSecure: boolean): Promise<NamedAddress[]> {
  const found = isIP(host) === 0 ? await lookup(host, { all: true }) : [{ address: host }];
  return found.map(({ address }) => ({
    key: `${isIP(address) === 6 ? `[${address}]` : address}:${port}`,
    ...{ host: address, port, isSecure, serverName: host },
  }));
}
