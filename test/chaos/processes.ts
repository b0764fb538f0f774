// Reads facts about processes from /proc; Linux only.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Resources of a process. */
export interface Holding {
  readonly sockets: number;
  /** Open files in memory, which carry large tensors: as many as the load of a link has needed. */
  readonly slabs: number;
  /** All other open descriptors. */
  readonly others: number;
  readonly residentMiB: number;
}

const nothing: Holding = { sockets: 0, slabs: 0, others: 0, residentMiB: 0 };

/** Reads the resources of a process; empty for a process that has ended. */
export function readHolding(pid: number): Holding {
  const links = listDescriptors(pid);
  const sockets = links.filter((link) => link.startsWith("socket:")).length;
  const slabs = links.filter((link) => link.startsWith("/dev/shm/")).length;
  return { ...nothing, sockets, slabs, others: links.length - sockets - slabs, residentMiB: readResident(pid) };
}

/** Lists the targets of a process's open descriptors. */
export function listDescriptors(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return orElse([], () => readdirSync(folder)).flatMap((name) => orElse([], () => [readlinkSync(`${folder}/${name}`)]));
}

/** Lists the running children of a process. */
export function listChildren(pid: number): number[] {
  const folder = `/proc/${pid}/task`;
  const texts = orElse([], () => readdirSync(folder)).map((thread) =>
    orElse("", () => readFileSync(`${folder}/${thread}/children`, "utf8")),
  );
  return texts.flatMap((text) => text.split(" ").filter(Boolean).map(Number));
}

/** Lists all running descendants of a process, without itself. */
export function listDescendants(pid: number): number[] {
  return listChildren(pid).flatMap((child) => [child, ...listDescendants(child)]);
}

export function readCommand(pid: number): string {
  return orElse("", () => readFileSync(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ");
}

/** True when a server on this port still holds a connection, also one that its client has closed. IPv4. */
export function hasConnections(port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8").trim().split("\n").slice(1);
  return rows.some((row) => {
    const [, address = "", , state = ""] = row.trim().split(/\s+/);
    return address.endsWith(local) && openStates.includes(state);
  });
}

/** Codes of the states "established" and "closed by the other side only". */
const openStates: readonly string[] = ["01", "08"];

function readResident(pid: number): number {
  const text = orElse("", () => readFileSync(`/proc/${pid}/status`, "utf8"));
  return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024);
}

/** Returns `undefined` when the process ends during the reading. */
function orElse<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
