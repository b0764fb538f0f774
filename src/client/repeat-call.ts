import { ServingError } from "../failure/serving-error.js";
import type { CallLimit, CallPlace } from "./call-limit.js";
import { codeOf, type FailureOrigin } from "./endpoint.js";

/** Rules for repeating one call. */
interface RepeatRules {
  /** Most further attempts; 0 for none. */
  readonly retries: number;
  readonly limit: CallLimit;
  readonly place: CallPlace;
  /** True when running the call twice does no harm. */
  readonly isIdempotent: boolean;
}

/** Longest pause that is waited for, in milliseconds. A server that asks for more gets no further attempt. */
const longestPauseMs = 60_000;
/** Pause before the first further attempt when the server names none; doubles with each attempt. */
const firstPauseMs = 100;

/**
 * Runs a call, and again after failures that allow it: the call never began, or may run twice. Ends at the limit of
 * the call: a pause that is longer than the time left is not begun.
 */
export async function repeatCall<T>(run: () => Promise<T>, rules: RepeatRules): Promise<T> {
  const { retries, limit } = rules;
  for (let count = 0; ; count++) {
    try {
      return await run();
    } catch (error) {
      const pauseMs = count < retries && limit.reason === undefined ? pauseAfter(error, count, rules) : undefined;
      if (pauseMs === undefined || pauseMs > longestPauseMs || pauseMs >= (limit.remainingMs ?? pauseMs + 1)) {
        throw error;
      }
      await limit.pause(pauseMs);
    }
  }
}

/** Returns the pause before the next attempt; `undefined` when there is to be none. */
function pauseAfter(error: unknown, count: number, rules: RepeatRules): number | undefined {
  if (!(error instanceof ServingError) || !mayRepeat(error, rules)) return undefined;
  const asked = Number(error.details["retryAfterMs"]) || originOf(error).retryAfterMs || firstPauseMs * 2 ** count;
  // Clients that were refused together come back one after another.
  return asked * (1 + Math.random() / 4);
}

function mayRepeat(error: ServingError, { place, isIdempotent }: RepeatRules): boolean {
  if (isUnsent(error)) return true;
  if (isIdempotent) return error.retryable;
  const { status, retryAfterMs } = originOf(error);
  // A proxy that names a time has refused the request itself.
  if (foreignIds.includes(error.id)) return (status === 429 || status === 503) && retryAfterMs !== undefined;
  return refusals.includes(error.id) && isOf(error, place);
}

/** Ids of answers that are not ekiben's. */
const foreignIds: readonly string[] = ["connect_failed", "invalid_response"];

/** Ids of ekiben's failures that refuse a call before it begins. */
const refusals: readonly string[] = [
  ...["overloaded", "lane_full", "rate_limited", "link_full", "no_ready_replica", "service_failed", "draining"],
  ...["too_many_connections", "context_timeout", "credentials_unavailable"],
];

/** True for a failure of the called api itself. One of a service below it says that the api had begun. */
const isOf = ({ service, api }: ServingError, place: CallPlace): boolean =>
  (service === "" || service === place.service) && (api === "" || api.split(":", 1)[0] === place.api);

/** Node's codes for connections that were never made. Browsers give none. */
const unsentCodes: readonly unknown[] = [
  ...["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"],
];

const isUnsent = ({ id, cause }: ServingError): boolean =>
  id === "connect_failed" && unsentCodes.includes(codeOf(cause));

const originOf = ({ cause }: ServingError): Partial<FailureOrigin> =>
  typeof cause === "object" && cause !== null ? cause : {};
