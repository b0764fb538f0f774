import type { SqliteConnection, SqliteStatement } from "./sqlite-driver.js";
import { changes, isReady } from "./task-changes.js";
import { taskColumns } from "./task-row.js";

const ownColumns = taskColumns.replaceAll("t.", "");

/** The texts of all statements but that of a list, which depends on its filter. */
export const statementTexts = {
  submit: `
    INSERT INTO tasks (id, service, api, status, priority, created_at, not_before)
    VALUES (:id, :service, :api, 'pending', :priority, :now, :now)
    ON CONFLICT (id) DO NOTHING
    RETURNING seq`,
  retry: `
    INSERT INTO tasks (id, service, api, status, priority, created_at, not_before)
    SELECT :newId, service, api, 'pending', priority, :now, :now FROM tasks WHERE seq = :seq
    ON CONFLICT (id) DO NOTHING
    RETURNING seq`,
  addInput: "INSERT INTO inputs (task, context, bytes, file) VALUES (:task, :context, :bytes, :file)",
  copyInput: `
    INSERT INTO inputs (task, context, bytes, file)
    SELECT :task, context, bytes, :file FROM inputs WHERE task = :seq`,
  addOutput: "INSERT INTO outputs (task, bytes, file) VALUES (:task, :bytes, :file)",
  wake: `
    UPDATE tasks AS t SET ${changes.wake}
    WHERE t.seq IN (
      SELECT seq FROM tasks
      WHERE service = :service AND api = :api AND wake_at <= :now ORDER BY wake_at LIMIT :maxWoken
    )`,
  claim: `
    UPDATE tasks AS t SET ${changes.claim("lower(hex(randomblob(16)))")}
    WHERE t.seq = (
      SELECT seq FROM tasks WHERE service = :service AND api = :api AND ${isReady} ORDER BY priority DESC, seq LIMIT 1
    )
    RETURNING ${ownColumns}`,
  renew: `
    UPDATE tasks AS t SET ${changes.renew} WHERE t.id = :id AND t.lease_token = :token
    RETURNING service, api, cancel_failure`,
  finish: `
    UPDATE tasks AS t SET ${changes.finish} WHERE t.id = :id AND t.lease_token = :token
    RETURNING seq, service, api`,
  giveBack: `
    UPDATE tasks AS t SET ${changes.giveBack} WHERE t.id = :id AND t.lease_token = :token
    RETURNING service, api`,
  cancel: `
    UPDATE tasks AS t SET ${changes.cancel} WHERE t.id = :id AND t.status IN ('pending', 'in_progress')
    RETURNING ${ownColumns}`,
  forget: "DELETE FROM tasks WHERE seq IN (SELECT value FROM json_each(:seqs))",
  task: `SELECT ${taskColumns} FROM tasks AS t WHERE t.id = :id`,
  dataVersion: "PRAGMA data_version",
  // Whether a claim would find anything, so that one that would not needs no lock.
  canClaim: `
    SELECT EXISTS (
      SELECT 1 FROM tasks WHERE service = :service AND api = :api AND ${isReady}
    ) OR EXISTS (
      SELECT 1 FROM tasks WHERE service = :service AND api = :api AND wake_at <= :now
    ) AS found`,
  nextWake: "SELECT min(wake_at) AS at FROM tasks WHERE service = :service AND api = :api AND wake_at IS NOT NULL",
  input: "SELECT context, bytes, file FROM inputs WHERE task = :seq",
  output: "SELECT bytes, file FROM outputs WHERE task = :seq",
  countReady: `
    SELECT api, count(*) AS count FROM tasks WHERE service = :service AND ${isReady} GROUP BY api`,
  countWoken: "SELECT api, count(*) AS count FROM tasks WHERE service = :service AND wake_at <= :now GROUP BY api",
  ended: `
    SELECT t.seq, i.file AS input_file, o.file AS output_file
    FROM tasks AS t LEFT JOIN inputs AS i ON i.task = t.seq LEFT JOIN outputs AS o ON o.task = t.seq
    WHERE t.ended_at <= :until ORDER BY t.ended_at LIMIT :limit`,
  named: `
    SELECT file FROM inputs WHERE file IN (SELECT value FROM json_each(:names))
    UNION ALL SELECT file FROM outputs WHERE file IN (SELECT value FROM json_each(:names))`,
} as const;

export type SqliteStatements = Readonly<Record<keyof typeof statementTexts, SqliteStatement>>;

/** Prepares every statement for one connection. */
export function prepareStatements(connection: SqliteConnection): SqliteStatements {
  const prepared = Object.entries(statementTexts).map(([name, text]) => [name, connection.prepare(text)]);
  return Object.fromEntries(prepared) as SqliteStatements;
}
