// Measures the workloads over HTTP, on ekiben and its rivals: requests a second, latency, CPU and failures.
import { setTimeout as sleep } from "node:timers/promises";
import { type Contender, contenders, ekibenName } from "./contenders.ts";
import { findFreePorts } from "./free-ports.ts";
import { Grid } from "./grid.ts";
import { driveHttp, loadTool } from "./load.ts";
import { measureInTurn } from "./measure.ts";
import { readCpuMicros } from "./processes.ts";
import { createVerdict, report, type Verdict } from "./report.ts";
import { ServerProcess } from "./server-process.ts";
import { pickParts, readSettings, withPython } from "./settings.ts";
import { checkGolden, type Workload, type WorkloadName, workloads } from "./workloads/workload.ts";

const { seconds, rounds } = readSettings({ seconds: 4, rounds: 5 });
const connectionCounts = [1, 16, 64, 256];
const ours = ekibenName("process");

/** Result of one round. */
type HttpFigures = {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** CPU time of all processes of the server. */
  readonly cpu: number;
  readonly failed: number;
};

for (const name of pickParts(Object.keys(workloads) as WorkloadName[])) await measureWorkload(name);

async function measureWorkload(name: WorkloadName): Promise<void> {
  const workload = workloads[name];
  const here = contenders.filter((contender) => contender.workloads.includes(name));
  const grid = new Grid<HttpFigures>({
    perSecond: ["requests", "/s"],
    p50: ["p50", "ms"],
    p99: ["p99", "ms"],
    cpu: ["CPU a request", "us"],
    failed: ["failed", ""],
  });
  const notRun: Record<string, string> = {};
  const onNode = here.filter(({ isPython }) => isPython !== true);
  await measureTogether(onNode, { name, workload, grid, notRun, suffix: "" });
  // An idle rival in Python keeps a core busy, so each rival is measured with ekiben alone.
  const process = here.filter((contender) => contender.name === ours);
  for (const contender of here.filter(({ isPython }) => isPython)) {
    if (!withPython) notRun[contender.name] = "asked for with --python";
    else {
      const suffix = ` (beside ${contender.name})`;
      await measureTogether([...process, contender], { name, workload, grid, notRun, suffix });
    }
  }
  reportWorkload(name, { workload, grid, notRun, here });
}

interface Parts {
  readonly name: WorkloadName;
  readonly workload: Workload;
  readonly grid: Grid<HttpFigures>;
  /** Takes the contenders that cannot run, with the reasons. */
  readonly notRun: Record<string, string>;
  /** Mark of ekiben's figures when it is measured a second time. */
  readonly suffix: string;
}

/** Starts all servers, checks that each gives the golden answer, then measures them in turn. */
async function measureTogether(all: readonly Contender[], parts: Parts): Promise<void> {
  const servers: { readonly name: string; readonly server: ServerProcess }[] = [];
  try {
    for (const contender of all) {
      const server = await tryStart(contender, parts);
      if (server === undefined) continue;
      servers.push({ name: contender.name === ours ? `${ours}${parts.suffix}` : contender.name, server });
    }
    for (const connections of connectionCounts) {
      const contestants = servers.map(({ name, server }) => ({
        name,
        round: () => measureRound(server, parts.workload, connections),
      }));
      parts.grid.add(`${connections} at once`, await measureInTurn(contestants, rounds));
    }
  } finally {
    await Promise.all(servers.map(({ server }) => server.stop()));
  }
}

async function tryStart(contender: Contender, { name, workload, notRun }: Parts): Promise<ServerProcess | undefined> {
  let server: ServerProcess | undefined;
  try {
    const [port = 0] = await findFreePorts(1);
    server = await ServerProcess.start(await contender.prepare(name, port));
    await checkGolden(server.url, workload);
    return server;
  } catch (error) {
    await server?.stop();
    if (contender.name.startsWith("ekiben")) throw error;
    notRun[contender.name] = (error as Error).message;
    return undefined;
  }
}

async function measureRound(server: ServerProcess, workload: Workload, connections: number): Promise<HttpFigures> {
  const pids = server.listProcesses();
  const cpuBefore = readCpuMicros(pids);
  const load = { url: `${server.url}${workload.route}`, bodies: workload.bodies, connections, seconds };
  const { requests, seconds: took, failed, p50Ms, p99Ms } = await driveHttp(load);
  const cpu = readCpuMicros(pids) - cpuBefore;
  await settle(pids);
  if (requests === 0) return { perSecond: 0, p50: Number.NaN, p99: Number.NaN, cpu: Number.NaN, failed };
  return { perSecond: requests / took, p50: p50Ms, p99: p99Ms, cpu: cpu / requests, failed };
}

/**
 * Waits, at most 5 s, until a server has finished the requests of its last clients, before the next one is measured.
 */
async function settle(pids: readonly number[]): Promise<void> {
  const end = performance.now() + 5000;
  for (let before = 0; performance.now() < end; ) {
    const cpu = readCpuMicros(pids);
    if (cpu - before < 20_000) return;
    before = cpu;
    await sleep(100);
  }
}

/** Promises of ekiben beside each measured rival, in requests a second. */
function judgeRivals(workload: WorkloadName, rivals: readonly Contender[], grid: Grid<HttpFigures>): Verdict[] {
  return rivals.flatMap(({ name, isPython, promised }) => {
    const atLeast = promised?.[workload];
    if (atLeast === undefined) return [];
    const own = isPython ? `${ours} (beside ${name})` : ours;
    return [16, 64].map((count) =>
      createVerdict(
        `requests/s at ${count}, ekiben by process to ${name}`,
        grid.ratio(`${count} at once`, "perSecond", [own, name]),
        { atLeast },
        "x",
      ),
    );
  });
}

interface Measured extends Pick<Parts, "workload" | "grid" | "notRun"> {
  readonly here: readonly Contender[];
}

function reportWorkload(name: WorkloadName, { workload, grid, notRun, here }: Measured): void {
  const rivals = here.filter((contender) => contender.name !== ours && notRun[contender.name] === undefined);
  const failed = connectionCounts.flatMap((count) => grid.read(`${count} at once`, ours, "failed"));
  const ratios = grid.compare(
    ["perSecond", "p50", "cpu"],
    rivals.map((rival) => [rival.isPython ? `${ours} (beside ${rival.name})` : ours, rival.name]),
  );
  report(`workloads-${name}`, {
    rows: [...grid.rows, ...ratios.rows],
    tables: [grid.table, ratios.table],
    verdicts: [
      createVerdict(
        "requests that failed, ekiben by process",
        failed.reduce((sum, count) => sum + count, 0),
        { atMost: 0 },
        "",
      ),
      ...judgeRivals(name, rivals, grid),
    ],
    setup: {
      ...{ title: workload.title, seconds, rounds, load: loadTool, notRun },
      contenders: Object.fromEntries(here.map((contender) => [contender.name, contender.note])),
    },
  });
  for (const [rival, why] of Object.entries(notRun)) console.log(`  not run: ${rival}: ${why}`);
}
