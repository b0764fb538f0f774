import type { Clock } from "../base/clock.js";
import { fail } from "../failure/fail.js";
import type { ServingError } from "../failure/serving-error.js";
import type { Plan } from "../graph/plan.js";
import type { ServiceSettings } from "../options/settings.js";
import { EntryWatch } from "../supervisor/entry-watch.js";

/** What there is to do while the entry service has no replica. */
export interface EntryEvents {
  /** Nobody is there, and connections should not wait any longer. */
  readonly onAbsent: () => void;
  /** A replica is there again. */
  readonly onPresent: () => void;
  /** There was none for `exitAfterMs`. @param error `entry_gone` */
  readonly onGone: (error: ServingError) => void;
}

/** Watches the entry service of a plan: connections wait as long for it as calls do. */
export function watchEntry({ graph, settings }: Plan, clock: Clock, events: EntryEvents): EntryWatch {
  const { exitAfterMs } = settings.server;
  const service = graph.entry;
  const { holdMs } = settings.services.get(service) as ServiceSettings;
  return new EntryWatch({
    ...{ clock, exitAfterMs, waitMs: holdMs },
    onAbsent: events.onAbsent,
    onPresent: events.onPresent,
    onGone: (reason) => events.onGone(fail("entry_gone", { service, exitAfterMs, reason }, { service })),
  });
}
