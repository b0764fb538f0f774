import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "../chaos/exchange.js";
import { listDescriptors } from "../chaos/processes.js";
import type { Random } from "../http/random.js";
import type { HostileApp } from "./hostile-app.js";

/** Period in which this test delays answers on purpose; it counts as no stall. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** One fault that the system causes in an app. */
export interface SystemFault {
  readonly name: string;
  /** True when answers may take longer meanwhile, through no fault of the app. */
  readonly delays: boolean;
  run(app: HostileApp, random: Random): Promise<void>;
}

/** Replicas that are killed; not the entry, whose end breaks connections of clients. */
const victims = ["Model#0", "Batched#0"];

export const systemFaults: readonly SystemFault[] = [
  {
    name: "a replica is killed",
    delays: false,
    run: async (app, random) => killReplica(app, random),
  },
  {
    name: "nobody reads its output",
    delays: false,
    run: async (app, random) => {
      const { stdout, stderr } = app.command.child;
      stdout?.pause();
      stderr?.pause();
      await sleep(random.between(1000, 4000));
      stdout?.resume();
      stderr?.resume();
    },
  },
  {
    name: "no free descriptors",
    delays: false,
    run: async (app, random) => {
      const pid = pick(app, random, ["Hostile#0", "Model#0", "Batched#0", "supervisor"]);
      if (pid === undefined) return;
      const before = limitDescriptors(pid, listDescriptors(pid).length + random.between(0, 3));
      if (before === undefined) return;
      // A request needs descriptors meanwhile.
      const connections = Array.from({ length: 8 }, () => new Connection(app.url, 2_000));
      const asked = connections.map((connection) => connection.send({ method: "GET", path: "/livez" }));
      await sleep(random.between(200, 2000));
      limitDescriptors(pid, before);
      await Promise.all(asked);
      for (const connection of connections) connection.close();
    },
  },
  {
    name: "its folder in shared memory is removed",
    delays: false,
    run: async (app) => {
      for (const folder of app.folders.memory) rmSync(folder, { recursive: true, force: true });
    },
  },
  {
    name: "its temporary folder is removed, and a replica is killed",
    delays: false,
    run: async (app, random) => {
      for (const folder of app.folders.sockets) rmSync(folder, { recursive: true, force: true });
      killReplica(app, random);
    },
  },
  {
    name: "a wall clock is stepped",
    delays: false,
    run: async (app, random) => {
      const pid = pick(app, random, ["Hostile#0", "Model#0", "Batched#0", "supervisor"]);
      const hour = 3_600_000;
      if (pid !== undefined) app.shiftClock(pid, random.pick([hour, -hour, 720 * hour, -240 * hour, 1500, -1500, 0]));
    },
  },
  {
    name: "a replica is stopped for a second",
    delays: true,
    run: async (app, random) => {
      const pid = pick(app, random, ["Hostile#0", "Model#0", "Batched#0"]);
      if (pid === undefined) return;
      process.kill(pid, "SIGSTOP");
      await sleep(random.between(200, 1000));
      process.kill(pid, "SIGCONT");
    },
  },
];

/** Kills one replica that has a process of its own. */
function killReplica(app: HostileApp, random: Random): void {
  const pid = pick(app, random, victims);
  if (pid !== undefined) app.kill(pid);
}

function pick(app: HostileApp, random: Random, names: readonly string[]): number | undefined {
  const name = random.pick(names);
  return name === "supervisor" ? app.pid : app.pidOf(name);
}

/** Sets the soft limit of a running process. @returns The former limit; `undefined` when it cannot be set. */
function limitDescriptors(pid: number, soft: number): number | undefined {
  const options = { encoding: "utf8" } as const;
  const shown = spawnSync("prlimit", ["--pid", `${pid}`, "--nofile", "--output", "SOFT", "--noheadings"], options);
  const set = spawnSync("prlimit", ["--pid", `${pid}`, `--nofile=${soft}:`], options);
  return shown.status === 0 && set.status === 0 ? Number(shown.stdout.trim()) : undefined;
}
