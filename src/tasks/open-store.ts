import { existsSync } from "node:fs";
import { lstat, readlink, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Clock, pause, systemClock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { GrowingPause } from "../base/repeat-pace.js";
import { type FailureDetails, fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import type { TaskSettings } from "../options/settings.js";
import { StoreHealth } from "./closable-store.js";
import { outageProblems } from "./postgres/pg-driver.js";
import { lockedProblem } from "./sqlite/sqlite-driver.js";
import type { TaskStore } from "./task-store.js";

/** Location of an app's task store. */
interface TaskStorePlace {
  readonly settings: TaskSettings;
  /** Folder of the app's service file. */
  readonly appFolder: string;
  readonly log: Logger;
}

/** Resolves the data folder of an app: the configured one, else `.ekiben` beside the app. */
export function resolveStoreFolder(data: string, appFolder: string): string {
  return data === "" ? join(appFolder, ".ekiben") : resolve(data);
}

/** Formats the location of the store for people, without a password. */
export function formatStore({ settings, appFolder }: Omit<TaskStorePlace, "log">): string {
  if (settings.store === "sqlite") return join(resolveStoreFolder(settings.data, appFolder), "tasks.db");
  const { host, pathname, searchParams } = new URL(settings.store);
  return `PostgreSQL at ${host || (searchParams.get("host") ?? "its usual place")}, database ${pathname.slice(1)}`;
}

/** True when the store may exist already. An app without tasks need not create a store to find out. */
export function hasTaskStore({ settings, appFolder }: Omit<TaskStorePlace, "log">): boolean {
  return settings.store !== "sqlite" || existsSync(join(resolveStoreFolder(settings.data, appFolder), "tasks.db"));
}

/** Limits of the wait for a store that is out of reach. */
export interface StoreWait {
  readonly limitMs: number;
  /** Aborts the wait. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

const firstPauseMs = 200;
const longestPauseMs = 5_000;

/**
 * Opens the store that the options name. Loads its engine and driver only here, so that an app without tasks loads
 * neither.
 *
 * @param wait Limits of the wait for a server that can't be reached or a lock that others hold; logged once. Default:
 *   no wait.
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
        log.warn({ err: failure, limitMs: wait.limitMs }, "the task store can't be used yet; waiting for it");
      }
      await pause(wait.clock, pauseMs, wait.signal);
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

/** True when the error may pass by itself. */
function isPassing(error: unknown): boolean {
  const problem = error instanceof ServingError ? String(error.details["problem"]) : "";
  return problem === lockedProblem || outageProblems.includes(problem);
}

/** Location of a store that could not be opened. */
interface UnopenedStore {
  /** Location for people to read. */
  readonly place: string;
  /** Data folder, for SQLite. */
  readonly folder: string | undefined;
}

const named = ["task_store_unavailable", "task_store_full"] as const;
type NamedId = (typeof named)[number];

/**
 * Adds the location of the store and the error of the system to the failure of opening it. Only whoever starts the app
 * sees it; failures of later calls do not contain the location.
 */
async function nameStore(error: unknown, { place, folder }: UnopenedStore): Promise<unknown> {
  if (!(error instanceof ServingError) || !named.includes(error.id as NamedId)) return error;
  const { engine, problem } = error.details as FailureDetails<NamedId>;
  const { cause } = error;
  const ground = folder === undefined ? undefined : await formatFolderFault(folder);
  const said = cause instanceof Error && cause.message !== "" ? ` (${cause.message})` : "";
  return fail(error.id as NamedId, { engine, problem: `${ground ?? `${place}: ${problem}`}${said}` }, { cause });
}

/** Describes an unexpected file or link in the place of the folder or its database; `undefined` when there is none. */
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
