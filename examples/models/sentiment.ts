/** Rates the friendliness of a text, from -1 (hostile) to 1 (warm). */
export type Sentiment = (text: string) => number;

/** Loads VADER: a lexicon of rated words and rules for negation and emphasis. About 0.1 ms a text. */
export async function loadSentiment(): Promise<Sentiment> {
  const { default: vader } = await import("vader-sentiment");
  return (text) => vader.SentimentIntensityAnalyzer.polarity_scores(text).compound;
}
