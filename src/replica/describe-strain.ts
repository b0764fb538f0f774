import { formatMs } from "../failure/failure-text.js";

/** How the places of one api stand. */
export interface PlacesState {
  readonly name: string;
  readonly places: number;
  readonly queued: number;
  /** Places whose calls still run though nobody waits for any of them. */
  readonly deadPlaces: number;
  readonly isOverloaded: boolean;
  /** From one answer to the next, while others wait; `undefined` while that is not known. */
  readonly answerMs: number | undefined;
  /** Calls refused since it was last asked, and how long ago that was. */
  readonly refused: number;
  readonly sinceMs: number;
}

/** Why an api answers less than is asked of it, in words; `undefined` where it does not. */
export function describeStrain(state: PlacesState): string | undefined {
  const { name, places, queued, deadPlaces, isOverloaded, answerMs, refused, sinceMs } = state;
  if (deadPlaces >= places) {
    const what = places === 1 ? "its one place is" : `all of its ${places} places are`;
    return `${name}: ${what} held by calls that timed out or were cancelled and have not ended; ${queued} wait`;
  }
  if (!isOverloaded) return undefined;
  const pace = answerMs === undefined ? "" : `, one is answered each ${formatMs(answerMs)} ms`;
  const perSecond = sinceMs > 0 ? Math.round((refused * 1000) / sinceMs) : 0;
  return `${name}: more calls come than are answered: ${queued} wait${pace}, ${perSecond} a second are refused`;
}
