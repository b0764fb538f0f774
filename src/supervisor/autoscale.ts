import type { ServiceSettings } from "../options/settings.js";

// Decides how many replicas of a service its load needs.
//
// JA1  The load is the median of the calls in flight over the last two seconds, from at least three samples. One
//      outlier changes nothing; a load that lasts takes effect within one or two seconds.
// JA2  The load needs one replica for every `targetInFlight` calls. A higher need takes effect at once.
// JA3  A lower need takes effect only when no moment of the last 30 s needed more. Time before the first sample
//      counts as if it had needed the replicas that were there.
// JA4  The result is never below `min` and never above `max`.
//
// JA3 implies that the number does not fall within 30 s after it rose. A load that swings faster than that does not
// start and stop replicas in turn.
//
// Knative counts calls in flight against a target too, with a short window for bursts and a long one for the rest
// (https://knative.dev/docs/serving/autoscaling/kpa-specific/). Kubernetes takes the highest need of a window when it
// scales down (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#stabilization-window).

/** Window of the median, in milliseconds (JA1). */
const smoothingMs = 2000;
/** Smallest number of samples in the median. */
const fewestSamples = 3;
/** Time for which the load must need fewer replicas before fewer are wanted, in milliseconds (JA3). */
const windowMs = 30_000;

/** Load of a service at one instant. */
interface LoadObservation {
  /** Milliseconds of any monotonic clock. */
  readonly now: number;
  /** Calls accepted and not answered, plus tasks that run or wait for a replica. */
  readonly inFlight: number;
  /** Replicas that run or start. Read from the first observation only: this many are kept for the first window. */
  readonly replicas: number;
}

interface Sample {
  readonly at: number;
  readonly inFlight: number;
}

/** A number of replicas that the load needed, and the last time it did. */
interface Need {
  readonly replicas: number;
  readonly until: number;
}

/** State carried from one decision to the next. */
export interface AutoscaleState {
  /** Oldest first. */
  readonly samples: readonly Sample[];
  /** Needs of the window that no later need exceeds. They fall; the last one is the current need. */
  readonly needs: readonly Need[];
}

/** State before the first observation. */
export const emptyAutoscaleState: AutoscaleState = Object.freeze({ samples: [], needs: [] });

/**
 * Decides how many replicas are wanted. Call it once a second, or a few times a second.
 *
 * @returns `wanted`, and the state for the next call.
 */
export function decideReplicas(
  state: AutoscaleState,
  { now, inFlight, replicas }: LoadObservation,
  range: ServiceSettings["replicas"],
): { readonly wanted: number; readonly state: AutoscaleState } {
  const samples = addSample(state.samples, { at: now, inFlight });
  const bound = (count: number) => Math.min(range.max, Math.max(range.min, count));
  const before = state.needs.length === 0 ? [{ replicas: bound(replicas), until: now }] : state.needs;
  const needed = bound(Math.ceil(medianOf(samples) / range.targetInFlight));
  const needs = addNeed(before, { replicas: needed, until: now });
  return { wanted: bound((needs[0] as Need).replicas), state: { samples, needs } };
}

/** Adds a sample and drops those older than two seconds, except the ones that the median needs. */
function addSample(samples: readonly Sample[], newest: Sample): readonly Sample[] {
  const all = [...samples, newest];
  const firstRecent = all.findIndex(({ at }) => at >= newest.at - smoothingMs);
  return all.slice(Math.max(0, Math.min(firstRecent, all.length - fewestSamples)));
}

/** Returns the lower median. A missing sample counts as a load of 0. */
function medianOf(samples: readonly Sample[]): number {
  const missing = new Array<number>(Math.max(0, fewestSamples - samples.length)).fill(0);
  const sorted = [...missing, ...samples.map(({ inFlight }) => inFlight)].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] as number;
}

/** Adds the current need. The previous one lasted until now; needs that are not higher are dropped. */
function addNeed(needs: readonly Need[], newest: Need): readonly Need[] {
  const last = needs.at(-1) as Need;
  const lasting = [...needs.slice(0, -1), { ...last, until: newest.until }];
  const kept = lasting.filter(({ replicas, until }) => replicas > newest.replicas && until > newest.until - windowMs);
  return [...kept, newest];
}
