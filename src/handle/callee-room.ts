import type { Clock } from "../base/clock.js";
import type { Priority } from "../call/call.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import type { EdgeStats } from "../observe/call-stats.js";

// How many calls to one api a caller has under way, once the callee has refused some.
//
// R1  A refusal says that the callee has no room beside what is under way: so many calls, and no more, are sent from then on.
//     What is beyond that is refused here, before anything is encoded or sent, with what the callee said.
// R2  With each answer there may be a little more, one call for each time that all under way are answered. So the callee
//     is asked again and again, and refuses about one call for each such time.
// R3  All of that is forgotten when the callee has refused nothing for a while.
// R4  Background calls are counted apart, since a callee refuses those first.
//
// It is the rule by which TCP finds its share of a line (RFC 5681), told by refusals in place of lost packets.

/** How long a refusal counts, or so many times as long as it takes to answer all that is under way. */
const leastMemoryMs = 200;
const memoryRounds = 4;

/** What is under way to one api at one priority. */
interface Flight {
  inFlight: number;
  limit: number;
  until: number;
  refusal: ServingError | undefined;
}

const createFlight = (): Flight => ({ inFlight: 0, limit: Number.POSITIVE_INFINITY, until: 0, refusal: undefined });

/** Keeps back calls to one api that the callee would refuse. */
export class CalleeRoom {
  readonly #clock: Clock;
  readonly #stats: Pick<EdgeStats, "withheld">;
  readonly #interactive = createFlight();
  readonly #background = createFlight();

  constructor(clock: Clock, stats: Pick<EdgeStats, "withheld">) {
    this.#clock = clock;
    this.#stats = stats;
  }

  /** @returns Why a call is kept back; `undefined` when it is under way from here until it is `left`. */
  enter(priority: Priority): ServingError | undefined {
    const flight = this.#of(priority);
    if (flight.inFlight >= flight.limit) {
      const refusal = this.#keepBack(flight);
      if (refusal !== undefined) return refusal;
    }
    flight.inFlight++;
    return undefined;
  }

  /** A call was answered, with whatever but a refusal. */
  answered(priority: Priority): void {
    const flight = this.#of(priority);
    flight.inFlight--;
    if (flight.limit !== Number.POSITIVE_INFINITY) flight.limit += 1 / flight.limit;
  }

  /** A call is not waited for any more; or was never sent. */
  dropped(priority: Priority): void {
    this.#of(priority).inFlight--;
  }

  /** The callee had no room for a call. */
  refused(priority: Priority, refusal: ServingError): void {
    const flight = this.#of(priority);
    flight.inFlight--;
    flight.limit = Math.max(1, flight.inFlight);
    const answerMs = refusal.details["answerMs"];
    const roundMs = typeof answerMs === "number" ? answerMs * (flight.limit + 1) : 0;
    flight.until = this.#clock.now() + Math.max(leastMemoryMs, memoryRounds * roundMs);
    flight.refusal = refusal;
  }

  #keepBack(flight: Flight): ServingError | undefined {
    const { refusal } = flight;
    if (refusal === undefined || this.#clock.now() >= flight.until) {
      flight.limit = Number.POSITIVE_INFINITY;
      flight.refusal = undefined;
      return undefined;
    }
    this.#stats.withheld++;
    const { service, api } = refusal;
    // Each caller has one of its own.
    return fail(refusal.id as "overloaded", { ...(refusal.details as Overload) }, { service, api });
  }

  #of(priority: Priority): Flight {
    return priority === "background" ? this.#background : this.#interactive;
  }
}

type Overload = Parameters<typeof fail<"overloaded">>[1];

/** Whether a failure says that the lane of an api had no room. */
export const isRefusal = ({ id }: ServingError): boolean => id === "overloaded" || id === "lane_full";
