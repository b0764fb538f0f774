import { predictLogistic } from "@ekiben/example-models/logistic";
import { NaiveBayes } from "@ekiben/example-models/naive-bayes";
import { SentenceEncoder } from "@ekiben/example-models/sentence-encoder";
import { loadSentiment } from "@ekiben/example-models/sentiment";
import { api, currentCall, depends, resource, Service, ServingError } from "ekiben";
import { z } from "zod";
import { readArtifact } from "./artifacts.ts";
import { measureStyle } from "./style.ts";

const Mail = z.string().min(1).max(100_000);
const Probability = z.number().min(0).max(1);

/** Weights of the voters. When a voter is missing, the weights of the others are scaled up. */
const shares = { words: 0.4, semantic: 0.4, style: 0.2 } as const;

/** Divisor for the log-odds of naive Bayes, which is far too confident; it brings them to the level of the others. */
const wordsTemperature = 8;

const Voter = z.enum(["words", "semantic", "style"]);
type Voter = z.infer<typeof Voter>;

const Verdict = z.object({
  label: z.enum(["ham", "spam"]),
  /** Weighted mean of the votes: the probability that the mail is spam. */
  spam: Probability,
  votes: z.partialRecord(Voter, Probability),
  answered: z.array(Voter),
});

const examples = [
  "Re: the patch you sent to the list. It builds here, thanks!",
  "CLICK HERE for FREE money!!! 100% guaranteed",
];

/** Judges by words: naive Bayes. A tenth of a millisecond, so it stays in the process of its caller. */
export class Words extends Service({ placement: "inline" }) {
  model = resource(async () => new NaiveBayes(await readArtifact("words")));

  score = api(
    { summary: "Probability that a mail is spam, by its words.", input: Mail, output: Probability, examples },
    (text) => this.model.probability(text, wordsTemperature),
  );
}

/** Judges by meaning: logistic regression on a sentence vector. Twenty to fifty times the work of the others. */
export class Semantic extends Service({ resources: { cpu: 1, memory: "512Mi" } }) {
  encoder = resource(
    ({ resources }) => SentenceEncoder.load(resources.cpuThreads),
    (encoder) => encoder.dispose(),
  );
  weights = resource(() => readArtifact("semantic"));

  score = api(
    { summary: "Probability that a mail is spam, by its meaning.", input: Mail, output: Probability, examples },
    async (text) => {
      const [vector = []] = await this.encoder.encode([text]);
      return predictLogistic(this.weights, vector);
    },
  );
}

/** Judges by style: capitals, exclamation marks, digits, sentiment. */
export class Style extends Service({ placement: "inline" }) {
  sentiment = resource(() => loadSentiment());
  weights = resource(() => readArtifact("style"));

  score = api(
    { summary: "Probability that a mail is spam, by its style.", input: Mail, output: Probability, examples },
    (text) => predictLogistic(this.weights, measureStyle(text, this.sentiment)),
  );
}

/** Asks three unlike models about a mail at once and weighs their votes; goes on without one that fails. */
export class SpamVote extends Service({ timeoutMs: 10_000 }) {
  words = depends(Words);
  semantic = depends(Semantic);
  style = depends(Style);

  vote = api({ summary: "Tells whether a mail is spam.", input: Mail, output: Verdict, examples }, async (text) => {
    const ballots = await Promise.all([
      collect("words", this.words.score(text)),
      collect("semantic", this.semantic.score(text)),
      collect("style", this.style.score(text)),
    ]);
    return count(ballots.filter((ballot) => ballot !== undefined));
  });
}

interface Ballot {
  readonly voter: Voter;
  readonly spam: number;
}

/**
 * Leaves out a voter that fails. When the caller has left, the failure is passed on, because nobody needs an answer.
 */
async function collect(voter: Voter, vote: Promise<number>): Promise<Ballot | undefined> {
  try {
    return { voter, spam: await vote };
  } catch (error) {
    const { signal, log } = currentCall();
    if (signal.aborted) throw error;
    log.warn({ voter, err: error }, "voter left out");
    return undefined;
  }
}

function count(ballots: readonly Ballot[]): z.infer<typeof Verdict> {
  if (ballots.length === 0) {
    throw new ServingError({ code: "unavailable", id: "no_voter", message: "None of the three voters answered." });
  }
  const total = ballots.reduce((sum, { voter }) => sum + shares[voter], 0);
  const spam = ballots.reduce((sum, ballot) => sum + shares[ballot.voter] * ballot.spam, 0) / total;
  return {
    label: spam > 0.5 ? "spam" : "ham",
    spam,
    votes: Object.fromEntries(ballots.map((ballot) => [ballot.voter, ballot.spam])),
    answered: ballots.map((ballot) => ballot.voter),
  };
}
