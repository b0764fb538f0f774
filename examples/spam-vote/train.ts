// Fits the three voters on the 300 training mails and writes artifacts/*.json, so that serving needs no training.
//
//   npx tsx examples/spam-vote/train.ts        about a minute, most of it the sentence encoder
//
// Nothing here is random: the same mails always give the same artifacts.
import { fitLogistic, type LogisticWeights } from "@ekiben/example-models/logistic";
import { countWords } from "@ekiben/example-models/naive-bayes";
import { SentenceEncoder } from "@ekiben/example-models/sentence-encoder";
import { loadSentiment } from "@ekiben/example-models/sentiment";
import { writeArtifact } from "./artifacts.ts";
import { readMails } from "./mails.ts";
import { measureStyle } from "./style.ts";

const mailsAtOnce = 8;

const mails = await readMails("training");
const texts = mails.map((mail) => mail.text);
const labels = mails.map((mail) => (mail.label === "spam" ? 1 : 0));
const textsOf = (label: string) => mails.filter((mail) => mail.label === label).map((mail) => mail.text);

await writeArtifact("words", countWords(textsOf("ham"), textsOf("spam")));

const sentiment = await loadSentiment();
const styles = texts.map((text) => measureStyle(text, sentiment));
await writeArtifact("style", roundWeights(fitLogistic(styles, labels, { steps: 3000, learningRate: 1 })));

const vectors = await encodeTexts(texts);
await writeArtifact("semantic", roundWeights(fitLogistic(vectors, labels, { steps: 400, learningRate: 4 })));

console.log(`Trained three voters on ${mails.length} mails.`);

async function encodeTexts(all: readonly string[]): Promise<Float32Array[]> {
  const encoder = await SentenceEncoder.load(1);
  const encoded: Float32Array[] = [];
  for (let start = 0; start < all.length; start += mailsAtOnce) {
    encoded.push(...(await encoder.encode(all.slice(start, start + mailsAtOnce))));
  }
  return encoded;
}

/** Five digits are enough for the same votes, and keep the files small. */
function roundWeights({ weights, bias }: LogisticWeights): LogisticWeights {
  const round = (value: number) => Number(value.toFixed(5));
  return { weights: weights.map(round), bias: round(bias) };
}
