import type { Sentiment } from "@ekiben/example-models/sentiment";

/** Typical frequency of each pattern; it brings the eight features to a similar size. */
const patterns: readonly (readonly [pattern: RegExp, scale: number])[] = [
  [/[A-Z]/g, 5],
  [/!/g, 50],
  [/[$%]/g, 50],
  [/\d/g, 5],
  [/\b(free|money|offer|click|remove|order|save)\b/gi, 100],
  [/[>|_]/g, 20],
  [/\b(wrote|patch|server|file|code|list)\b/gi, 100],
];

/** Returns the style of a mail, regardless of its content: eight numbers, the last of which is its sentiment. */
export function measureStyle(text: string, sentiment: Sentiment): number[] {
  const length = text.length || 1;
  const rates = patterns.map(([pattern, scale]) => ((text.match(pattern) ?? []).length / length) * scale);
  return [...rates, sentiment(text)];
}
