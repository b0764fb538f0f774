// What /proc says of processes; Linux only.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What a process holds. */
export interface Holding {
  readonly sockets: number;
  /** Open files in memory, through which large tensors go: as many as the load of a link has needed. */
  readonly slabs: number;
  /** All other descriptors. */
  readonly others: number;
  readonly residentMiB: number;
}

const nothing: Holding = { sockets: 0, slabs: 0, others: 0, residentMiB: 0 };

/** Nothing of one that has ended. */
export function readHolding(pid: number): Holding {
  const links = listDescriptors(pid);
  const sockets = links.filter((link) => link.startsWith("socket:")).length;
  const slabs = links.filter((link) => link.startsWith("/dev/shm/")).length;
  return { ...nothing, sockets, slabs, others: links.length - sockets - slabs, residentMiB: readResident(pid) };
}

/** Where the open descriptors of a process lead. */
export function listDescriptors(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return orElse([], () => readdirSync(folder)).flatMap((name) => orElse([], () => [readlinkSync(`${folder}/${name}`)]));
}

/** The processes that a process has started and that still run. */
export function listChildren(pid: number): number[] {
  const folder = `/proc/${pid}/task`;
  const texts = orElse([], () => readdirSync(folder)).map((thread) =>
    orElse("", () => readFileSync(`${folder}/${thread}/children`, "utf8")),
  );
  return texts.flatMap((text) => text.split(" ").filter(Boolean).map(Number));
}

/** All that a process has started, and what those have; itself not. */
export function listDescendants(pid: number): number[] {
  return listChildren(pid).flatMap((child) => [child, ...listDescendants(child)]);
}

export function readCommand(pid: number): string {
  return orElse("", () => readFileSync(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ");
}

/** Whether a server on this port still holds a connection, also one that its client has closed. IPv4. */
export function hasConnections(port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8").trim().split("\n").slice(1);
  return rows.some((row) => {
    const [, address = "", , state = ""] = row.trim().split(/\s+/);
    return address.endsWith(local) && openStates.includes(state);
  });
}

/** Established, and closed by the other side alone. */
const openStates: readonly string[] = ["01", "08"];

function readResident(pid: number): number {
  const text = orElse("", () => readFileSync(`/proc/${pid}/status`, "utf8"));
  return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024);
}

/** A process may end while it is looked at. */
function orElse<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
