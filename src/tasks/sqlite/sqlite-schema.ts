import { fail } from "../../failure/fail.js";
import type { SqliteConnection } from "./sqlite-driver.js";

/**
 * One text for each version of the schema; the file's `user_version` says how many of them it has seen. Texts are never
 * changed once published: a change is a further text.
 *
 * Indexes hold only tasks that somebody waits for (see `changes` for `wake_at`), so that what has ended costs nothing.
 *
 * Inputs and outputs have tables of their own, since SQLite writes a row anew as a whole when one of its fields changes.
 */
const versions: readonly string[] = [
  `
  CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    service TEXT NOT NULL,
    api TEXT NOT NULL,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    not_before INTEGER NOT NULL,
    wake_at INTEGER,
    progress REAL,
    note TEXT,
    failure TEXT,
    cancel_failure TEXT,
    lease_token TEXT,
    lease_owner TEXT
  ) STRICT;
  CREATE INDEX tasks_ready ON tasks (service, api, priority DESC, seq) WHERE status = 'pending' AND wake_at IS NULL;
  CREATE INDEX tasks_wake ON tasks (service, api, wake_at) WHERE wake_at IS NOT NULL;
  CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
  CREATE TABLE inputs (
    task INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE,
    context TEXT NOT NULL,
    bytes BLOB,
    file TEXT
  ) STRICT;
  CREATE TABLE outputs (
    task INTEGER PRIMARY KEY REFERENCES tasks (seq) ON DELETE CASCADE,
    bytes BLOB,
    file TEXT
  ) STRICT;
  CREATE UNIQUE INDEX inputs_file ON inputs (file) WHERE file IS NOT NULL;
  CREATE UNIQUE INDEX outputs_file ON outputs (file) WHERE file IS NOT NULL;
  `,
  `
  ALTER TABLE tasks ADD COLUMN namespace TEXT NOT NULL DEFAULT '';
  ALTER TABLE tasks ADD COLUMN key TEXT;
  ALTER TABLE tasks ADD COLUMN fingerprint TEXT;
  DROP INDEX tasks_ready;
  DROP INDEX tasks_wake;
  CREATE INDEX tasks_ready ON tasks (namespace, service, api, priority DESC, seq) WHERE status = 'pending' AND wake_at IS NULL;
  CREATE INDEX tasks_wake ON tasks (namespace, service, api, wake_at) WHERE wake_at IS NOT NULL;
  CREATE UNIQUE INDEX tasks_key ON tasks (namespace, service, api, key) WHERE key IS NOT NULL;
  CREATE INDEX tasks_nobody ON tasks (service, api) WHERE namespace = '';
  CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    session TEXT NOT NULL,
    seen_at INTEGER NOT NULL
  ) STRICT;
  `,
];

/**
 * Brings the file to the newest schema, in one transaction.
 *
 * @throws {ServingError} `task_store_newer` for a file that a newer ekiben has written.
 */
export function migrateSqlite(connection: SqliteConnection): void {
  if (readVersion(connection) === versions.length) return;
  connection.exec("BEGIN IMMEDIATE");
  try {
    // Another process may have done it meanwhile.
    for (const text of versions.slice(readVersion(connection))) connection.exec(text);
    connection.exec(`PRAGMA user_version = ${versions.length}; COMMIT`);
  } catch (error) {
    if (connection.inTransaction) connection.exec("ROLLBACK");
    throw error;
  }
}

function readVersion(connection: SqliteConnection): number {
  const { user_version: version } = connection.prepare("PRAGMA user_version").get() as { user_version: number };
  if (version <= versions.length) return version;
  throw fail("task_store_newer", { engine: "sqlite", version, known: versions.length });
}
