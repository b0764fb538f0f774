import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger } from "../../src/base/logger.js";
import { openPgStore } from "../../src/tasks/postgres/open-pg.js";
import { openSqliteStore } from "../../src/tasks/sqlite/open-sqlite.js";
import type { TaskRecord, TaskStore } from "../../src/tasks/task-store.js";
import { Random } from "../http/random.js";
import { CrashingApp, removeFolder } from "./crashing-app.js";

// Submits tasks while replicas and the supervisor are killed with signal 9, and checks the promises of the app:
//
// Y1  A task whose id was answered is completed in the end, with its own result: none is lost.
// Y2  Its result names one attempt, one that was begun and came to its end, and names the same one ever after: none is
//     recorded twice.
// Y3  No task is in the store that was not handed in, and none twice.
// Y4  No attempt runs that was not claimed: a task is begun at most so often as its record says.

/** Settings of one run. */
export interface CrashRun {
  readonly tasks: number;
  readonly seed: number;
  /** PostgreSQL URL; absent for SQLite. */
  readonly url?: string;
  /** Number of kills. */
  readonly kills: number;
  readonly print: (line: string) => void;
}

const paths = ["/work", "/nested"];
const submittersAtOnce = 16;
const waitersAtOnce = 32;
const patienceMs = 30_000;

/** Task whose id was answered. */
interface Accepted {
  readonly n: number;
  readonly path: string;
  readonly id: string;
}

interface Done {
  readonly n: number;
  readonly by: string;
}

/** Runs all kills. @throws {AssertionError} with all violated promises. */
export async function runCrashes({ tasks, seed, url, kills, print }: CrashRun): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "ekiben-crash-"));
  const log = join(folder, "attempts.log");
  const env = { EKIBEN_DATA: folder, TASK_LOG: log, ...(url !== undefined && { EKIBEN_TASKS_STORE: url }) };
  try {
    await using app = new CrashingApp(env);
    await app.url();
    const begun = performance.now();
    const random = new Random(seed);
    let isOver = false;
    const killing = killAtRandom(app, random, { kills, isOver: () => isOver });
    const { accepted, attempts } = await submitAll(app, tasks);
    const first = await readAll(app, accepted);
    isOver = true;
    await killing;
    const seconds = (performance.now() - begun) / 1000;
    // Reads all results again, after the last kill and after a restart of everything.
    await app.killApp();
    const last = await readAll(app, accepted);
    const { status } = await app.stop();
    assert.equal(status, 0, "it did not stop in order");
    const store = await (url === undefined
      ? openSqliteStore(folder, { log: silentLogger })
      : openPgStore(url, { log: silentLogger, maxConnections: 2, leaseMs: 1_500 }));
    const records = await listAll(store).finally(() => store.close());
    const attemptLog = readAttempts(log);
    const faults = findFaults({ accepted, first, last, records, attemptLog, submissions: attempts });
    const reruns = [...attemptLog.begun.values()].reduce((sum, all) => sum + all.length - 1, 0);
    print(
      `seed ${seed}, ${url === undefined ? "SQLite" : "PostgreSQL"}: ${accepted.length} tasks accepted of ${attempts} handed in`,
    );
    print(`kills: ${app.replicaKills} replicas, ${app.appKills} times the whole app; in ${seconds.toFixed(1)} s`);
    print(
      `completed: ${last.size}, begun again: ${reruns}, lost: ${accepted.length - last.size}, faults: ${faults.length}`,
    );
    assert.deepEqual(faults.slice(0, 20), [], `seed ${seed}: ${faults.length} faults`);
  } finally {
    removeFolder(folder);
  }
}

interface Killing {
  readonly kills: number;
  readonly isOver: () => boolean;
}

/**
 * Mostly single replicas; now and then everything. Kills go on while tasks are handed in and while they are waited for.
 */
async function killAtRandom(app: CrashingApp, random: Random, { kills, isOver }: Killing): Promise<void> {
  for (let i = 0; i < kills && !isOver(); i++) {
    await sleep(random.between(50, 400));
    if (random.chance(0.15)) await app.killApp();
    else app.killReplica((pids) => random.pick(pids));
  }
}

/**
 * Each request has a number of its own, so that one which was not answered, and may be kept all the same, is told
 * apart.
 */
async function submitAll(app: CrashingApp, tasks: number): Promise<{ accepted: Accepted[]; attempts: number }> {
  const accepted: Accepted[] = [];
  let attempts = 0;
  const submit = async () => {
    while (accepted.length < tasks) {
      const n = ++attempts;
      const path = paths[n % 10 === 0 ? 1 : 0] as string;
      const body = await ask(app, "POST", `${path}/submit`, { n, ms: (n * 7) % 150 });
      if (body !== undefined && accepted.length < tasks) accepted.push({ n, path, id: body["task_id"] as string });
    }
  };
  await Promise.all(Array.from({ length: submittersAtOnce }, submit));
  return { accepted, attempts };
}

/** Waits for all tasks, however often the app is killed meanwhile. */
async function readAll(app: CrashingApp, accepted: readonly Accepted[]): Promise<Map<string, Done>> {
  const results = new Map<string, Done>();
  const queue = [...accepted];
  const read = async () => {
    for (let own = queue.shift(); own !== undefined; own = queue.shift()) {
      const { path, id } = own;
      const giveUpAt = performance.now() + 4 * patienceMs;
      while (!results.has(id) && performance.now() < giveUpAt) {
        const body = await ask(app, "GET", `${path}/get?task_id=${id}&wait=true`);
        if (body !== undefined) results.set(id, body as unknown as Done);
      }
    }
  };
  await Promise.all(Array.from({ length: waitersAtOnce }, read));
  return results;
}

/**
 * @returns `undefined` for a request that was not answered, or refused for the moment.
 *
 * @throws {Error} for any other failure.
 */
async function ask(
  app: CrashingApp,
  method: string,
  path: string,
  input?: object,
): Promise<Record<string, unknown> | undefined> {
  const url = await app.url();
  try {
    const response = await fetch(url + path, {
      method,
      headers: { "content-type": "application/json" },
      signal: AbortSignal.timeout(patienceMs),
      ...(input !== undefined && { body: JSON.stringify(input) }),
    });
    const body = (await response.json()) as Record<string, unknown>;
    if (response.ok) return body;
    if (response.status !== 503 && response.status !== 504) throw new Error(`${path}: ${JSON.stringify(body)}`);
  } catch (error) {
    const isCut = error instanceof TypeError || (error instanceof Error && /Abort|Timeout|Syntax/.test(error.name));
    if (!isCut) throw error;
  }
  await sleep(20);
  return undefined;
}

async function listAll(store: TaskStore): Promise<TaskRecord[]> {
  const all: TaskRecord[] = [];
  for (;;) {
    const before = all.at(-1)?.id;
    const page = await store.list({ limit: 1000, ...(before !== undefined && { before }) });
    all.push(...page);
    if (page.length < 1000) return all;
  }
}

/** Effects that tasks have recorded themselves, by number. */
interface AttemptLog {
  readonly begun: ReadonlyMap<number, readonly string[]>;
  readonly ended: ReadonlyMap<number, readonly string[]>;
}

function readAttempts(file: string): AttemptLog {
  const begun = new Map<number, string[]>();
  const ended = new Map<number, string[]>();
  for (const line of existsSync(file) ? readFileSync(file, "utf8").split("\n") : []) {
    const [what, n, by] = line.split(" ");
    if (by === undefined) continue;
    const kept = what === "begun" ? begun : ended;
    kept.set(Number(n), [...(kept.get(Number(n)) ?? []), by]);
  }
  return { begun, ended };
}

interface Evidence {
  readonly accepted: readonly Accepted[];
  readonly first: ReadonlyMap<string, Done>;
  readonly last: ReadonlyMap<string, Done>;
  readonly records: readonly TaskRecord[];
  readonly attemptLog: AttemptLog;
  readonly submissions: number;
}

function findFaults({ accepted, first, last, records, attemptLog, submissions }: Evidence): string[] {
  const faults: string[] = [];
  const byId = new Map(records.map((record) => [record.id, record]));
  for (const { n, id, path } of accepted) {
    const [once, again, record] = [first.get(id), last.get(id), byId.get(id)];
    if (record?.status !== "completed") faults.push(`Y1: task ${n} is ${record?.status ?? "not in the store"}`);
    if (again?.n !== n) faults.push(`Y1: task ${n} has the result of ${again?.n}`);
    if (once?.by !== again?.by) faults.push(`Y2: task ${n} was recorded by ${once?.by}, and again by ${again?.by}`);
    const ends = attemptLog.ended.get(n) ?? [];
    if (again !== undefined && !ends.includes(again.by))
      faults.push(`Y2: task ${n} names an attempt that has not ended`);
    const begun = attemptLog.begun.get(n)?.length ?? 0;
    // Attempts of a nested task are started by the task it submits.
    if (path === "/work" && begun > (record?.attempt ?? 0)) {
      faults.push(`Y4: task ${n} was begun ${begun} times, and claimed ${record?.attempt} times`);
    }
  }
  const own = records.filter(({ service }) => service === "Shallow");
  if (own.length > submissions) faults.push(`Y3: ${own.length} tasks are kept of ${submissions} that were handed in`);
  if (byId.size !== records.length) faults.push("Y3: an id is in the store twice");
  const unfinished = own.filter(({ status }) => status === "failed" || status === "canceled");
  for (const { id, status, failure } of unfinished)
    faults.push(`Y1: task ${id} is ${status}: ${failure?.slice(0, 300)}`);
  return faults;
}
