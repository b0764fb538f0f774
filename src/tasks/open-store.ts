import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Logger } from "../base/logger.js";
import type { TaskSettings } from "../options/settings.js";
import type { TaskStore } from "./task-store.js";

/** Where an app's tasks are kept. */
export interface TaskStorePlace {
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
export function describeStore({ settings, appFolder }: Omit<TaskStorePlace, "log">): string {
  if (settings.store === "sqlite") return join(resolveStoreFolder(settings.data, appFolder), "tasks.db");
  const { host, pathname, searchParams } = new URL(settings.store);
  return `PostgreSQL at ${host || (searchParams.get("host") ?? "its usual place")}, database ${pathname.slice(1)}`;
}

/** Whether there may be tasks already: an app that has none need not make a store to learn that. */
export function hasTaskStore({ settings, appFolder }: Omit<TaskStorePlace, "log">): boolean {
  return settings.store !== "sqlite" || existsSync(join(resolveStoreFolder(settings.data, appFolder), "tasks.db"));
}

/**
 * Opens the store that the options name. Loads its engine and driver only now, so that an app without tasks does not.
 *
 * @throws {ServingError} `task_store_driver_missing`, `task_store_newer`, `task_store_unavailable`, `task_store_full`.
 */
export async function openTaskStore({ settings, appFolder, log }: TaskStorePlace): Promise<TaskStore> {
  if (settings.store !== "sqlite") {
    const { openPgStore } = await import("./open-pg.js");
    return openPgStore(settings.store, { log, maxConnections: settings.maxConnections, leaseMs: settings.leaseMs });
  }
  const { openSqliteStore } = await import("./open-sqlite.js");
  return openSqliteStore(resolveStoreFolder(settings.data, appFolder), { log });
}
