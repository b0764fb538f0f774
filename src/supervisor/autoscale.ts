import type { ServiceSettings } from "../options/settings.js";

// How many replicas of a service its load needs.
//
// A1  The load is the median of the calls in flight over the last two seconds, and of three samples at least: one sample
//     that stands out changes nothing, a load that stays is believed within a second or two.
// A2  The load needs one replica for every `targetInFlight` calls. More are wanted at once.
// A3  Fewer are wanted only when the load has needed no more for a whole window of 30 s, at every moment of it. A window
//     that was not watched in full counts as one that needed what was there before.
// A4  Never fewer than `min`, never more than `max`.
//
// It follows from A3 that nothing falls within a window after a rise: replicas are not started and stopped in turn for a load
// that swings faster than that.
//
// Counting calls in flight against a target is what Knative does, with a short window for bursts and a long one for the rest
// (https://knative.dev/docs/serving/autoscaling/kpa-specific/). The highest of the window is what Kubernetes takes on its way
// down (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#stabilization-window).

/** How long the load is watched before more replicas are wanted. */
const smoothingMs = 2000;
/** Samples the median is taken of at least. */
const fewestSamples = 3;
/** How long the load must have needed fewer replicas before fewer are wanted. */
const windowMs = 30_000;

/** What the load of a service is at an instant. */
export interface LoadObservation {
  /** Milliseconds of any clock that only moves on. */
  readonly now: number;
  /** Calls accepted and not answered, and tasks, those that wait for a replica included. */
  readonly inFlight: number;
  /** Replicas that run or start. Read from the first observation: so many are kept until a window has been watched. */
  readonly replicas: number;
}

interface Sample {
  readonly at: number;
  readonly inFlight: number;
}

/** A number of replicas the load needed, and when it did last. */
interface Need {
  readonly replicas: number;
  readonly until: number;
}

/** What is remembered from one decision to the next. */
export interface AutoscaleState {
  /** Oldest first. */
  readonly samples: readonly Sample[];
  /** Needs of the window that no later one exceeds: falling, the last is that of now. */
  readonly needs: readonly Need[];
}

/** Nothing was observed yet. */
export const emptyAutoscaleState: AutoscaleState = Object.freeze({ samples: [], needs: [] });

/**
 * Decides how many replicas are wanted. Meant to be asked a few times a second, or each second.
 *
 * @returns `wanted`, and the state to pass next time.
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

/** Keeps those of the last two seconds, and so many as the median needs though they be older. */
function addSample(samples: readonly Sample[], newest: Sample): readonly Sample[] {
  const all = [...samples, newest];
  const firstRecent = all.findIndex(({ at }) => at >= newest.at - smoothingMs);
  return all.slice(Math.max(0, Math.min(firstRecent, all.length - fewestSamples)));
}

/** The lower median; a sample not yet taken is a load of 0. */
function medianOf(samples: readonly Sample[]): number {
  const missing = new Array<number>(Math.max(0, fewestSamples - samples.length)).fill(0);
  const sorted = [...missing, ...samples.map(({ inFlight }) => inFlight)].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] as number;
}

/** Adds the need of now: that of before lasted until now, and lower ones no longer matter. */
function addNeed(needs: readonly Need[], newest: Need): readonly Need[] {
  const last = needs.at(-1) as Need;
  const lasting = [...needs.slice(0, -1), { ...last, until: newest.until }];
  const kept = lasting.filter(({ replicas, until }) => replicas > newest.replicas && until > newest.until - windowMs);
  return [...kept, newest];
}
