// Reads facts about processes from /proc; Linux only.
import { readdirSync, readFileSync } from "node:fs";

/** Memory of one process. RSS counts shared pages in every process that has them; PSS divides them. */
export interface Memory {
  readonly rssMiB: number;
  readonly pssMiB: number;
}

const microsPerTick = 10_000;

/** Lists a process and all its running descendants, the process itself first. */
export function listTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    const [, parent] = Number.isInteger(pid) ? (readStat(pid) ?? []) : [];
    if (parent !== undefined) children.set(Number(parent), [...(children.get(Number(parent)) ?? []), pid]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** Returns the CPU time of running processes in microseconds, in steps of 10 ms. */
export function readCpuMicros(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    const stat = readStat(pid);
    return stat === undefined ? 0 : Number(stat[11]) + Number(stat[12]);
  });
  return ticks.reduce((sum, own) => sum + own, 0) * microsPerTick;
}

/** Returns the command line of a process; `""` when it has ended. */
export const readCommand = (pid: number): string => readProc(pid, "cmdline")?.replaceAll("\0", " ") ?? "";

/** Reads the memory of a process; `undefined` when it has ended. */
export function readMemory(pid: number): Memory | undefined {
  const text = readProc(pid, "smaps_rollup");
  if (text === undefined) return undefined;
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) / 1024;
  return { rssMiB: read("Rss"), pssMiB: read("Pss") };
}

/** Returns the maximum memory of a process so far, shared pages included; 0 when it has ended. */
export function readPeakMiB(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readProc(pid, "status") ?? "")?.[1] ?? 0) / 1024;
}

/** Reads the fields of /proc/<pid>/stat after the name: state is number 0, parent 1, CPU ticks 11 and 12. */
function readStat(pid: number): string[] | undefined {
  return readProc(pid, "stat")
    ?.replace(/^.*\) /s, "")
    .split(" ");
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}
