// A long run above the peak while replicas are killed: the resources of the app must not grow.
// npm run bench -- soak --seconds 600
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createEkibenCommand } from "./ekiben-command.ts";
import { findFreePorts } from "./free-ports.ts";
import { median } from "./measure.ts";
import { driveOpen } from "./overload/drive-open.ts";
import { readCommand } from "./processes.ts";
import { createRow, createVerdict, report, type Verdict } from "./report.ts";
import { ServerProcess } from "./server-process.ts";
import { readSettings } from "./settings.ts";
import { type Holding, holdingUnits, readHolding } from "./soak/holding.ts";
import { callBeside } from "./soak/mixed-calls.ts";

const { seconds } = readSettings({ seconds: 600, rounds: 1 });
const times = 1.5;
const patienceMs = 1000;
const sampleMs = 5_000;
/** Kills one replica after another, those of the entry included. */
const killEveryMs = 7_000;
/** Allowed growth of a quantity over its level of the first half, and its upper bound. */
const tolerance = { pssMiB: 40, descriptors: 30, slabs: 16, slabMiB: 64, temporaryFiles: 16, temporaryMiB: 64 };

const folder = mkdtempSync(join(tmpdir(), "ekiben-soak-"));
/** Resources of other apps on this machine. */
const before = readHolding([], folder);
const [port = 0] = await findFreePorts(1);
const command = createEkibenCommand({ file: "soak", placement: "process", port });
const server = await ServerProcess.start({ ...command, env: { TMPDIR: folder } });
const idle = readHolding(server.listProcesses(), folder);

const offer = (perSecond: number, forSeconds: number) =>
  driveOpen({
    ...{ port, path: "/run", body: '{"x":1}', header: undefined, isRandom: true, patienceMs },
    ...{ perSecond, seconds: forSeconds },
  });
const warmSeconds = Math.min(5, seconds);
let peak = 0;
for (const rate of [120, 160, 200]) peak = Math.max(peak, (await offer(rate, warmSeconds)).good / warmSeconds);

const end = performance.now() + seconds * 1000;
const isOver = () => performance.now() > end;
const samples: Holding[] = [];
let kills = 0;
const [load, counts] = await Promise.all([
  offer(times * peak, seconds),
  callBeside(server.url, isOver),
  watch(),
  kill(),
]);
const left = await settle();
await server.stop();
const after = readHolding([], folder);
rmSync(folder, { recursive: true, force: true });

const rows = Object.entries(holdingUnits).map(([key, [what, unit]]) =>
  createRow(
    `under load: ${what}`,
    unit,
    samples.map((sample) => sample[key as keyof Holding]),
  ),
);
report("soak", {
  rows: [
    ...rows,
    createRow("killed replicas", "", [kills]),
    createRow("answered, of those at the peak", "x", [load.good / seconds / peak]),
    ...[...counts].map(([what, count]) => createRow(`beside: ${what}`, "", [count])),
  ],
  verdicts: [...judgeGrowth(), ...judgeEnd()],
  setup: { seconds, times, peak, patienceMs, killEveryMs, tolerance, idle, services: "workloads/soak.ts" },
});

async function watch(): Promise<void> {
  while (!isOver()) {
    samples.push(readHolding(server.listProcesses(), folder));
    await sleep(Math.min(sampleMs, Math.max(1, end - performance.now())));
  }
}

async function kill(): Promise<void> {
  while (end - performance.now() > killEveryMs) {
    await sleep(killEveryMs);
    const replicas = server.listProcesses().filter((pid) => readCommand(pid).includes("process-main"));
    const victim = replicas[kills % Math.max(1, replicas.length)];
    if (victim === undefined) continue;
    process.kill(victim, "SIGKILL");
    kills++;
  }
}

/** Waits until the last killed replicas are back and caches are released. */
async function settle(): Promise<Holding> {
  await sleep(15_000);
  return readHolding(server.listProcesses(), folder);
}

/** Compares the second half with the first. */
function judgeGrowth(): Verdict[] {
  const middle = samples.length >> 1;
  return Object.entries(holdingUnits).map(([key, [what, unit]]) => {
    const read = (part: readonly Holding[]) => median(part.map((sample) => sample[key as keyof Holding]));
    const growth = read(samples.slice(middle)) - read(samples.slice(0, middle));
    return createVerdict(
      `${what}: second half above the first`,
      growth,
      { atMost: tolerance[key as keyof Holding] },
      unit,
    );
  });
}

function judgeEnd(): Verdict[] {
  return [
    createVerdict(
      "descriptors after it, above idle",
      left.descriptors - idle.descriptors,
      { atMost: tolerance.descriptors },
      "",
    ),
    createVerdict("slabs left by the app when it has ended", after.slabs - before.slabs, { atMost: 0 }, ""),
    createVerdict("temporary files left by the app when it has ended", after.temporaryFiles, { atMost: 0 }, ""),
  ];
}
