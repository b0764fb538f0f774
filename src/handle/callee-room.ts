import type { Clock } from "../base/clock.js";
import type { Priority } from "../call/call.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { EdgeStats } from "../observe/call-stats.js";

// Limits the calls in flight from one caller to one api, once the callee has refused some.
//
// XR1  A refusal shows that the callee has no room beyond the calls in flight. From then on no more calls than that are
//      in flight; further calls are refused here, before they are encoded or sent, with the callee's own failure.
// XR2  Each answer raises the limit a little: by one call each time that all calls in flight have been answered. So the
//      callee is tried again and again, and refuses about one call each time.
// XR3  The limit ends when the callee has refused nothing for a while.
// XR4  Background calls have a limit of their own, since a callee refuses those first.
// XR5  A call that would have been too late sets no limit: others may have more time. If many are late, the callee soon
//      refuses for want of room.
//
// TCP finds its share of a connection by the same rule (RFC 5681), with lost packets in place of refusals.

/** Least time that a refusal counts; also this many times the time in which all calls in flight are answered. */
const leastMemoryMs = 200;
const memoryRounds = 4;

/** Limit of the calls in flight, after a refusal. */
interface Limit {
  calls: number;
  readonly until: number;
  readonly refusal: ServingError;
}

/** Keeps back calls to one api that the callee would refuse. */
export class CalleeRoom {
  /** True while a limit holds. Otherwise `refuse` and `answered` need not be called. */
  isLimited = false;
  readonly #clock: Clock;
  readonly #stats: Pick<EdgeStats, "inFlight" | "withheld">;
  #interactive: Limit | undefined;
  #background: Limit | undefined;

  /** @param stats Calls in flight, and calls that were refused here. */
  constructor(clock: Clock, stats: Pick<EdgeStats, "inFlight" | "withheld">) {
    this.#clock = clock;
    this.#stats = stats;
  }

  /**
   * Returns the failure of a call that may not be sent; `undefined` when it may. The call already counts as in flight.
   */
  refuse(priority: Priority): ServingError | undefined {
    const limit = this.#of(priority);
    if (limit === undefined || this.#stats.inFlight <= limit.calls) return undefined;
    if (this.#clock.now() >= limit.until) {
      this.#set(priority, undefined);
      return undefined;
    }
    this.#stats.withheld++;
    const { id, details, service, api } = limit.refusal;
    // Each caller gets a failure object of its own.
    return fail(id as "overloaded", { ...(details as Overload) }, { service, api });
  }

  /** Notes that a call was answered. */
  answered(priority: Priority): void {
    const limit = this.#of(priority);
    if (limit !== undefined) limit.calls += 1 / limit.calls;
  }

  /** Notes that the callee has refused a call, which still counts as in flight. */
  refused(priority: Priority, refusal: ServingError): void {
    // The call would have been too late (XR5).
    if (refusal.details["leftMs"] !== undefined) return;
    const calls = Math.max(1, this.#stats.inFlight - 1);
    const answerMs = refusal.details["answerMs"];
    const roundMs = typeof answerMs === "number" ? answerMs * (calls + 1) : 0;
    const until = this.#clock.now() + Math.max(leastMemoryMs, memoryRounds * roundMs);
    this.#set(priority, { calls, until, refusal });
  }

  #of(priority: Priority): Limit | undefined {
    return priority === "background" ? this.#background : this.#interactive;
  }

  #set(priority: Priority, limit: Limit | undefined): void {
    if (priority === "background") this.#background = limit;
    else this.#interactive = limit;
    this.isLimited = this.#interactive !== undefined || this.#background !== undefined;
  }
}

type Overload = Parameters<typeof fail<"overloaded">>[1];

/** True for the failure of a call that the lane of an api refused. */
export const isRefusal = ({ id }: ServingError): boolean => id === "overloaded" || id === "lane_full";
