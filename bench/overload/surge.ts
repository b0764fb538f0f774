import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createEkibenCommand } from "../ekiben-command.ts";
import { findFreePorts } from "../free-ports.ts";
import { readCpuMicros } from "../processes.ts";
import { createRow, createVerdict, type Row, report, type Verdict } from "../report.ts";
import { type ServerCommand, ServerProcess } from "../server-process.ts";
import { isDryRun } from "../settings.ts";
import { elsewhere, runMs } from "../workloads/burn.ts";
import { driveOpen } from "./drive-open.ts";
import type { OpenResult } from "./open-loop.ts";

interface Server {
  readonly name: string;
  readonly isOurs: boolean;
  readonly header?: string;
  readonly start: (port: number) => ServerCommand;
}

const rival = fileURLToPath(import.meta.resolve("../rivals/fastify-overload.ts"));
const startEkiben = (port: number, env = {}) =>
  createEkibenCommand({ file: "overload", placement: "process", port, env });
const patienceMs = 1000;
const servers: readonly Server[] = [
  { name: "ekiben", isOurs: true, start: startEkiben },
  // In the loads above, entry, models and generator share two cores: CPU that the entry uses to refuse is lost to the
  // models. Here they do not share.
  { name: "ekiben, runs elsewhere", isOurs: true, start: (port) => startEkiben(port, elsewhere) },
  { name: "ekiben, deadline header", isOurs: true, header: `ekiben-timeout-ms: ${patienceMs}`, start: startEkiben },
  {
    ...{ name: "Fastify and undici", isOurs: false },
    start: (port) => ({
      ...{ command: process.execPath, args: ["--import", "tsx", rival, String(port)], port },
      ...{ readyPath: "/readyz", cwd: import.meta.dirname },
    }),
  },
];

/** Rates to search for the true peak: the most that is answered in time, not the rate at which answers become late. */
const ramp = isDryRun ? [100] : [130, 145, 160, 175, 190, 205];
const quiet = { afterMs: 100, forMs: 500, atMostMs: 20 };
/** Time from the end of the overload until the load that must be served in full. */
const pauseMs = 1000;
const arrivals = ["constant", "random"] as const;

/**
 * Measures goodput at twice and ten times the peak, and at 0.7 of it just afterwards, with clients that leave after a
 * second.
 */
export async function measureSurge(seconds: number): Promise<void> {
  const rows: Row[] = [];
  const verdicts: Verdict[] = [];
  const table = [["", "offered", "goodput", "of peak", "p50 ms", "p99 ms", "refused", "left", "failed", "late p99 ms"]];
  for (const server of servers) {
    const [port = 0] = await findFreePorts(1);
    await using running = await ServerProcess.start(server.start(port));
    await new Surge({ server, running, port, seconds, rows, verdicts, table }).measure();
  }
  report("overload-surge", {
    ...{ rows, verdicts, tables: [table] },
    setup: {
      seconds,
      patienceMs,
      runMs,
      ramp,
      pauseMs,
      quiet,
      options: "defaults",
      generator: "bench/overload/open-loop.ts",
    },
  });
}

interface SurgeParts {
  readonly server: Server;
  readonly running: ServerProcess;
  readonly port: number;
  readonly seconds: number;
  readonly rows: Row[];
  readonly verdicts: Verdict[];
  readonly table: string[][];
}

class Surge {
  readonly #parts: SurgeParts;
  #peak = 0;

  constructor(parts: SurgeParts) {
    this.#parts = parts;
  }

  async measure(): Promise<void> {
    const { server, seconds, rows } = this.#parts;
    await this.#offer(60, Math.min(3, seconds), false);
    for (const rate of ramp) {
      const { good, keptUp } = await this.#offer(rate, Math.min(4, seconds), false);
      this.#peak = Math.max(this.#peak, keptUp / Math.min(4, seconds));
      if (good < 0.9 * rate * Math.min(4, seconds)) break;
    }
    rows.push(createRow(`${server.name}: true peak`, "/s", [this.#peak]));
    for (const kind of arrivals) {
      await sleep(pauseMs);
      await this.#overload(2, kind);
      await sleep(pauseMs);
      await this.#overload(10, kind);
      await sleep(pauseMs);
      await this.#recover(kind);
    }
  }

  async #overload(times: number, kind: (typeof arrivals)[number]): Promise<void> {
    const { server, seconds, running, rows, verdicts } = this.#parts;
    const result = await this.#offer(times * this.#peak, seconds, kind === "random");
    const busyMs = await readBusyMs(running);
    const share = result.good / seconds / this.#peak;
    const what = `${server.name}: ${times}x, ${kind}`;
    this.#tell(what, result, share);
    rows.push(createRow(`${what}: goodput of peak`, "x", [share]));
    rows.push(createRow(`${what}: p50 of the answered`, "ms", [result.p50]));
    rows.push(createRow(`${what}: p99 of the answered`, "ms", [result.p99]));
    rows.push(createRow(`${what}: busy after the last client`, "ms", [busyMs]));
    if (!server.isOurs) return;
    verdicts.push(createVerdict(`${what}: goodput of peak`, share, { atLeast: 0.9 }, "x"));
    verdicts.push(createVerdict(`${what}: p99`, result.p99, { atMost: patienceMs }, "ms"));
    if (times === 2) verdicts.push(createVerdict(`${what}: p50, five runs`, result.p50, { atMost: 5 * runMs }, "ms"));
    const idle = `${what}: processor time from ${quiet.afterMs} ms after the last client, for ${quiet.forMs} ms`;
    verdicts.push(createVerdict(idle, busyMs, { atMost: quiet.atMostMs }, "ms"));
  }

  async #recover(kind: (typeof arrivals)[number]): Promise<void> {
    const { server, seconds, rows, verdicts } = this.#parts;
    const result = await this.#offer(0.7 * this.#peak, seconds, kind === "random");
    const what = `${server.name}: 0.7x after 10x, ${kind}`;
    this.#tell(what, result, result.good / seconds / this.#peak);
    const share = result.good / result.sent;
    rows.push(createRow(`${what}: answered`, "x", [share]));
    if (server.isOurs) verdicts.push(createVerdict(`${what}: answered`, share, { atLeast: 1 }, "x"));
  }

  #offer(perSecond: number, seconds: number, isRandom: boolean): Promise<OpenResult> {
    const { port, server } = this.#parts;
    const { header } = server;
    return driveOpen({ port, path: "/run", body: '{"x":1}', header, perSecond, seconds, isRandom, patienceMs });
  }

  #tell(what: string, { sent, good, p50, p99, refused, left, failed, lateP99 }: OpenResult, share: number): void {
    const cells = [sent, good, share.toFixed(2), p50.toFixed(1), p99.toFixed(0), refused, left, failed];
    this.#parts.table.push([what, ...cells.map(String), lateP99.toFixed(1)]);
  }
}

/** Work that a server still does when all clients have left. */
async function readBusyMs(server: ServerProcess): Promise<number> {
  await sleep(quiet.afterMs);
  const pids = server.listProcesses();
  const before = readCpuMicros(pids);
  await sleep(quiet.forMs);
  return (readCpuMicros(pids) - before) / 1000;
}
