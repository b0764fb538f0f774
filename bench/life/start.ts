import { setTimeout as sleep } from "node:timers/promises";
import { type Placement, startEkiben } from "../ekiben-command.ts";
import type { Units } from "../grid.ts";
import { type Memory, readMemory } from "../processes.ts";

/** What five services that do next to nothing take. Memory in MiB, a second after they were ready. */
export type StartFigures = {
  readonly readyMs: number;
  readonly processes: number;
  readonly rssMiB: number;
  readonly pssMiB: number;
  readonly supervisorRssMiB: number;
  readonly supervisorPssMiB: number;
  /** The mean of the other processes; `NaN` where there are none. */
  readonly replicaRssMiB: number;
  readonly replicaPssMiB: number;
};

export const startUnits: Units<StartFigures> = {
  readyMs: ["ready after", "ms"],
  processes: ["processes", ""],
  rssMiB: ["RSS, all", "MiB"],
  pssMiB: ["PSS, all", "MiB"],
  supervisorRssMiB: ["RSS, supervisor", "MiB"],
  supervisorPssMiB: ["PSS, supervisor", "MiB"],
  replicaRssMiB: ["RSS, one replica", "MiB"],
  replicaPssMiB: ["PSS, one replica", "MiB"],
};

export async function measureStart(placement: Placement): Promise<StartFigures> {
  await using server = await startEkiben({ file: "fan-out", placement });
  await sleep(1000);
  const memories = server.listProcesses().map((pid) => readMemory(pid) ?? { rssMiB: Number.NaN, pssMiB: Number.NaN });
  const [supervisor, ...replicas] = memories;
  return {
    readyMs: server.readyMs,
    processes: memories.length,
    rssMiB: sum(memories, "rssMiB"),
    pssMiB: sum(memories, "pssMiB"),
    supervisorRssMiB: supervisor?.rssMiB ?? Number.NaN,
    supervisorPssMiB: supervisor?.pssMiB ?? Number.NaN,
    replicaRssMiB: sum(replicas, "rssMiB") / replicas.length,
    replicaPssMiB: sum(replicas, "pssMiB") / replicas.length,
  };
}

const sum = (memories: readonly Memory[], name: keyof Memory): number =>
  memories.reduce((total, memory) => total + memory[name], 0);
