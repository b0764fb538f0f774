import assert from "node:assert/strict";
import { ChaosApp, type Inventory, until } from "./app.js";
import type { Holding } from "./processes.js";
import { askCalmly, connectionCount, rage } from "./storm.js";
import { formatTable, Tally } from "./tally.js";

// Kills replicas with signal 9 under load, and checks the promises of the app:
//
// X1  No idempotent request fails. When the connection breaks with an entry replica, the client sends the request
//     again, as browsers and proxies do; it sends no other request again.
// X2  A request that may not run twice, or whose stream has begun, fails with a 503 that names the service of the lost
//     replica, or with its connection, and the latter only when an entry replica ends. No wrong answer looks right.
// X3  Nothing hangs.
// X4  After each storm, replicas, processes, descriptors and files are as before, and memory does not grow.
// X5  SIGTERM leaves nothing behind.

/** A run of several storms. */
export interface ChaosRun {
  readonly seed: number;
  /**
   * Milliseconds of each storm; at least three storms. In the first, any replica may be killed. In the second, the
   * spared replicas reach their full size. From the third on, they must not grow.
   */
  readonly storms: readonly number[];
  /** Takes each line of the report as soon as it is known. */
  readonly print: (line: string) => void;
}

/** Spared replicas: one between clients and other replicas, and one in the middle of the chain. */
const survivors = ["Front#0", "Third#0"];

/**
 * Allowance for files in memory: a replica has at most four links, each with as many tensors at once as there are
 * connections.
 */
const maxSlabs = 4 * connectionCount;

/** Allowance for code that is compiled only under load, and for heaps that are not collected yet. */
const memoryToleranceMiB = 64;

/** Runs storms over an app. @throws {AssertionError} with all violated promises. */
export async function runChaos({ seed, storms, print }: ChaosRun): Promise<void> {
  await using app = await ChaosApp.start();
  const watch = new Watch(app);
  const tally = new Tally();
  print(`seed ${seed}, ${connectionCount} connections, storms of ${storms.map((ms) => `${ms / 1000} s`).join(", ")}`);
  await watch.begin(seed);
  for (const [i, ms] of storms.entries()) {
    const isSpared = (replica: string) => i > 0 && survivors.includes(replica);
    await rage(app, { seed: seed + i * 1000, ms, isSpared }, tally);
    await watch.compare(seed + i);
    if (i === 1) watch.keepWarm();
    print(`storm ${i + 1}: ${app.kills.length} kills so far, ${tally.faults.length} requests against the promises`);
  }
  for (const line of [...formatKills(app), ...formatRequests(tally), ...watch.format()]) print(line);
  const { status, left } = await app.stop();
  const remains = left.map((what) => `after SIGTERM there is still ${what}`);
  const faults = [...tally.faults, ...watch.faults, ...app.complaints, ...remains];
  if (status !== 0) faults.push(`after SIGTERM it ended with ${status}`);
  assert.equal(faults.length, 0, `seed ${seed}: ${faults.length} faults\n${faults.slice(0, 20).join("\n")}`);
}

/** Compares the state of the app between storms. */
class Watch {
  readonly faults: string[] = [];
  readonly #app: ChaosApp;
  #before!: Inventory;
  /** State after the second storm. */
  #warm: Inventory | undefined;
  #now!: Inventory;

  constructor(app: ChaosApp) {
    this.#app = app;
  }

  async begin(seed: number): Promise<void> {
    await until(() => this.#app.isWhole());
    this.faults.push(...(await askCalmly(this.#app, seed)));
    await until(() => this.#app.isWhole());
    // The answer arrives before the other side has closed the connection.
    await until(() => !this.#app.hasClients);
    this.#before = this.#app.takeInventory();
  }

  /** Waits until everything is as before, or reports the difference. */
  async compare(seed: number): Promise<void> {
    await until(() => this.#app.isWhole()).catch((error: Error) => this.faults.push(error.message));
    this.faults.push(...(await askCalmly(this.#app, seed)));
    let differences: string[] = [];
    await until(() => {
      this.#now = this.#app.takeInventory();
      differences = findDifferences(this.#before, this.#now);
      return differences.length === 0;
    }).catch(() => this.faults.push(...differences));
    this.#compareMemory();
  }

  /** Sets the limit: memory must not grow from here on. */
  keepWarm(): void {
    this.#warm = this.#now;
  }

  /**
   * Formats one line for each process: its state before the first storm and after the last. Survivors have lived since
   * the first storm.
   */
  format(): string[] {
    const names = [...this.#before.replicas.keys()];
    const rowOf = (name: string, a: Holding | undefined, b: Holding | undefined) => {
      const show = (read: (holding: Holding) => number) => `${a && read(a)} -> ${b && read(b)}`;
      return [
        name,
        ...[show((h) => h.sockets), show((h) => h.slabs), show((h) => h.others), show((h) => h.residentMiB)],
      ];
    };
    const rows = names.map((name) => rowOf(name, this.#before.replicas.get(name), this.#now.replicas.get(name)));
    const head = ["before -> after", "sockets", "slabs", "other files", "MiB"];
    const table = formatTable([head, rowOf("supervisor", this.#before.supervisor, this.#now.supervisor), ...rows]);
    const warmOf = (name: string) => `${name} ${this.#warm?.replicas.get(name)?.residentMiB}`;
    const warm = [`supervisor ${this.#warm?.supervisor.residentMiB}`, ...survivors.map(warmOf)].join(", ");
    return [
      ...table,
      `MiB after the second storm: ${warm}`,
      `processes: ${this.#before.processes} -> ${this.#now.processes}`,
    ];
  }

  #compareMemory(): void {
    const warm = this.#warm;
    if (warm === undefined) return;
    const compare = (name: string, before: Holding | undefined, now: Holding | undefined) => {
      const grown = (now?.residentMiB ?? 0) - (before?.residentMiB ?? 0);
      if (grown > memoryToleranceMiB) this.faults.push(`${name} has grown by ${grown} MiB`);
    };
    compare("the supervisor", warm.supervisor, this.#now.supervisor);
    for (const name of survivors) {
      const [before, now] = [warm.replicas.get(name), this.#now.replicas.get(name)];
      compare(name, before, now);
      if (before?.pid !== now?.pid) this.faults.push(`${name} was spared and is another now`);
    }
  }
}

function findDifferences(before: Inventory, now: Inventory): string[] {
  const faults: string[] = [];
  const compare = (what: string, a: unknown, b: unknown) => {
    if (a !== b) faults.push(`${what}: ${a} before, ${b} now`);
  };
  compare("processes", before.processes, now.processes);
  compare("replicas", [...before.replicas.keys()].join(" "), [...now.replicas.keys()].join(" "));
  compare("sockets in the app's folder", before.socketFiles.length, now.socketFiles.length);
  compare("files in memory that nobody opens", 0, now.slabFiles.length);
  compare("sockets of the supervisor", before.supervisor.sockets, now.supervisor.sockets);
  compare("other files of the supervisor", before.supervisor.others, now.supervisor.others);
  for (const [name, own] of before.replicas) {
    compare(`sockets of ${name}`, own.sockets, now.replicas.get(name)?.sockets);
    compare(`other files of ${name}`, own.others, now.replicas.get(name)?.others);
    const slabs = now.replicas.get(name)?.slabs ?? 0;
    if (slabs > maxSlabs) faults.push(`slabs of ${name}: ${slabs}, at most ${maxSlabs}`);
  }
  return faults;
}

function formatKills(app: ChaosApp): string[] {
  const counts = new Map<string, number>();
  for (const { pid } of app.kills) {
    const service = app.replicaOf(pid)?.split("#")[0] ?? "before its start";
    counts.set(service, (counts.get(service) ?? 0) + 1);
  }
  const shown = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([service, count]) => `${service} ${count}`);
  return [`kills: ${app.kills.length} (${shown.join(", ")})`];
}

function formatRequests(tally: Tally): string[] {
  const failures = [...tally.failures]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, count]) => `${name} ${count}`);
  return [
    ...tally.formatRequests(),
    `failed: ${failures.join(", ") || "none"}`,
    `slowest right answer ${Math.round(tally.slowestMs)} ms; longest time without one ${Math.round(tally.longestSilenceMs)} ms`,
  ];
}
