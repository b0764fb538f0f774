import type { Clock } from "../base/clock.js";
import type { Priority } from "../call/call.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import type { EdgeStats } from "../observe/call-stats.js";

// How many calls to one api a caller has under way, once the callee has refused some.
//
// R1  A refusal says that the callee has no room beside what is under way: so many calls, and no more, are sent from then on.
//     What is beyond that is refused here, before anything is encoded or sent, with what the callee said.
// R2  With each answer there may be a little more, one call for each time that all under way are answered. So the callee
//     is asked again and again, and refuses about one call for each such time.
// R3  All of that is forgotten when the callee has refused nothing for a while.
// R4  Background calls have a limit of their own, since a callee refuses those first.
// R5  A call that would have been too late sets no limit: others may have more time. Where many are, the callee says soon that
//     it has no room.
//
// It is the rule by which TCP finds its share of a line (RFC 5681), told by refusals in place of lost packets.

/** How long a refusal counts, or so many times as long as it takes to answer all that is under way. */
const leastMemoryMs = 200;
const memoryRounds = 4;

/** How many calls may be under way, after a refusal. */
interface Limit {
  calls: number;
  readonly until: number;
  readonly refusal: ServingError;
}

/** Keeps back calls to one api that the callee would refuse. */
export class CalleeRoom {
  /** Whether the callee has refused any of late; else there is nothing to ask or to tell but refusals. */
  isLimited = false;
  readonly #clock: Clock;
  readonly #stats: Pick<EdgeStats, "inFlight" | "withheld">;
  #interactive: Limit | undefined;
  #background: Limit | undefined;

  /** @param stats How many calls are under way, and how many were kept back. */
  constructor(clock: Clock, stats: Pick<EdgeStats, "inFlight" | "withheld">) {
    this.#clock = clock;
    this.#stats = stats;
  }

  /** Why a call is kept back that counts as under way already; `undefined` when it is to be sent. */
  refuse(priority: Priority): ServingError | undefined {
    const limit = this.#of(priority);
    if (limit === undefined || this.#stats.inFlight <= limit.calls) return undefined;
    if (this.#clock.now() >= limit.until) {
      this.#set(priority, undefined);
      return undefined;
    }
    this.#stats.withheld++;
    const { id, details, service, api } = limit.refusal;
    // Each caller has one of its own.
    return fail(id as "overloaded", { ...(details as Overload) }, { service, api });
  }

  /** A call was answered. */
  answered(priority: Priority): void {
    const limit = this.#of(priority);
    if (limit !== undefined) limit.calls += 1 / limit.calls;
  }

  /** The callee has refused a call that still counts as under way. */
  refused(priority: Priority, refusal: ServingError): void {
    // That this one would have been too late says nothing of others, who may have more time.
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

/** Whether a failure says that the lane of an api refused a call. */
export const isRefusal = ({ id }: ServingError): boolean => id === "overloaded" || id === "lane_full";
