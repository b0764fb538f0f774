import { existsSync } from "node:fs";
import { lstat, readlink, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Clock, systemClock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { GrowingPause } from "../base/repeat-pace.js";
import { type FailureDetails, fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import type { TaskSettings } from "../options/settings.js";
import { StoreHealth } from "./closable-store.js";
import { outageProblems } from "./postgres/pg-driver.js";
import { lockedProblem } from "./sqlite/sqlite-driver.js";
import type { TaskStore } from "./task-store.js";

/** Where an app's tasks are kept. */
interface TaskStorePlace {
  readonly settings: TaskSettings;
  /** Folder of the app's service file. */
  readonly appFolder: string;
  readonly log: Logger;
}

/** The folder in which an app keeps what must outlive it: the one given, else `.ekiben` beside the app. */
export function resolveStoreFolder(data: string, appFolder: string): string {
  return data === "" ? join(appFolder, ".ekiben") : resolve(data);
}

/** Where the store is, for people to read; no password is in it. */
export function formatStore({ settings, appFolder }: Omit<TaskStorePlace, "log">): string {
  if (settings.store === "sqlite") return join(resolveStoreFolder(settings.data, appFolder), "tasks.db");
  const { host, pathname, searchParams } = new URL(settings.store);
  return `PostgreSQL at ${host || (searchParams.get("host") ?? "its usual place")}, database ${pathname.slice(1)}`;
}

/** Whether there may be tasks already: an app that has none need not make a store to learn that. */
export function hasTaskStore({ settings, appFolder }: Omit<TaskStorePlace, "log">): boolean {
  return settings.store !== "sqlite" || existsSync(join(resolveStoreFolder(settings.data, appFolder), "tasks.db"));
}

/** How long a store that is away for the moment is waited for. */
export interface StoreWait {
  readonly limitMs: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

const firstPauseMs = 200;
const longestPauseMs = 5_000;

/**
 * Opens the store that the options name. Loads its engine and driver only now, so that an app without tasks does not.
 *
 * @param wait Whether a server that can't be reached, or a lock that others hold, is waited for, with a line in the log. Default: not.
 * @throws {ServingError} `task_store_driver_missing`, `task_store_newer`, `task_store_unavailable`, `task_store_full`.
 */
export async function openTaskStore(place: TaskStorePlace, wait?: StoreWait): Promise<TaskStore> {
  const { settings, appFolder, log } = place;
  const words = formatStore(place);
  const folder = settings.store === "sqlite" ? resolveStoreFolder(settings.data, appFolder) : undefined;
  const giveUpAt = wait === undefined ? 0 : wait.clock.now() + wait.limitMs;
  const pauses = new GrowingPause(firstPauseMs, longestPauseMs);
  for (;;) {
    try {
      return await openOnce(place, words);
    } catch (error) {
      const pauseMs = pauses.begin();
      const failure = await nameStore(error, { place: words, folder });
      if (wait === undefined || !isPassing(error) || wait.signal.aborted || wait.clock.now() + pauseMs > giveUpAt)
        throw failure;
      if (pauseMs === firstPauseMs) {
        log.warn({ err: failure, limitMs: wait.limitMs }, "the task store can't be used yet; it is waited for");
      }
      await pause(pauseMs, wait);
    }
  }
}

async function openOnce({ settings, appFolder, log }: TaskStorePlace, place: string): Promise<TaskStore> {
  const health = new StoreHealth({ log, place, now: systemClock.now });
  if (settings.store !== "sqlite") {
    const { openPgStore } = await import("./postgres/open-pg.js");
    const { maxConnections, leaseMs } = settings;
    return openPgStore(settings.store, { log, health, maxConnections, leaseMs });
  }
  const { openSqliteStore } = await import("./sqlite/open-sqlite.js");
  return openSqliteStore(resolveStoreFolder(settings.data, appFolder), { log, health });
}

/** Whether it may be otherwise in a moment. */
function isPassing(error: unknown): boolean {
  const problem = error instanceof ServingError ? String(error.details["problem"]) : "";
  return problem === lockedProblem || outageProblems.includes(problem);
}

function pause(ms: number, { signal, clock }: StoreWait): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      timer.clear();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.setTimer(end, ms, true);
    signal.addEventListener("abort", end);
  });
}

/** A store that could not be opened. */
interface UnopenedStore {
  /** In words. */
  readonly place: string;
  /** Of SQLite: the data folder. */
  readonly folder: string | undefined;
}

const named = ["task_store_unavailable", "task_store_full"] as const;
type NamedId = (typeof named)[number];

/**
 * Why a store could not be opened, with its place, and with what the system said. Only who starts the app reads it: calls that fail
 * later do not say where the store is.
 */
async function nameStore(error: unknown, { place, folder }: UnopenedStore): Promise<unknown> {
  if (!(error instanceof ServingError) || !named.includes(error.id as NamedId)) return error;
  const { engine, problem } = error.details as FailureDetails<NamedId>;
  const { cause } = error;
  const ground = folder === undefined ? undefined : await formatFolderFault(folder);
  const said = cause instanceof Error && cause.message !== "" ? ` (${cause.message})` : "";
  return fail(error.id as NamedId, { engine, problem: `${ground ?? `${place}: ${problem}`}${said}` }, { cause });
}

/** What stands where the folder or its database should be; `undefined` where nothing odd does. */
async function formatFolderFault(folder: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    const problem = await formatPathFault(at, "folder");
    if (problem !== undefined) return problem;
    if (at === dirname(at)) break;
  }
  return formatPathFault(join(folder, "tasks.db"), "file");
}

async function formatPathFault(path: string, expected: "file" | "folder"): Promise<string | undefined> {
  const [own, target] = await Promise.all([lstat(path), stat(path)].map((look) => look.catch(() => undefined)));
  if (own?.isSymbolicLink() === true && target === undefined) {
    return `${path} is a link to ${await readlink(path).catch(() => "something")}, which is not there`;
  }
  if (target === undefined) return undefined;
  const isFitting = expected === "folder" ? target.isDirectory() : target.isFile();
  return isFitting ? undefined : `${path} is no ${expected}`;
}
