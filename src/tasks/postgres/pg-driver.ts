import type { Client, ClientConfig, Pool } from "pg";
import { fail } from "../../failure/failures.js";
import { ServingError } from "../../failure/serving-error.js";

/** What is used of the package `pg`. */
export interface PgDriver {
  readonly Pool: typeof Pool;
  readonly Client: typeof Client;
}

/** How long a connection may take to come about, a wait for a free one included. */
const connectTimeoutMs = 10_000;
/** Bounds one statement on the server, a large value on a slow line included. */
const statementTimeoutMs = 120_000;
/** How long an answer may take; a server that has gone without a word never gives one. */
export const answerTimeoutMs = 20_000;
/** The same where a large value travels, or much is done; later than the server's own bound, which says more. */
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

/** How every connection to the database at `url` is made. */
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

/** Codes of PostgreSQL (https://www.postgresql.org/docs/current/errcodes-appendix.html), by their class where it will do, and of Node's sockets. */
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

/** Errors of the driver itself have a text alone, those of TLS many codes. */
function readProblem(code: string, message: string): string {
  if (/CERT/.test(code)) return "its certificate can't be trusted";
  if (/SASL|password/i.test(message)) return refused;
  return /terminat|timeout|closed|not queryable/i.test(message) ? unreachable : "it failed unexpectedly";
}

/** What is over when the server is back: nobody can use the store meanwhile. */
export const outageProblems: readonly string[] = [unreachable, restarting, lostConnection];

/** Whether nobody can use the store: its server is away, or does not answer. */
export const isOutage = (error: unknown): boolean =>
  outageProblems.includes(String(toPgFailure(error).details["problem"]));

/** What a driver threw, as the failure that callers of the store get. */
export function toPgFailure(error: unknown): ServingError {
  if (error instanceof ServingError) return error;
  const { code = "", message = "" } = (error ?? {}) as { readonly code?: string; readonly message?: string };
  if (code === diskFull) {
    return fail("task_store_full", { engine: "postgres", problem: "the disk of its server is full" }, { cause: error });
  }
  const problem = problems[code] ?? problems[code.slice(0, 2)] ?? readProblem(code, message);
  return fail("task_store_unavailable", { engine: "postgres", problem }, { cause: error });
}
