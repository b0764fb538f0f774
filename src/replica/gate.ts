import type { Priority } from "../call/call.js";
import type { CallScope } from "../call/call-scope.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { LaneStats, RefusalReason } from "../observe/call-stats.js";
import { Admission, type Refusal } from "./admission.js";
import type { Pace } from "./pace.js";

/** How much is asked of one api in one replica. */
export interface Pressure {
  readonly isOverloaded: boolean;
  /** From one answer to the next, while others wait; `undefined` while that is not known. */
  readonly answerMs: number | undefined;
  /** Calls that were refused so far. */
  readonly refused: number;
}

/** Time that a call waited, and its place in the queue. */
export interface QueueWait {
  readonly place: { readonly priority: Priority; readonly era: number };
  readonly ms: number;
}

/** Who may wait at one api of one replica: what `Admission` decides, told as a failure and counted. Metrics know it until it is closed. */
export class Gate implements Pressure {
  readonly admission: Admission;
  readonly #stats: LaneStats;
  readonly #readOverdue: () => number;
  #refused = 0;

  /**
   * @param readOverdue Counts the calls that still run though nobody waits for them any more.
   * @param together    Calls that may begin together, of an api that joins them. Default 1.
   */
  constructor(stats: LaneStats, readOverdue: () => number, together?: number) {
    this.admission = new Admission(together);
    this.#stats = stats;
    this.#readOverdue = readOverdue;
    stats.admissions.add(this.admission);
    stats.overdue.add(readOverdue);
  }

  /** Its replica has ended, and its process may live on. */
  close(): void {
    this.#stats.admissions.delete(this.admission);
    this.#stats.overdue.delete(this.#readOverdue);
  }

  get isOverloaded(): boolean {
    return this.admission.isOverloaded;
  }

  get answerMs(): number | undefined {
    return this.admission.pace.answerMs;
  }

  get refused(): number {
    return this.#refused;
  }

  /**
   * Why a call for which there would be room does not wait all the same; `undefined` when it may.
   *
   * @param queued Calls that wait, for the failure.
   */
  refuse({ priority, expiresAt }: CallScope, now: number, queued: number): ServingError | undefined {
    const refusal = this.admission.refuse({ priority, now, expiresAt });
    if (refusal === undefined) return undefined;
    this.count(refusal.why);
    return createRefusal(refusal, { pace: this.admission.pace, queued, leftMs: expiresAt - now });
  }

  /** Counts a call that was refused. */
  count(why: RefusalReason): void {
    this.#refused++;
    this.#stats.refused[why]++;
  }

  /** A call has run. If its caller went away meanwhile, it had waited for too long. */
  hasRun({ cancelledAt }: CallScope, waited: QueueWait | undefined): void {
    if (cancelledAt !== undefined && waited !== undefined) this.admission.lost(waited.place, cancelledAt, waited.ms);
  }
}

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
function createRefusal({ why, waitMs }: Refusal, { pace, queued, leftMs }: Circumstances): ServingError {
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
