import { readFileSync } from "node:fs";

/** What a process has open besides connections, and a little to spare. */
const otherFiles = 64;

/**
 * Says that connections may take every descriptor a process can have; `undefined` where they can't.
 *
 * @param openFiles The limit of this process, which those of its replicas share; `undefined` where it can't be told.
 */
export function describeDescriptors(maxConnections: number, openFiles: number | undefined): string | undefined {
  if (openFiles === undefined || openFiles >= maxConnections + otherFiles) return undefined;
  return (
    `ulimit -n is ${openFiles}, http.maxConnections ${maxConnections}: before that many are open, nothing that takes a file or ` +
    `a socket can be done; raise the limit to ${maxConnections + otherFiles}, or set http.maxConnections to ${Math.max(1, openFiles - otherFiles)}`
  );
}

/** How many files and sockets this process may have open. Node has raised its own limit to the highest it may. */
export function readOpenFiles(): number | undefined {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // Not Linux: a report takes some 30 ms more.
    const report = process.report.getReport() as { userLimits?: { open_files?: { soft: number | string } } };
    const soft = report.userLimits?.open_files?.soft;
    return typeof soft === "number" ? soft : undefined;
  }
}
