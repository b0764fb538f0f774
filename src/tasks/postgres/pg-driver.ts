import type { Client, ClientConfig, Pool } from "pg";
import { fail } from "../../failure/failures.js";
import { ServingError } from "../../failure/serving-error.js";

/** Used part of the package `pg`. */
interface PgDriver {
  readonly Pool: typeof Pool;
  readonly Client: typeof Client;
}

/** Time limit for getting a connection, including the wait for a free one. */
const connectTimeoutMs = 10_000;
/** Time limit of one statement on the server, including a large value on a slow line. */
const statementTimeoutMs = 120_000;
/** Time limit of an answer; a server that vanished never sends one. */
export const answerTimeoutMs = 20_000;
/**
 * Time limit of an answer with a large value or much work. Longer than the server's own limit, whose error says more.
 */
export const longAnswerTimeoutMs: number = statementTimeoutMs + 10_000;

/** Loads pg. @throws {ServingError} `task_store_driver_missing`. */
export async function loadPg(): Promise<PgDriver> {
  try {
    const { default: pg } = await import("pg");
    return pg;
  } catch (error) {
    throw fail("task_store_driver_missing", { engine: "postgres", driver: "pg" }, { cause: error });
  }
}

/** Makes the settings of every connection to the database at `url`. */
export const connectionConfig = (url: string): ClientConfig => ({
  connectionString: url,
  application_name: "ekiben",
  keepAlive: true,
  connectionTimeoutMillis: connectTimeoutMs,
  statement_timeout: statementTimeoutMs,
  query_timeout: answerTimeoutMs,
  idle_in_transaction_session_timeout: statementTimeoutMs,
});

const unreachable = "it can't be reached";
const lostConnection = "the connection to it was lost";
const restarting = "its server is stopping or starting";
const refused = "it refuses the user or the password";

/**
 * Problems by the codes of PostgreSQL (https://www.postgresql.org/docs/current/errcodes-appendix.html), by class where that is
 * enough, and of Node's sockets.
 */
const problems: Readonly<Record<string, string>> = {
  "08": lostConnection,
  "28": refused,
  "25006": "it is read-only",
  "3D000": "there is no such database",
  "40": "other transactions were in the way",
  "42501": "its user may not do this",
  "53": "it lacks memory or other means",
  "53300": "it has no free connection: lower tasks.maxConnections or raise its max_connections",
  "54": "the value is too large for it",
  "57014": "a statement took too long",
  "57": restarting,
  ECONNREFUSED: unreachable,
  ECONNRESET: unreachable,
  EAI_AGAIN: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ENOENT: unreachable,
  ENOTFOUND: unreachable,
  EPIPE: unreachable,
  ETIMEDOUT: unreachable,
};
const diskFull = "53100";

/** Finds the problem of an error. Errors of the driver itself have only a text; those of TLS have many codes. */
function readProblem(code: string, message: string): string {
  if (/CERT/.test(code)) return "its certificate can't be trusted";
  if (/SASL|password/i.test(message)) return refused;
  return /terminat|timeout|closed|not queryable/i.test(message) ? unreachable : "it failed unexpectedly";
}

/** Problems that end when the server is back. No process can use the store meanwhile. */
export const outageProblems: readonly string[] = [unreachable, restarting, lostConnection];

/** True when no process can use the store: its server is out of reach, or does not answer. */
export const isOutage = (error: unknown): boolean =>
  outageProblems.includes(String(toPgFailure(error).details["problem"]));

/** Converts an error of the driver into the failure that callers of the store get. */
export function toPgFailure(error: unknown): ServingError {
  if (error instanceof ServingError) return error;
  const { code = "", message = "" } = (error ?? {}) as { readonly code?: string; readonly message?: string };
  if (code === diskFull) {
    return fail("task_store_full", { engine: "postgres", problem: "the disk of its server is full" }, { cause: error });
  }
  const problem = problems[code] ?? problems[code.slice(0, 2)] ?? readProblem(code, message);
  return fail("task_store_unavailable", { engine: "postgres", problem }, { cause: error });
}
