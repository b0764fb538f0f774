import {
  changes,
  createHoldTexts,
  createMarkTexts,
  isHeldForClaimer,
  isReady,
  taskColumns,
  wakeOfNew,
} from "../task-row.js";
import type { SqliteConnection, SqliteStatement } from "./sqlite-driver.js";

const ownColumns = taskColumns.replaceAll("t.", "");
const ofService = "namespace = :namespace AND service = :service";
const ofApi = `${ofService} AND api = :api`;
/** True in SQL for tasks whose time has come and, unless leases are spared, for running tasks with an expired lease. */
const isDue = "wake_at <= :now AND (:spares = 0 OR status = 'pending')";

const holdTexts = createHoldTexts("");

/** Texts of all statements except lists, whose text depends on the filter. */
export const statementTexts = {
  ...createMarkTexts(""),
  ...holdTexts,
  submit: `
    INSERT INTO tasks
      (id, namespace, service, api, status, priority, created_at, not_before, wake_at, key, fingerprint, contract)
    VALUES
      (:id, :namespace, :service, :api, 'pending', :priority, :now, :now + :delayMs, ${wakeOfNew}, :key, :fingerprint,
       :contract)
    ON CONFLICT (id) DO NOTHING
    RETURNING seq`,
  retry: `
    INSERT INTO tasks (id, namespace, service, api, status, priority, created_at, not_before, contract)
    SELECT :newId, namespace, service, api, 'pending', priority, :now, :now, contract FROM tasks WHERE seq = :seq
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
      WHERE ${ofApi} AND ${isDue} ORDER BY wake_at LIMIT :maxWoken
    )`,
  resumeOwn: `UPDATE tasks AS t SET ${changes.resume} WHERE ${ofApi} AND ${isHeldForClaimer}`,
  release: `
    UPDATE tasks AS t SET ${changes.wake}
    WHERE t.seq IN (
      SELECT seq FROM tasks
      WHERE ${ofApi} AND wake_at IS NOT NULL AND CASE
        WHEN :owner IS NULL THEN wake_at <= :now ELSE status = 'in_progress' AND lease_owner LIKE :owner
      END LIMIT :maxWoken
    )`,
  // A lease taken before the clock was set back would last longer by as much.
  shortenLeases: `
    UPDATE tasks SET wake_at = :now + :leaseMs
    WHERE ${ofApi} AND wake_at > :now + :leaseMs AND status = 'in_progress'`,
  claim: `
    UPDATE tasks AS t SET ${changes.claim("lower(hex(randomblob(16)))")}
    WHERE t.seq = (
      SELECT seq FROM tasks WHERE ${ofApi} AND ${isReady} ORDER BY priority DESC, seq LIMIT 1
    )
    RETURNING ${ownColumns}`,
  renew: `
    UPDATE tasks AS t SET ${changes.renew} WHERE t.id = :id AND t.lease_token = :token
    RETURNING namespace, service, api, cancel_failure`,
  finish: `
    UPDATE tasks AS t SET ${changes.finish} WHERE t.id = :id AND t.lease_token = :token
    RETURNING seq, namespace, service, api`,
  giveBack: `
    UPDATE tasks AS t SET ${changes.giveBack} WHERE t.id = :id AND t.lease_token = :token
    RETURNING namespace, service, api`,
  cancel: `
    UPDATE tasks AS t SET ${changes.cancel} WHERE t.id = :id AND t.status IN ('pending', 'held', 'in_progress')
    RETURNING ${ownColumns}`,
  forget: "DELETE FROM tasks WHERE seq IN (SELECT value FROM json_each(:seqs))",
  task: `SELECT ${taskColumns} FROM tasks AS t WHERE t.id = :id`,
  ofKey: `SELECT ${taskColumns}, t.fingerprint FROM tasks AS t WHERE ${ofApi} AND t.key = :key`,
  adopt: `
    UPDATE tasks SET namespace = :namespace
    WHERE seq IN (SELECT seq FROM tasks WHERE namespace = '' AND service = :service AND api = :api LIMIT :limit)`,
  enroll: `
    INSERT INTO runs (id, namespace, host, pid, session, seen_at)
    VALUES (:id, :namespace, :host, :pid, :session, :now)
    ON CONFLICT (id) DO UPDATE SET seen_at = :now`,
  otherRuns: `
    SELECT id, namespace, host, pid, session FROM runs
    WHERE id <> :id AND seen_at > :now - :freshMs ORDER BY seen_at LIMIT 1000`,
  forgetRuns: "DELETE FROM runs WHERE id = :id OR seen_at < :now - :oldMs",
  move: `${holdTexts.move} AND seq > :after AND seq <= :until`,
  lastSeq: "SELECT coalesce(max(seq), 0) AS seq FROM tasks",
  nextReadyPlace: `
    SELECT namespace, service, api FROM tasks
    WHERE ${isReady} AND (namespace, service, api) > (:namespace, :service, :api)
    ORDER BY namespace, service, api LIMIT 1`,
  nextWokenPlace: `
    SELECT namespace, service, api FROM tasks
    WHERE wake_at IS NOT NULL AND (namespace, service, api) > (:namespace, :service, :api)
    ORDER BY namespace, service, api LIMIT 1`,
  countOpen: `
    SELECT
      (SELECT count(*) FROM (SELECT 1 FROM tasks WHERE ${ofApi} AND ${isReady} LIMIT :most))
        + (SELECT count(*) FROM tasks WHERE ${ofApi} AND wake_at IS NOT NULL AND status = 'pending') AS waiting,
      (SELECT count(*) FROM tasks WHERE ${ofApi} AND wake_at IS NOT NULL AND status = 'in_progress') AS running`,
  dataVersion: "PRAGMA data_version",
  // Tells whether a claim would find anything. A claim that would not needs no lock.
  canClaim: `
    SELECT EXISTS (
      SELECT 1 FROM tasks WHERE ${ofApi} AND ${isReady}
    ) OR EXISTS (
      SELECT 1 FROM tasks WHERE ${ofApi} AND ${isDue}
    ) OR EXISTS (
      SELECT 1 FROM tasks WHERE ${ofApi} AND ${isHeldForClaimer}
    ) AS found`,
  nextWake: `
    SELECT min(wake_at) AS at FROM tasks
    WHERE ${ofApi} AND wake_at IS NOT NULL AND (:spares = 0 OR status = 'pending')`,
  input: "SELECT context, bytes, file FROM inputs WHERE task = :seq",
  output: "SELECT bytes, file FROM outputs WHERE task = :seq",
  countReady: `
    SELECT api, count(*) AS count FROM tasks WHERE ${ofService} AND ${isReady} GROUP BY api`,
  countWoken: `SELECT api, count(*) AS count FROM tasks WHERE ${ofService} AND wake_at <= :now GROUP BY api`,
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
