import type { Priority } from "../call/call.js";
import type { CallScope } from "../call/call-scope.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { LaneStats, RefusalReason } from "../observe/call-stats.js";
import { Admission, type Pace, type Refusal } from "./admission.js";

/** Load of one api in one replica. */
export interface Pressure {
  readonly isOverloaded: boolean;
  /** Milliseconds from one answer to the next while calls wait; `undefined` while unknown. */
  readonly answerMs: number | undefined;
  /** Calls refused so far. */
  readonly refused: number;
}

/** Time that a call waited, and its entry in the queue. */
export interface QueueWait {
  readonly entry: { readonly priority: Priority; readonly era: number };
  readonly ms: number;
}

/**
 * Lets calls wait at one api of one replica, or refuses them: counts what `Admission` decides, and makes the failures.
 * Shown in metrics until closed.
 */
export class Gate implements Pressure {
  readonly admission: Admission;
  readonly #stats: LaneStats;
  readonly #readOverdue: () => number;
  #refused = 0;

  /**
   * @param readOverdue Counts the calls that timed out or were cancelled and still run.
   * @param together    Calls that may begin together, for an api that batches. Default 1.
   */
  constructor(stats: LaneStats, readOverdue: () => number, together?: number) {
    this.admission = new Admission(together);
    this.#stats = stats;
    this.#readOverdue = readOverdue;
    stats.admissions.add(this.admission);
    stats.overdue.add(readOverdue);
  }

  /** Removes it from the metrics: its replica has ended, but its process may live on. */
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
   * Refuses a call for which the queue has room, but which would be late or comes during overload.
   *
   * @param queued Calls that wait, for the failure.
   * @returns      The failure; `undefined` when the call may wait.
   */
  refuse({ priority, expiresAt }: CallScope, now: number, queued: number): ServingError | undefined {
    const refusal = this.admission.refuse({ priority, now, expiresAt });
    if (refusal === undefined) return undefined;
    this.count(refusal.why);
    return createRefusal(refusal, { pace: this.admission.pace, queued, leftMs: expiresAt - now });
  }

  /** Counts a refused call. */
  count(why: RefusalReason): void {
    this.#refused++;
    this.#stats.refused[why]++;
  }

  /** Notes a call that has run. If its caller left meanwhile, it had waited for too long, and is a loss. */
  hasRun({ cancelledAt }: CallScope, waited: QueueWait | undefined): void {
    if (cancelledAt !== undefined && waited !== undefined) this.admission.lost(waited.entry, cancelledAt, waited.ms);
  }
}

/** Shortest `retryAfterMs` of a refusal for overload. */
const leastRetryMs = 1_000;

/** Facts that the text of a refusal needs. */
interface Circumstances {
  readonly pace: Pace;
  /** Calls that wait. */
  readonly queued: number;
  /** Milliseconds until the deadline of the refused call. */
  readonly leftMs: number;
}

/**
 * Makes the failure of a refused call. It may come again when the present queue is done, or when it could be answered
 * in time.
 */
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
