export interface DecodedText {
  readonly text: string;
  /** Mean probability of the characters kept, 0 to 1; 0 for no character. */
  readonly confidence: number;
}

/** A recogniser's answer for one line. `probabilities` has shape `[steps, classes]`; class 0 is the blank. */
export interface CtcOutput {
  readonly probabilities: Float32Array;
  readonly classes: number;
  readonly alphabet: readonly string[];
}

/** Greedy CTC: the best class of each step, repeats joined, blanks dropped. */
export function decodeCtc({ probabilities, classes, alphabet }: CtcOutput): DecodedText {
  let text = "";
  let sum = 0;
  let characters = 0;
  let previous = 0;
  for (let start = 0; start < probabilities.length; start += classes) {
    let best = 0;
    let bestProbability = probabilities[start] ?? 0;
    for (let candidate = 1; candidate < classes; candidate++) {
      const probability = probabilities[start + candidate] ?? 0;
      if (probability > bestProbability) [best, bestProbability] = [candidate, probability];
    }
    if (best !== 0 && best !== previous) {
      text += alphabet[best] ?? "";
      sum += bestProbability;
      characters += 1;
    }
    previous = best;
  }
  return { text, confidence: characters === 0 ? 0 : sum / characters };
}
