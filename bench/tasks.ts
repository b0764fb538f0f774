// Measures durable tasks a second from end to end, through a handle and over HTTP, by engine. `task-stores` measures
// the engines alone.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compose } from "ekiben/testing";
import { findPostgres, PostgresServer } from "../test/tasks/postgres-server.ts";
import { startEkiben } from "./ekiben-command.ts";
import { Grid } from "./grid.ts";
import { driveHttp, loadTool } from "./load.ts";
import { type Contestant, measureInTurn } from "./measure.ts";
import { report } from "./report.ts";
import { pickParts, readSettings } from "./settings.ts";
import { Caller, message } from "./workloads/tasks.ts";

/** Times in milliseconds. */
type TaskFigures = { readonly perSecond: number; readonly p50: number; readonly p99: number };

const { seconds, rounds } = readSettings({ seconds: 2, rounds: 5 });
const loads = [1, 16, 64];
const titles = { submit: "submitted", run: "submitted, run and answered" } as const;
// If this disk is in memory, the figures mean nothing: set TMPDIR to another.
const folder = mkdtempSync(join(tmpdir(), "ekiben-tasks-"));
const programs = findPostgres();
const postgres = programs === undefined ? undefined : await PostgresServer.start(programs, { fsync: true });
let places = 0;

interface Place {
  readonly data: string;
  readonly store: string;
}

const engines: Readonly<Record<string, () => Place>> = {
  SQLite: () => ({ data: join(folder, String(++places)), store: "sqlite" }),
  ...(postgres && { PostgreSQL: () => ({ data: folder, store: postgres.createSchema() }) }),
};

/** One engine and one way to it, with an app that runs while its figures are taken. */
interface Way {
  readonly name: string;
  measure(what: keyof typeof titles, loops: number): Promise<TaskFigures>;
  close(): Promise<unknown>;
}

async function openHandle(engine: string, { data, store }: Place): Promise<Way> {
  const services = { Jobs: { placement: "process" } } as const;
  const app = await compose(Caller, { options: { services, data, tasks: { store }, drainTimeoutMs: 1000 } });
  return {
    name: `${engine}, handle`,
    measure: async (what, loops) => {
      const { perSecond, p50, p99 } = await app.entry.drive({ what, loops, seconds });
      return { perSecond, p50: p50 / 1000, p99: p99 / 1000 };
    },
    close: () => app.close(),
  };
}

async function openHttp(engine: string, { data, store }: Place): Promise<Way> {
  const flags = ["--data", data, "--tasks-store", store, "--drain-timeout-ms", "1000"];
  const server = await startEkiben({ file: "tasks", placement: "process", flags });
  const bodies = [JSON.stringify(message)];
  return {
    name: `${engine}, HTTP`,
    measure: async (what, connections) => {
      const url = `${server.url}${what === "submit" ? "/parked/submit" : "/run"}`;
      const result = await driveHttp({ url, bodies, connections, seconds });
      if (result.failed > 0) throw new Error(`${result.failed} requests failed at ${url}`);
      return { perSecond: result.requests / result.seconds, p50: result.p50Ms, p99: result.p99Ms };
    },
    close: () => server.stop(),
  };
}

const grid = new Grid<TaskFigures>({ perSecond: ["tasks", "/s"], p50: ["p50", "ms"], p99: ["p99", "ms"] });
const ways: Way[] = [];
try {
  for (const [engine, createPlace] of Object.entries(engines)) {
    ways.push(await openHandle(engine, createPlace()), await openHttp(engine, createPlace()));
  }
  for (const what of pickParts(["submit", "run"] as const)) {
    for (const loops of loads) {
      const contestants = ways.map(
        ({ name, measure }): Contestant<TaskFigures> => ({ name, round: () => measure(what, loops) }),
      );
      grid.add(`${titles[what]}, ${loops} at once`, await measureInTurn(contestants, rounds));
    }
  }
} finally {
  for (const way of ways) await way.close();
  await postgres?.close();
  rmSync(folder, { recursive: true, force: true });
}

report("tasks", {
  rows: grid.rows,
  tables: [grid.table],
  verdicts: [],
  setup: { seconds, rounds, loadTool, postgres: postgres === undefined ? "not installed" : "fsync on, a Unix socket" },
});
