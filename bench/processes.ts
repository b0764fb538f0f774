// What /proc says of processes; Linux only.
import { readdirSync, readFileSync } from "node:fs";

/** Of one process. RSS counts shared pages in every process that has them, PSS divides them. */
export interface Memory {
  readonly rssMiB: number;
  readonly pssMiB: number;
}

const microsPerTick = 10_000;

/** A process and all it has started that still run, the process itself first. */
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

/** CPU time so far in microseconds, of processes that still run; steps of 10 ms. */
export function readCpuMicros(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    const stat = readStat(pid);
    return stat === undefined ? 0 : Number(stat[11]) + Number(stat[12]);
  });
  return ticks.reduce((sum, own) => sum + own, 0) * microsPerTick;
}

/** How a process was started; `""` when it is gone. */
export const readCommand = (pid: number): string => readProc(pid, "cmdline")?.replaceAll("\0", " ") ?? "";

/** `undefined` when the process is gone. */
export function readMemory(pid: number): Memory | undefined {
  const text = readProc(pid, "smaps_rollup");
  if (text === undefined) return undefined;
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) / 1024;
  return { rssMiB: read("Rss"), pssMiB: read("Pss") };
}

/** The most that a process has had in memory at a time, shared pages included; 0 when it is gone. */
export function readPeakMiB(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readProc(pid, "status") ?? "")?.[1] ?? 0) / 1024;
}

/** The fields of /proc/<pid>/stat behind the name: the state is number 0, the parent 1, CPU ticks 11 and 12. */
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
