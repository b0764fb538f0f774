// Measures tasks a second of a task store by engine: from one process and from two, with small and large inputs.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findPostgres, PostgresServer } from "../test/tasks/postgres-server.ts";
import { Grid } from "./grid.ts";
import { type Contestant, measureInTurn } from "./measure.ts";
import { createVerdict, report } from "./report.ts";
import { pickParts, readSettings } from "./settings.ts";
import type { Drive, Driven } from "./task-stores/drive-store.ts";
import type { StoreChoice } from "./task-stores/open.ts";

/** Results of all processes together; times in milliseconds. */
type StoreFigures = {
  readonly submits: number;
  readonly submitP50: number;
  readonly submitP99: number;
  readonly tasks: number;
  readonly taskP50: number;
  readonly taskP99: number;
};

const { seconds, rounds } = readSettings({ seconds: 2, rounds: 5 });
const inputs = { small: 300, large: 600_000 } as const;
const loads = [1, 16, 64];
// Both engines use one disk. If that disk is in memory, the figures mean nothing: set TMPDIR to another.
const folder = mkdtempSync(join(tmpdir(), "ekiben-task-stores-"));
const programs = findPostgres();
const server = programs === undefined ? undefined : await PostgresServer.start(programs, { fsync: true });
let places = 0;

const engines: readonly { readonly name: string; readonly createPlace: () => StoreChoice }[] = [
  { name: "SQLite", createPlace: () => ({ store: "sqlite", data: join(folder, String(++places)) }) },
  ...(server === undefined
    ? []
    : [{ name: "PostgreSQL", createPlace: () => ({ store: server.createSchema(), data: folder }) }]),
];

const grid = new Grid<StoreFigures>({
  submits: ["submits", "/s"],
  submitP50: ["p50", "ms"],
  submitP99: ["p99", "ms"],
  tasks: ["claimed and finished", "/s"],
  taskP50: ["p50", "ms"],
  taskP99: ["p99", "ms"],
});
try {
  for (const size of pickParts(["small", "large"] as const)) {
    for (const loops of loads) {
      const contestants = engines.flatMap(({ name, createPlace }) =>
        [1, 2]
          .filter((processes) => loops >= processes)
          .map((processes): Contestant<StoreFigures> => {
            const drive = { loops: loops / processes, seconds, inputBytes: inputs[size] };
            return {
              name: `${name}, ${processes === 1 ? "1 process" : "2 processes"}`,
              round: () => measureRound(processes, { ...drive, store: createPlace() }),
            };
          }),
      );
      grid.add(`${size}, ${loops} at once`, await measureInTurn(contestants, rounds));
    }
  }
} finally {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
}

const both = ["SQLite, 2 processes", "SQLite, 1 process"] as const;
const shared = grid.ratio("small, 64 at once", "submits", both);
report("task-stores", {
  rows: grid.rows,
  tables: [grid.table],
  verdicts: Number.isNaN(shared)
    ? []
    : [createVerdict("small, 64 at once: submits of two processes to one, SQLite", shared, { atLeast: 0.5 }, "x")],
  setup: { seconds, rounds, inputs, postgres: server === undefined ? "not installed" : "fsync on, a Unix socket" },
});

/** Submits for some seconds, then claims and finishes the submitted tasks for as long. */
async function measureRound(processes: number, drive: Drive): Promise<StoreFigures> {
  const driver = join(import.meta.dirname, "task-stores/drive-store.ts");
  const children = Array.from({ length: processes }, () =>
    fork(driver, [JSON.stringify(drive)], { execArgv: ["--import", "tsx"] }),
  );
  const submitted = await runPhase(children);
  const ran = await runPhase(children);
  await Promise.all(children.map(async (child) => child.exitCode ?? (await once(child, "exit"))));
  if (drive.store.store === "sqlite") rmSync(drive.store.data, { recursive: true, force: true });
  return {
    submits: total(submitted),
    submitP50: worst(submitted, "p50"),
    submitP99: worst(submitted, "p99"),
    tasks: total(ran),
    taskP50: worst(ran, "p50"),
    taskP99: worst(ran, "p99"),
  };
}

async function runPhase(children: readonly ChildProcess[]): Promise<Driven[]> {
  for (const child of children) await hear(child);
  const done = children.map((child) => hear<Driven>(child));
  for (const child of children) child.send("go");
  return Promise.all(done);
}

async function hear<Message>(child: ChildProcess): Promise<Message> {
  const ended = once(child, "exit").then(([status]) => Promise.reject(new Error(`it ended with ${status}`)));
  const [message] = await Promise.race([once(child, "message"), ended]);
  return message as Message;
}

function total(all: readonly Driven[]): number {
  return all.reduce((sum, { count, seconds: took }) => sum + count / took, 0);
}

function worst(all: readonly Driven[], figure: "p50" | "p99"): number {
  return Math.max(...all.map((one) => one[figure]));
}
