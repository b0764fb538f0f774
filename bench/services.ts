// Measures the cost of many services that do almost nothing: as processes, in five groups, in one, inline.
import { setTimeout as sleep } from "node:timers/promises";
import { type EkibenServer, startEkiben } from "./ekiben-command.ts";
import { Grid } from "./grid.ts";
import { measureInTurn, median } from "./measure.ts";
import { readCpuMicros, readMemory } from "./processes.ts";
import { createVerdict, report } from "./report.ts";
import { readSettings } from "./settings.ts";

const { seconds, rounds } = readSettings({ seconds: 3, rounds: 3 });
const settleMs = 1000;
const load = "50 services";

const ways: Readonly<Record<string, Pick<EkibenServer, "placement" | "flags" | "env">>> = {
  process: { placement: "process" },
  "five groups": { placement: "process", env: { GROUP_COUNT: "5" } },
  "one group": { placement: "process", flags: ["--group", "all"] },
  inline: { placement: "inline" },
};

const grid = new Grid({
  readyMs: ["ready after", "ms"],
  startCpu: ["CPU of the start", "ms"],
  processes: ["processes", ""],
  pssMiB: ["PSS, all", "MiB"],
  idle: ["CPU at rest", "% of a core"],
});
const contestants = Object.entries(ways).map(([name, way]) => ({ name, round: () => measure(way) }));
grid.add(load, await measureInTurn(contestants, rounds));

const verdicts = ["five groups", "one group"].flatMap((name) => [
  createVerdict(`${load}, ${name}: PSS`, median(grid.read(load, name, "pssMiB")), { atMost: 400 }, "MiB"),
  createVerdict(`${load}, ${name}: ready`, median(grid.read(load, name, "readyMs")), { atMost: 1200 }, "ms"),
]);
report("services", { rows: grid.rows, tables: [grid.table], verdicts, setup: { seconds, rounds } });

async function measure({ env, ...way }: Pick<EkibenServer, "placement" | "flags" | "env">) {
  await using server = await startEkiben({ file: "star", ...way, env: { N: "50", ...env } });
  const pids = server.listProcesses();
  const startCpu = readCpuMicros(pids) / 1000;
  await sleep(settleMs);
  const before = readCpuMicros(pids);
  await sleep(seconds * 1000);
  const idle = ((readCpuMicros(pids) - before) / (seconds * 1e6)) * 100;
  const pssMiB = pids.reduce((sum, pid) => sum + (readMemory(pid)?.pssMiB ?? 0), 0);
  return { readyMs: server.readyMs, startCpu, processes: pids.length, pssMiB, idle };
}
