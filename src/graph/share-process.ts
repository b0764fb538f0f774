import type { AppSettings, ServiceSettings } from "../options/settings.js";

/** Services whose replicas share processes: replica `i` of each lives in process `i`. */
export interface GroupPlan {
  readonly name: string;
  /** Callees first. */
  readonly members: readonly string[];
  /**
   * Those of them that are called in their caller's process as long as a replica of theirs is ready there. Calls to the others,
   * which may have replicas where none of their callers lives, go to the replica with the fewest in flight.
   */
  readonly kept: readonly string[];
}

/** What one process of a group is given, for all that may live in it together. */
export interface ProcessShare {
  /** The members that may have a replica in it. */
  readonly members: readonly string[];
  /** `Infinity` where one of them has no bound. */
  readonly memoryBytes: number;
  /** The most that one of them asks for: they share one event loop. */
  readonly cpu: number;
}

/** The share of process `index` of a group. */
export function shareProcess({ members }: GroupPlan, { services }: AppSettings, index: number): ProcessShare {
  const own = members.flatMap((name) => {
    const settings = services.get(name) as ServiceSettings;
    return settings.replicas.max > index ? [{ name, settings }] : [];
  });
  return {
    members: own.map(({ name }) => name),
    memoryBytes: own.reduce((sum, { settings }) => sum + settings.resources.memoryBytes, 0),
    cpu: Math.max(...own.map(({ settings }) => settings.resources.cpu)),
  };
}
