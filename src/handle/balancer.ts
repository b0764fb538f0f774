import type { ReplicaLink } from "../call/link.js";
import type { ServiceLinks } from "./directory.js";

/**
 * Picks the link with the fewest calls in flight; those that are equal take turns. A replica in this thread comes before its
 * equals, and before all others where calls are to stay here.
 *
 * @returns `undefined` when no replica of the service is ready.
 */
export function pickLink(service: ServiceLinks): ReplicaLink | undefined {
  const { links, local } = service;
  const first = links[0];
  if (links.length <= 1) return first;
  if (local !== undefined && (service.keepsLocal || local.inFlight === 0)) return local;
  const offset = service.nextTurn();
  let best: ReplicaLink | undefined = local;
  for (let i = 0; i < links.length; i++) {
    const link = links[(offset + i) % links.length] as ReplicaLink;
    if (link.inFlight === 0) return link;
    if (best === undefined || link.inFlight < best.inFlight) best = link;
  }
  return best;
}
