import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import type { Refusal } from "./admission.js";
import type { Pace } from "./pace.js";

/** Nobody who is refused for overload should come back sooner. */
const leastRetryMs = 1_000;

interface Circumstances {
  readonly pace: Pace;
  /** Calls that wait. */
  readonly queued: number;
  /** Of the time of the call that is refused. */
  readonly leftMs: number;
}

/** Why a call was not let in, and when it may come again: when what waits now is over, or this one could be in time. */
export function describeRefusal({ why, waitMs }: Refusal, { pace, queued, leftMs }: Circumstances): ServingError {
  const { answerMs, runMs = 0 } = pace;
  const known = { queued, ...(answerMs !== undefined && { answerMs: Number(answerMs.toPrecision(3)) }) };
  const wait = Math.round(waitMs ?? queued * (answerMs ?? runMs));
  if (why === "overloaded") return fail("overloaded", { ...known, retryAfterMs: Math.max(leastRetryMs, 2 * wait) });
  const retryAfterMs = Math.max(1, Math.ceil(wait + runMs - leftMs));
  return fail("overloaded", {
    ...known,
    retryAfterMs,
    waitMs: wait,
    runMs: Math.round(runMs),
    leftMs: Math.round(leftMs),
  });
}
