/** Number of times that each word occurs in the mails of one class; the content of the model file. */
export interface WordCounts {
  readonly texts: number;
  readonly words: number;
  readonly counts: readonly (readonly [word: string, count: number])[];
}

/** Two classes and the number of distinct words in both. */
export interface NaiveBayesWeights {
  readonly vocabulary: number;
  readonly negative: WordCounts;
  readonly positive: WordCounts;
}

interface WordClass {
  readonly prior: number;
  readonly words: number;
  readonly counts: ReadonlyMap<string, number>;
}

/** Beyond this the probability no longer differs from 0 or 1. */
const maxLogOdds = 50;

/** Multinomial naive Bayes over two classes, with add-one smoothing. */
export class NaiveBayes {
  readonly #vocabulary: number;
  readonly #negative: WordClass;
  readonly #positive: WordClass;

  constructor({ vocabulary, negative, positive }: NaiveBayesWeights) {
    const texts = negative.texts + positive.texts;
    this.#vocabulary = vocabulary;
    this.#negative = { prior: negative.texts / texts, words: negative.words, counts: new Map(negative.counts) };
    this.#positive = { prior: positive.texts / texts, words: positive.words, counts: new Map(positive.counts) };
  }

  /**
   * Probability that a text belongs to the positive class.
   *
   * @param temperature Divides the log-odds. The model takes words for independent and so is far too sure of itself;
   *   above 1 it is toned down. Default 1.
   */
  probability(text: string, temperature = 1): number {
    const words = splitWords(text);
    const logOdds = (this.#score(this.#positive, words) - this.#score(this.#negative, words)) / temperature;
    return 1 / (1 + Math.exp(-Math.max(-maxLogOdds, Math.min(maxLogOdds, logOdds))));
  }

  #score({ prior, words: total, counts }: WordClass, words: readonly string[]): number {
    const likelihood = (word: string) => Math.log(((counts.get(word) ?? 0) + 1) / (total + this.#vocabulary));
    return words.reduce((sum, word) => sum + likelihood(word), Math.log(prior));
  }
}

/** Counts words for `new NaiveBayes(…)`. */
export function countWords(negative: readonly string[], positive: readonly string[]): NaiveBayesWeights {
  const [no, yes] = [countClass(negative), countClass(positive)];
  const distinct = new Set([...no.counts, ...yes.counts].map(([word]) => word));
  return { vocabulary: distinct.size, negative: no, positive: yes };
}

function countClass(texts: readonly string[]): WordCounts {
  const counts = new Map<string, number>();
  let words = 0;
  for (const word of texts.flatMap(splitWords)) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
    words += 1;
  }
  return { texts: texts.length, words, counts: [...counts] };
}

function splitWords(text: string): string[] {
  return text.toLowerCase().match(/[a-z$!]{2,}/g) ?? [];
}
