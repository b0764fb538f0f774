/** A stretch of speech: milliseconds from the beginning, and how sure the model was on average. */
export interface Segment {
  readonly fromMs: number;
  readonly toMs: number;
  readonly probability: number;
}

const windowMs = 32;
/** Probability above which speech begins. Speech ends at windows below the lower bound. */
const beginsAt = 0.5;
const endsBelow = 0.35;
/** Pauses that are shorter belong to the speech around them. */
const minPauseWindows = 10;
/** Minimum length; shorter sounds are clicks or coughs. */
const minSpeechWindows = 8;

/** Joins windows of speech to segments; yields each one when the pause after it is long enough. */
export async function* joinSegments(probabilities: AsyncIterable<number>): AsyncGenerator<Segment> {
  let at = 0;
  let heard: number[] | undefined;
  let quiet = 0;
  for await (const probability of probabilities) {
    at++;
    if (heard === undefined) {
      if (probability >= beginsAt) heard = [probability];
      quiet = 0;
      continue;
    }
    heard.push(probability);
    quiet = probability < endsBelow ? quiet + 1 : 0;
    if (quiet < minPauseWindows) continue;
    yield* describe(heard, at, quiet);
    heard = undefined;
  }
  if (heard !== undefined) yield* describe(heard, at, quiet);
}

/** @param end Index of the window after the last. @param quiet How many of those heard are the pause. */
function* describe(heard: readonly number[], end: number, quiet: number): Generator<Segment> {
  const speech = heard.slice(0, heard.length - quiet);
  if (speech.length < minSpeechWindows) return;
  const sum = speech.reduce((total, probability) => total + probability, 0);
  const from = end - heard.length;
  yield {
    fromMs: from * windowMs,
    toMs: (from + speech.length) * windowMs,
    probability: Math.round((sum / speech.length) * 1000) / 1000,
  };
}
