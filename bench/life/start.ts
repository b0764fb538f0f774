import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { type Placement, startEkiben } from "../ekiben-command.ts";
import type { Units } from "../grid.ts";
import { type Memory, readMemory } from "../processes.ts";

/** Cost of five services that do almost nothing. Memory in MiB, one second after they were ready. */
export type StartFigures = {
  readonly readyMs: number;
  readonly processes: number;
  readonly rssMiB: number;
  readonly pssMiB: number;
  readonly firstRssMiB: number;
  readonly firstPssMiB: number;
  /** Mean of the other processes; `NaN` when there are none. */
  readonly replicaRssMiB: number;
  readonly replicaPssMiB: number;
};

export const startUnits: Units<StartFigures> = {
  readyMs: ["ready after", "ms"],
  processes: ["processes", ""],
  rssMiB: ["RSS, all", "MiB"],
  pssMiB: ["PSS, all", "MiB"],
  firstRssMiB: ["RSS, its first process", "MiB"],
  firstPssMiB: ["PSS, its first process", "MiB"],
  replicaRssMiB: ["RSS, one replica", "MiB"],
  replicaPssMiB: ["PSS, one replica", "MiB"],
};

const settleMs = 1000;

export async function measureStart(placement: Placement): Promise<StartFigures> {
  await using server = await startEkiben({ file: "fan-out", placement });
  await sleep(settleMs);
  return summarize(server.readyMs, server.listProcesses());
}

/** Measures Node itself: a process that only waits. */
export async function measureEmptyProcess(): Promise<StartFigures> {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 60_000)"], { stdio: "ignore" });
  try {
    await sleep(settleMs);
    return summarize(Number.NaN, [child.pid as number]);
  } finally {
    child.kill();
  }
}

function summarize(readyMs: number, pids: readonly number[]): StartFigures {
  const memories = pids.map((pid) => readMemory(pid) ?? { rssMiB: Number.NaN, pssMiB: Number.NaN });
  const [first, ...replicas] = memories;
  return {
    readyMs,
    processes: memories.length,
    rssMiB: sum(memories, "rssMiB"),
    pssMiB: sum(memories, "pssMiB"),
    firstRssMiB: first?.rssMiB ?? Number.NaN,
    firstPssMiB: first?.pssMiB ?? Number.NaN,
    replicaRssMiB: sum(replicas, "rssMiB") / replicas.length,
    replicaPssMiB: sum(replicas, "pssMiB") / replicas.length,
  };
}

const sum = (memories: readonly Memory[], name: keyof Memory): number =>
  memories.reduce((total, memory) => total + memory[name], 0);
