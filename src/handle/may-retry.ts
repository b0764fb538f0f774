import type { ServingError } from "../failure/serving-error.js";
import type { CallRoute } from "./call-route.js";

/**
 * Replicas that may end under one call before it fails. Calls are often unlucky once and seldom twice; one that ends whatever
 * replica it meets would else end them all, until its service is down.
 */
export const maxLosses = 6;

/**
 * Whether a call that failed is sent once more.
 *
 * It is when it certainly did not start: the replica refused it because it drains, or was gone before the call was sent.
 * One that may have run is sent again only when its api is idempotent, and not for ever. Either way only while the service's
 * budget for retries lasts; the deadline stays what it was. A failure of a service further down is that service's affair.
 *
 * @param losses How many replicas have ended under the call, this time included; see `isLoss`.
 */
export function mayRetry(error: ServingError, route: CallRoute, losses: number): boolean {
  if (error.service !== route.service || !isAboutReplica(error)) return false;
  if (isLoss(error) && (!route.idempotent || losses >= maxLosses)) return false;
  return route.links.retries.tryRetry(route.time.clock.now());
}

/** Whether the replica ended while the call was on it, so that it may have run. */
export const isLoss = ({ id, details }: ServingError): boolean => id === "replica_lost" && details["isSent"] !== false;

/** One that only waited for a task may go on waiting elsewhere. */
const isAboutReplica = ({ id }: ServingError): boolean =>
  id === "replica_lost" || id === "draining" || id === "task_wait_ended";
