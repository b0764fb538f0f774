/** Findings of the three branches about a poster. */
export interface Findings {
  readonly lines: readonly { readonly text: string; readonly confidence: number }[];
  readonly objects: readonly { readonly label: string }[];
  readonly faces: readonly unknown[];
}

/** Confidence below which a word is more often a speck. */
const minConfidence = 0.8;
const minLength = 3;

/** Returns the words on a poster that can be trusted. */
export function pickWords({ lines }: Pick<Findings, "lines">): string[] {
  return lines
    .filter(({ text, confidence }) => confidence > minConfidence && text.length >= minLength)
    .map(({ text }) => text);
}

/**
 * Returns the kinds of things on a poster, each once. People are left to the face detector, which counts them better.
 */
export function pickThings({ objects }: Pick<Findings, "objects">): string[] {
  return [...new Set(objects.map(({ label }) => label))].filter((label) => label !== "person");
}

/** Describes a poster in English, so that the same encoder serves posters and questions. */
export function writeCaption(findings: Findings): string {
  const seen = pickThings(findings).map((thing) => `a ${thing}`);
  if (findings.faces.length > 0) seen.push(`a group of ${findings.faces.length} people with faces`);
  const picture = seen.length > 0 ? [`A picture of ${seen.join(" and ")}`] : [];
  return [...pickWords(findings), ...picture].join(". ");
}
