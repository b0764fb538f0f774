import type { Call } from "./call.js";

/** As much of a call's scope as is asked here. */
interface Ending {
  readonly call: Call;
  readonly parent: Ending | undefined;
  readonly reason: object | undefined;
}

/** Which call ended, and with it those below: by the failure that these were ended with. */
const enders = new WeakMap<object, Ending>();

/** Notes that calls below `scope` end with it, for `reason`. */
export function noteEnd(reason: object, scope: Ending): void {
  if (!enders.has(reason)) enders.set(reason, scope);
}

/** Whether a rejection only says that a call was ended with the api that had made it, so that nobody needs to hear of it. */
export const isEndOfOpenCall = (thrown: unknown): boolean =>
  typeof thrown === "object" && thrown !== null && enders.has(thrown);

/**
 * The call of somebody else that took away what `scope` waited for: one that is not below it, and has ended.
 *
 * @param thrown What `scope` failed with.
 */
export function strangerThatEnded(thrown: unknown, scope: Ending): Ending | undefined {
  if (scope.reason !== undefined || typeof thrown !== "object" || thrown === null) return undefined;
  const ended = enders.get(thrown);
  for (let above = ended; above !== undefined; above = above.parent) if (above === scope) return undefined;
  return ended;
}
