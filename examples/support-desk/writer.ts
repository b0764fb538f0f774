import { setTimeout as pause } from "node:timers/promises";
import { api, currentCall, Service } from "ekiben";
import { z } from "zod";
import { Passage } from "./library.ts";
import { splitSentences } from "./passages.ts";

/** Mood of whoever asks. */
export const Tone = z.enum(["calm", "upset"]);

/** Token of an answer: a word with the space before it, as language models give them. */
export const Token = z.string();

const Request = z.object({ question: z.string(), tone: Tone, passages: z.array(Passage).min(1) });

const maxSentences = 4;
/** Words that stand in every question and say nothing about its subject. */
const fillWords = new Set(
  "a an and are at be but by can do does did for from get got have has how i if in is it may me my of on or our shall should so that the their there they this to was we what when where which who why will with would you your".split(
    " ",
  ),
);

/**
 * Writes an answer token by token.
 *
 * It is no language model: none fits into an npm package. It picks the sentences of the passages that share most words
 * with the question and quotes them with their numbers, in a frame that is always the same. To a caller it looks like a
 * model that generates text: a stream that takes time, and that stops when its reader leaves.
 */
export class Writer extends Service({ maxConcurrent: 2, maxQueued: 4 }) {
  /** Milliseconds that a token takes. */
  #paceMs = 0;

  override start() {
    this.#paceMs = Number(process.env["WRITER_PACE_MS"] ?? 30);
  }

  write = api(
    { summary: "Writes an answer from passages.", input: Request, yields: Token },
    async function* (this: Writer, request) {
      const { signal, log } = currentCall();
      let tokens = 0;
      try {
        for (const token of composeAnswer(request).match(/\s*\S+/g) ?? []) {
          if (this.#paceMs > 0) await pause(this.#paceMs, undefined, { signal });
          yield token;
          tokens++;
        }
      } finally {
        // Runs also when the reader has left.
        log.info({ tokens, stopped: signal.aborted }, "answer written");
      }
    },
  );
}

/** Composes the whole answer. */
export function composeAnswer({ question, tone, passages }: z.infer<typeof Request>): string {
  const words = readWords(question);
  const sentences = passages
    .flatMap(({ title, text, score }, index) =>
      splitSentences(text).map((sentence, position) => ({
        sentence,
        number: index + 1,
        position,
        // Words of the question count most; then the passage, then the order in it.
        weight: countShared(words, readWords(`${title} ${sentence}`)) + 2 * score - 0.05 * position,
      })),
    )
    .sort((a, b) => b.weight - a.weight)
    .slice(0, maxSentences)
    .sort((a, b) => a.number - b.number || a.position - b.position);
  const quotes = sentences.map(({ sentence, number }) => `${sentence} [${number}]`);
  const opening = tone === "upset" ? "I am sorry about the trouble. " : "";
  return `${opening}${quotes.join(" ")}`;
}

function readWords(text: string): Set<string> {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  return new Set(words.filter((word) => !fillWords.has(word)).map((word) => word.replace(/(?:ing|ed|es|s)$/, "")));
}

function countShared(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  return [...a].filter((word) => b.has(word)).length;
}
