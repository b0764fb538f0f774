import type { PoolClient } from "pg";
import { type Clock, systemClock } from "../../base/clock.js";
import type { Logger } from "../../base/logger.js";
import { fail } from "../../failure/failures.js";
import { ClosableStore, type StoreHealth } from "../closable-store.js";
import { LeaseGrace } from "../lease-grace.js";
import type { TaskStore } from "../task-store.js";
import { connectionConfig, loadPg, toPgFailure } from "./pg-driver.js";
import { NewsListener, NewsSender } from "./pg-news.js";
import { PgStore } from "./pg-store.js";

interface PgStoreOptions {
  readonly log: Logger;
  /** Is notified how calls end. */
  readonly health?: StoreHealth | undefined;
  /** Most connections, besides the one that listens. */
  readonly maxConnections: number;
  /** Lease time of the app. Leases are spared for this time after the server has started. */
  readonly leaseMs: number;
  /** Clock of the store's times. Default: the clock of the server. */
  readonly clock?: Clock;
}

/** Milliseconds after which an unused connection is closed. */
const idleTimeoutMs = 30_000;

/**
 * Opens the task store in a database, and creates missing tables: `ekiben_tasks` and others, in the first schema of the
 * connection's search path. Needs PostgreSQL 13 or newer.
 *
 * @param url May contain a password. It is never logged, and never part of a failure.
 * @throws {ServingError} `task_store_driver_missing`, `task_store_newer`, `task_store_unavailable`, `task_store_full`.
 */
export async function openPgStore(
  url: string,
  { log, health, maxConnections, leaseMs, clock }: PgStoreOptions,
): Promise<TaskStore> {
  const { Pool, Client } = await loadPg();
  const config = connectionConfig(url);
  const pool = new Pool({ ...config, max: maxConnections, idleTimeoutMillis: idleTimeoutMs, allowExitOnIdle: true });
  // Errors of idle connections; without a listener they would end the process.
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

/** Reads the uptime of the server, in milliseconds. */
async function readAge(client: PoolClient): Promise<number> {
  const { rows } = await client.query(
    "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()) * 1000 AS ms",
  );
  return Number(rows[0]?.ms);
}

/** Sends news. It need not survive a crash of the server, so its commit does not wait for the disk. */
const notifyText = `
  SELECT set_config('synchronous_commit', 'off', true), pg_notify('ekiben_tasks', news)
  FROM json_array_elements_text($1::json) AS news`;

const closedFailure = () => fail("task_store_unavailable", { engine: "postgres", problem: "it has been closed" });

/**
 * Versions of the schema, one text each, as in `open-sqlite.ts`. `ekiben_schema` has the number of texts that were
 * applied. Values are not compressed, since most are tensors and pictures. They are kept apart from the fields that
 * change, since PostgreSQL rewrites a row as a whole.
 */
const versions: readonly string[] = [
  `
  CREATE TABLE ekiben_tasks (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    service text NOT NULL,
    api text NOT NULL,
    status text NOT NULL,
    priority integer NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    started_at bigint,
    ended_at bigint,
    not_before bigint NOT NULL,
    wake_at bigint,
    progress double precision,
    note text,
    failure text,
    cancel_failure text,
    lease_token text,
    lease_owner text
  ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
  CREATE INDEX ekiben_tasks_ready ON ekiben_tasks (service, api, priority DESC, seq)
    WHERE status = 'pending' AND wake_at IS NULL;
  CREATE INDEX ekiben_tasks_wake ON ekiben_tasks (service, api, wake_at) WHERE wake_at IS NOT NULL;
  CREATE INDEX ekiben_tasks_ended ON ekiben_tasks (ended_at) WHERE ended_at IS NOT NULL;
  CREATE TABLE ekiben_inputs (
    task bigint PRIMARY KEY REFERENCES ekiben_tasks (seq) ON DELETE CASCADE,
    context text NOT NULL,
    bytes bytea NOT NULL
  );
  ALTER TABLE ekiben_inputs ALTER COLUMN bytes SET STORAGE EXTERNAL;
  CREATE TABLE ekiben_outputs (
    task bigint PRIMARY KEY REFERENCES ekiben_tasks (seq) ON DELETE CASCADE,
    bytes bytea NOT NULL
  );
  ALTER TABLE ekiben_outputs ALTER COLUMN bytes SET STORAGE EXTERNAL;
  `,
  `
  ALTER TABLE ekiben_tasks
    ADD COLUMN namespace text NOT NULL DEFAULT '', ADD COLUMN key text, ADD COLUMN fingerprint text;
  DROP INDEX ekiben_tasks_ready;
  DROP INDEX ekiben_tasks_wake;
  CREATE INDEX ekiben_tasks_ready ON ekiben_tasks (namespace, service, api, priority DESC, seq)
    WHERE status = 'pending' AND wake_at IS NULL;
  CREATE INDEX ekiben_tasks_wake ON ekiben_tasks (namespace, service, api, wake_at) WHERE wake_at IS NOT NULL;
  CREATE UNIQUE INDEX ekiben_tasks_key ON ekiben_tasks (namespace, service, api, key) WHERE key IS NOT NULL;
  CREATE INDEX ekiben_tasks_nobody ON ekiben_tasks (service, api) WHERE namespace = '';
  CREATE TABLE ekiben_runs (
    id text PRIMARY KEY,
    namespace text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    session text NOT NULL,
    seen_at bigint NOT NULL
  );
  `,
  `
  CREATE TABLE ekiben_schedules (
    namespace text NOT NULL,
    service text NOT NULL,
    api text NOT NULL,
    schedule text NOT NULL,
    planned_at bigint NOT NULL,
    task text,
    PRIMARY KEY (namespace, service, api)
  );
  CREATE TABLE ekiben_onces (
    namespace text NOT NULL,
    name text NOT NULL,
    token text NOT NULL,
    holder text NOT NULL,
    lease_ends_at bigint NOT NULL,
    done_at bigint,
    failure text,
    PRIMARY KEY (namespace, name)
  );
  `,
  `
  ALTER TABLE ekiben_tasks ADD COLUMN contract text, ADD COLUMN held_by text;
  CREATE INDEX ekiben_tasks_held ON ekiben_tasks (namespace, service, api, contract) WHERE status = 'held';
  `,
];

/** Number of the advisory lock, the same in every version of ekiben: "ekiben" in ASCII. */
const lockKey = "111490913854830";

/**
 * Brings the database to the newest schema. Processes that start at once wait for one another.
 *
 * @throws {ServingError} `task_store_newer` for a database that a newer ekiben has written.
 */
async function migratePg(client: PoolClient): Promise<void> {
  if ((await readVersion(client)) === versions.length) return;
  await client.query("BEGIN");
  try {
    await client.query(`SELECT pg_advisory_xact_lock(${lockKey})`);
    await client.query("CREATE TABLE IF NOT EXISTS ekiben_schema (version integer NOT NULL)");
    const version = await readVersion(client);
    for (const text of versions.slice(version)) await client.query(text);
    await client.query("DELETE FROM ekiben_schema");
    await client.query("INSERT INTO ekiben_schema (version) VALUES ($1)", [versions.length]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw error;
  }
}

async function readVersion(client: PoolClient): Promise<number> {
  const found = await client.query("SELECT to_regclass('ekiben_schema') IS NOT NULL AS found");
  if (found.rows[0].found === false) return 0;
  const { rows } = await client.query("SELECT version FROM ekiben_schema");
  const version = Number(rows[0]?.version ?? 0);
  if (version <= versions.length) return version;
  throw fail("task_store_newer", { engine: "postgres", version, known: versions.length });
}
