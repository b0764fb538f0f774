import {
  changes,
  createHoldTexts,
  createMarkTexts,
  isHeldForClaimer,
  isReady,
  taskColumns,
  wakeOfNew,
} from "../task-row.js";

/** Statement: `text` has `$1` for the value of `names[0]`. Prepared under its name, once for each connection. */
export interface PgStatement {
  readonly name: string;
  readonly text: string;
  readonly names: readonly string[];
  /** True when it may take long: it transfers a large value, or changes many rows. */
  readonly isLong: boolean;
}

const longOnes: readonly string[] = ["submit", "finish", "retry", "purge", "adopt", "move", "resumeAll"];

/** Types of named values; all other values are texts. */
const types: Readonly<Record<string, string>> = {
  now: "bigint",
  leaseMs: "bigint",
  waitMs: "bigint",
  delayMs: "bigint",
  at: "bigint",
  isGone: "integer",
  ageMs: "bigint",
  maxWoken: "integer",
  limit: "integer",
  priority: "integer",
  maxAttempts: "integer",
  uncounted: "integer",
  progress: "double precision",
  spares: "boolean",
  most: "integer",
  pid: "integer",
  freshMs: "bigint",
  oldMs: "bigint",
  input: "bytea",
  output: "bytea",
  seq: "bigint",
  from: "integer",
  partBytes: "integer",
};

/** Clock of the server, constant within one statement. */
const serverNow = "floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint";

/** @param hasOwnClock True when the values contain their own `:now`, as in tests. */
function compile(name: string, text: string, hasOwnClock: boolean): PgStatement {
  const names: string[] = [];
  const numbered = text.replace(/(?<!:):([a-zA-Z]+)/g, (_, value: string) => {
    if (value === "now" && !hasOwnClock) return serverNow;
    if (!names.includes(value)) names.push(value);
    return `$${names.indexOf(value) + 1}::${types[value] ?? "text"}`;
  });
  return { name: `ekiben_${name}`, text: numbered, names, isLong: longOnes.includes(name) };
}

/**
 * Selects a value if it is no longer than one part, and its length. The driver gets bytes as one string in hex, and a
 * string can't hold the largest values, so these are read in parts.
 */
const valueColumns = (table: string) => `
  CASE WHEN octet_length(${table}.bytes) <= :partBytes THEN ${table}.bytes END AS bytes, octet_length(${table}.bytes) AS size`;

const ofService = "namespace = :namespace AND service = :service";
const ofApi = `${ofService} AND api = :api`;
const isHeld = "t.id = :id AND t.lease_token = :token";

const texts = {
  ...createMarkTexts("ekiben_"),
  ...createHoldTexts("ekiben_"),
  submit: `
    WITH added AS (
      INSERT INTO ekiben_tasks AS t
        (id, namespace, service, api, status, priority, created_at, not_before, wake_at, key, fingerprint, contract)
      VALUES
        (:id, :namespace, :service, :api, 'pending', :priority, :now, :now + :delayMs, ${wakeOfNew}, :key, :fingerprint,
         :contract)
      ON CONFLICT DO NOTHING
      RETURNING ${taskColumns}
    ), input AS (
      INSERT INTO ekiben_inputs (task, context, bytes) SELECT seq, :context, :input FROM added
    )
    SELECT * FROM added`,
  // If tasks are due or held for this claimer, they are woken and none is claimed, so that the next claim finds the
  // right order: a statement can't see its own changes. It skips rows that another claim has locked, and waits for
  // none.
  claim: `
    WITH due AS MATERIALIZED (
      SELECT seq FROM ekiben_tasks
      WHERE ${ofApi} AND wake_at <= :now AND (status = 'pending' OR NOT :spares)
      ORDER BY wake_at LIMIT :maxWoken FOR UPDATE SKIP LOCKED
    ), woken AS (
      UPDATE ekiben_tasks AS t SET ${changes.wake} FROM due WHERE t.seq = due.seq
    ), own AS MATERIALIZED (
      SELECT seq FROM ekiben_tasks WHERE ${ofApi} AND ${isHeldForClaimer} LIMIT :maxWoken FOR UPDATE SKIP LOCKED
    ), resumed AS (
      UPDATE ekiben_tasks AS t SET ${changes.resume} FROM own WHERE t.seq = own.seq
    ), ready AS MATERIALIZED (
      SELECT seq FROM ekiben_tasks
      WHERE ${ofApi} AND ${isReady} AND NOT EXISTS (SELECT FROM due) AND NOT EXISTS (SELECT FROM own)
      ORDER BY priority DESC, seq LIMIT :limit FOR UPDATE SKIP LOCKED
    ), claimed AS (
      UPDATE ekiben_tasks AS t SET ${changes.claim("replace(gen_random_uuid()::text, '-', '')")}
      FROM ready WHERE t.seq = ready.seq
      RETURNING t.*
    )
    SELECT ((SELECT count(*) FROM due) + (SELECT count(*) FROM own))::integer AS woken, ${taskColumns}, i.context, ${valueColumns("i")}
    FROM (SELECT) AS always LEFT JOIN (claimed AS t JOIN ekiben_inputs AS i ON i.task = t.seq) ON true
    ORDER BY t.priority DESC, t.seq`,
  nextDue: `
    SELECT min(wake_at) - :now AS ms FROM ekiben_tasks
    WHERE ${ofApi} AND wake_at IS NOT NULL AND (status = 'pending' OR NOT :spares)`,
  release: `
    WITH gone AS MATERIALIZED (
      SELECT seq FROM ekiben_tasks
      WHERE ${ofApi} AND wake_at IS NOT NULL AND CASE
        WHEN :owner IS NULL THEN wake_at <= :now ELSE status = 'in_progress' AND lease_owner LIKE :owner
      END FOR UPDATE SKIP LOCKED
    )
    UPDATE ekiben_tasks AS t SET ${changes.wake} FROM gone WHERE t.seq = gone.seq`,
  ofKey: `SELECT ${taskColumns}, t.fingerprint FROM ekiben_tasks AS t WHERE ${ofApi} AND t.key = :key`,
  adopt: `
    UPDATE ekiben_tasks SET namespace = :namespace WHERE namespace = '' AND service = :service AND api = :api`,
  enroll: `
    INSERT INTO ekiben_runs AS r (id, namespace, host, pid, session, seen_at)
    VALUES (:id, :namespace, :host, :pid, :session, :now)
    ON CONFLICT (id) DO UPDATE SET seen_at = :now`,
  otherRuns: `
    SELECT id, namespace, host, pid, session FROM ekiben_runs
    WHERE id <> :id AND seen_at > :now - :freshMs ORDER BY seen_at LIMIT 1000`,
  forgetRuns: "DELETE FROM ekiben_runs WHERE id = :id OR seen_at < :now - :oldMs",
  nextReadyPlace: `
    SELECT namespace, service, api FROM ekiben_tasks
    WHERE ${isReady} AND (namespace, service, api) > (:namespace, :service, :api)
    ORDER BY namespace, service, api LIMIT 1`,
  nextWokenPlace: `
    SELECT namespace, service, api FROM ekiben_tasks
    WHERE wake_at IS NOT NULL AND (namespace, service, api) > (:namespace, :service, :api)
    ORDER BY namespace, service, api LIMIT 1`,
  countOpen: `
    SELECT
      (SELECT count(*) FROM (SELECT FROM ekiben_tasks WHERE ${ofApi} AND ${isReady} LIMIT :most) AS ready)
        + (SELECT count(*) FROM ekiben_tasks WHERE ${ofApi} AND wake_at IS NOT NULL AND status = 'pending') AS waiting,
      (SELECT count(*) FROM ekiben_tasks WHERE ${ofApi} AND wake_at IS NOT NULL AND status = 'in_progress') AS running`,
  renew: `UPDATE ekiben_tasks AS t SET ${changes.renew} WHERE ${isHeld} RETURNING t.namespace, t.service, t.api, t.cancel_failure`,
  finish: `
    WITH ended AS (
      UPDATE ekiben_tasks AS t SET ${changes.finish} WHERE ${isHeld} RETURNING t.seq, t.namespace, t.service, t.api
    ), output AS (
      INSERT INTO ekiben_outputs (task, bytes) SELECT seq, :output FROM ended WHERE :output IS NOT NULL
    )
    SELECT namespace, service, api FROM ended`,
  giveBack: `UPDATE ekiben_tasks AS t SET ${changes.giveBack} WHERE ${isHeld} RETURNING t.namespace, t.service, t.api`,
  cancel: `
    UPDATE ekiben_tasks AS t SET ${changes.cancel}
    WHERE t.id = :id AND t.status IN ('pending', 'held', 'in_progress')
    RETURNING ${taskColumns}`,
  retry: `
    WITH old AS (
      SELECT * FROM ekiben_tasks WHERE id = :id AND ended_at IS NOT NULL
    ), added AS (
      INSERT INTO ekiben_tasks AS t (id, namespace, service, api, status, priority, created_at, not_before, contract)
      SELECT :newId, namespace, service, api, 'pending', priority, :now, :now, contract FROM old
      ON CONFLICT (id) DO NOTHING
      RETURNING ${taskColumns}
    ), input AS (
      INSERT INTO ekiben_inputs (task, context, bytes)
      SELECT added.seq, i.context, i.bytes FROM added, old JOIN ekiben_inputs AS i ON i.task = old.seq
    )
    SELECT * FROM added`,
  task: `SELECT ${taskColumns} FROM ekiben_tasks AS t WHERE t.id = :id`,
  result: `
    SELECT ${taskColumns}, ${valueColumns("o")}
    FROM ekiben_tasks AS t LEFT JOIN ekiben_outputs AS o ON o.task = t.seq WHERE t.id = :id`,
  inputPart: "SELECT substring(bytes FROM :from FOR :partBytes) AS part FROM ekiben_inputs WHERE task = :seq",
  outputPart: "SELECT substring(bytes FROM :from FOR :partBytes) AS part FROM ekiben_outputs WHERE task = :seq",
  countWaiting: `
    SELECT api, count(*) AS count FROM ekiben_tasks
    WHERE ${ofService} AND ((${isReady}) OR wake_at <= :now) GROUP BY api`,
  purge: `
    WITH old AS MATERIALIZED (
      SELECT seq FROM ekiben_tasks WHERE ended_at <= :now - :ageMs
      ORDER BY ended_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    DELETE FROM ekiben_tasks AS t USING old WHERE t.seq = old.seq`,
} as const;

export type PgStatements = Readonly<Record<keyof typeof texts, PgStatement>>;

/** @param hasOwnClock See `compile`. */
export function compileStatements(hasOwnClock: boolean): PgStatements {
  const compiled = Object.entries(texts).map(([name, text]) => [name, compile(name, text, hasOwnClock)]);
  return Object.fromEntries(compiled) as PgStatements;
}

/** Makes the statement that lists tasks by a filter. @param given Names of the filtered columns, and `before`. */
export function compileList(given: readonly string[]): PgStatement {
  const conditions = given.map((name) =>
    name === "before" ? "t.seq < (SELECT seq FROM ekiben_tasks WHERE id = :before)" : `t.${name} = :${name}`,
  );
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  const text = `SELECT ${taskColumns} FROM ekiben_tasks AS t ${where} ORDER BY t.seq DESC LIMIT :limit`;
  return compile(`list_${given.join("_")}`, text, true);
}
