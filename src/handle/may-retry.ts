import type { ServingError } from "../failure/serving-error.js";
import type { CallRoute } from "./call-route.js";

/**
 * Whether a call that failed is sent once more.
 *
 * It is when it certainly did not start: the replica refused it because it drains, or was gone before the call was sent.
 * One that may have run is sent again only when its api is idempotent. Either way only while the service's budget for
 * retries lasts; the deadline stays what it was. A failure of a service further down is that service's affair.
 */
export function mayRetry(error: ServingError, route: CallRoute): boolean {
  if (error.service !== route.service || !isAboutReplica(error, route.idempotent)) return false;
  return route.links.retries.tryRetry(route.time.clock.now());
}

function isAboutReplica({ id, details }: ServingError, isIdempotent: boolean): boolean {
  if (id === "replica_lost") return isIdempotent || details["isSent"] === false;
  return id === "draining";
}
