import type { PoolClient } from "pg";
import { type Clock, systemClock } from "../../base/clock.js";
import type { Logger } from "../../base/logger.js";
import { fail } from "../../failure/fail.js";
import { ClosableStore } from "../closable-store.js";
import { LeaseGrace } from "../lease-grace.js";
import type { StoreHealth } from "../store-health.js";
import type { TaskStore } from "../task-store.js";
import { connectionConfig, loadPg, toPgFailure } from "./pg-driver.js";
import { NewsListener, NewsSender } from "./pg-news.js";
import { migratePg } from "./pg-schema.js";
import { PgStore } from "./pg-store.js";

export interface PgStoreOptions {
  readonly log: Logger;
  /** Hears how calls end. */
  readonly health?: StoreHealth | undefined;
  /** Connections at once, besides the one that listens. */
  readonly maxConnections: number;
  /** Of the app. Leases are spared for so long after the server has started. */
  readonly leaseMs: number;
  /** Default: the clock of the server. */
  readonly clock?: Clock;
}

/** A connection that nobody has used for so long is closed. */
const idleTimeoutMs = 30_000;

/**
 * Opens the tasks kept in a database, and creates its tables where they are missing: `ekiben_tasks` and others, in the first
 * schema of the connection's search path. PostgreSQL 13 or newer.
 *
 * @param url Holds a password, maybe: it is never logged, nor part of a failure.
 * @throws {ServingError} `task_store_driver_missing`, `task_store_newer`, `task_store_unavailable`, `task_store_full`.
 */
export async function openPgStore(
  url: string,
  { log, health, maxConnections, leaseMs, clock }: PgStoreOptions,
): Promise<TaskStore> {
  const { Pool, Client } = await loadPg();
  const config = connectionConfig(url);
  const pool = new Pool({ ...config, max: maxConnections, idleTimeoutMillis: idleTimeoutMs, allowExitOnIdle: true });
  // Of connections that nobody uses at the moment; without a listener it would end the process.
  pool.on("error", (error) => log.debug({ err: error }, "an idle connection to the task store was lost"));
  const grace = new LeaseGrace(systemClock.now);
  try {
    const client = await pool.connect();
    try {
      await migratePg(client);
      if (clock === undefined) grace.noteAge(await readAge(client), leaseMs);
    } finally {
      client.release();
    }
  } catch (error) {
    await pool.end();
    throw toPgFailure(error);
  }
  const sender = new NewsSender((texts) => pool.query({ name: "ekiben_notify", text: notifyText, values: [texts] }));
  const store = new PgStore({
    pool,
    sender,
    createListener: (tell) =>
      new NewsListener({ createClient: () => new Client(config), ownId: sender.id, tell, clock: systemClock, log }),
    clock,
    grace,
    log,
  });
  return new ClosableStore(store, closedFailure, health);
}

/** How long the server has run. */
async function readAge(client: PoolClient): Promise<number> {
  const { rows } = await client.query(
    "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()) * 1000 AS ms",
  );
  return Number(rows[0]?.ms);
}

/** News need not survive the end of the server, so its commit does not wait for the disk. */
const notifyText = `
  SELECT set_config('synchronous_commit', 'off', true), pg_notify('ekiben_tasks', news)
  FROM json_array_elements_text($1::json) AS news`;

const closedFailure = () => fail("task_store_unavailable", { engine: "postgres", problem: "it has been closed" });
