import type { Code } from "../../failure/codes.js";
import { readNumber } from "../../failure/read-thrown.js";
import type { ServingError } from "../../failure/serving-error.js";

/** What another attempt would fail with as well. */
const lastingCodes: ReadonlySet<Code> = new Set<Code>([
  ...(["invalid_argument", "not_found", "already_exists", "permission_denied", "failed_precondition"] as const),
  ...(["out_of_range", "unimplemented", "unauthenticated"] as const),
]);

const maxBackoffMs = 5 * 60_000;

/** What is known of a task whose attempt has failed. */
export interface FailedAttempt {
  readonly error: ServingError;
  /** From 1. */
  readonly attempt: number;
  readonly attempts: number;
  readonly isIdempotent: boolean;
  readonly backoffMs: number;
}

/**
 * How long to wait before a task that failed is begun again; `undefined` when it is not.
 *
 * It is when it may run twice, when attempts are left, and when another one may end otherwise: not after what the input itself
 * is to blame for. The wait doubles with each attempt, up to five minutes, and is never shorter than the failure asks for.
 *
 * @param random 0 to 1; up to a quarter is added, so that tasks which failed together do not come back together.
 */
export function decideRetry(
  { error, attempt, attempts, isIdempotent, backoffMs }: FailedAttempt,
  random: number,
): number | undefined {
  if (!isIdempotent || attempt >= attempts || lastingCodes.has(error.code)) return undefined;
  const doubled = Math.min(maxBackoffMs, backoffMs * 2 ** (attempt - 1));
  const asked = readNumber(error.details, "retryAfterMs") ?? 0;
  return Math.round(Math.max(doubled * (1 + random / 4), asked > 0 ? Math.min(asked, maxBackoffMs) : 0));
}
